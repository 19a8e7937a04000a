"""The OpenAPI document, read; and what the application serves, in its notation."""

import re
from typing import Any

from flask import Flask

FILES = {("GET", "/docs/{name}"), ("GET", "/sessions/ui/{name}"), ("GET", "/console"), ("GET", "/console/{name}")}
"""Routes of files that pages need. They are no part of the API, so it does not describe them."""


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the described operations by method and path."""
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    }


def served(app: Flask) -> set[tuple[str, str]]:
    """Return what the application serves, in the notation of OpenAPI."""
    return {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def schema_of(document: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """Return a response's schema with what its references need; it allows no property that is not described."""
    (content,) = response["content"].values()
    components = {name: _closed(schema) for name, schema in document["components"]["schemas"].items()}
    return {**content["schema"], "components": {"schemas": components}}


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "additionalProperties": False} if schema.get("type") == "object" else schema
