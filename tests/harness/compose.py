"""The Compose file, read, with variables filled in as Compose does it."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.harness.paths import PROJECT

COMPOSE = PROJECT / "docker-compose.yml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]


def settings_of(service: Mapping[str, object], given: Mapping[str, str]) -> dict[str, str]:
    """Return a Compose service's environment with *given* as the environment of `docker compose`.

    Raises:
        KeyError: a variable is required; its argument is what Compose would say.
    """
    settings: dict[str, str] = {}
    environment = service["environment"]
    assert isinstance(environment, dict)
    for name, value in environment.items():
        if value is None:
            settings |= {name: given[name]} if name in given else {}
            continue
        settings[name] = re.sub(r"\$\{(\w+):([-?])(.*?)\}", lambda match: _filled_in(match, given), value)
    return settings


def _filled_in(match: re.Match[str], given: Mapping[str, str]) -> str:
    name, kind, text = match.groups()
    if value := given.get(name):
        return value
    if kind == "?":
        raise KeyError(text)
    return str(text)


EVERY_DAY = "sleep 86400"
"""What the purge's container does between two purges."""
