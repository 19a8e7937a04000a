"""What is written down is true: the OpenAPI document, the API's page, and the documents for people."""

import configparser
import re
from dataclasses import fields
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from packaging.requirements import Requirement

from scripts.settings_table import table, with_table
from session_service.config import Settings
from session_service.views.problems import STATUS
from tests.harness.api_description import operations, schema_of, served
from tests.harness.paths import PROJECT
from tests.harness.support import body

ROOT = PROJECT


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    """Return the OpenAPI document as it is served."""
    described: dict[str, Any] = body(client.get("/openapi.json"))
    return described


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_every_route_is_described_and_nothing_else(app: Flask, document: dict[str, Any]) -> None:
    assert set(operations(document)) == served(app)


def test_every_operation_says_what_it_does_and_what_can_go_wrong(document: dict[str, Any]) -> None:
    for (_, path), operation in operations(document).items():
        assert operation["summary"]
        statuses = set(operation["responses"])
        assert statuses & {"200", "201"}
        assert "500" in statuses
        if path.startswith("/sessions/"):
            assert statuses >= {"401", "503"}


def test_every_error_code_is_described_with_an_example_of_its_shape(document: dict[str, Any]) -> None:
    described = set()
    by_the_router = {"404": "NotFound", "405": "MethodNotAllowed"}
    anywhere = {status: document["components"]["responses"][name] for status, name in by_the_router.items()}
    for operation in [*operations(document).values(), {"responses": anywhere}]:
        for status, response in operation["responses"].items():
            problem = response.get("content", {}).get("application/problem+json", {})
            for code, example in problem.get("examples", {}).items():
                jsonschema.validate(example["value"], schema_of(document, response))
                assert (example["value"]["code"], example["value"]["status"]) == (code, int(status))
                described.add(code)

    assert described == {kind.code for kind in STATUS}


def test_the_page_shows_the_document_with_files_of_this_service_alone(client: FlaskClient) -> None:
    with client.get("/docs") as page:
        text, policy = page.text, page.headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "://" not in text
    for name in re.findall(r'(?:src|href)="([^"]+)"', text):
        with client.get(f"/{name}") as file:
            assert (file.status_code, len(file.data) > 100) == (200, True), name


@pytest.mark.parametrize("name", ["nothing.js", "swagger-ui.js", "index.html", "docs.html"])
def test_no_other_file_is_sent(client: FlaskClient, name: str) -> None:
    assert client.get(f"/docs/{name}").json["code"] == "not_found"


def test_the_readme_shows_the_map_and_its_links_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text()

    for module in (ROOT / "session_service").rglob("*.py"):
        assert module.name in readme or module.name == "__init__.py", module.name
    for document in [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", document.read_text()):
            assert "://" in link or (document.parent / link).exists(), f"{document.name}: {link}"


def test_the_api_document_names_every_endpoint_and_code(app: Flask) -> None:
    text = (ROOT / "docs" / "api.md").read_text()

    for method, path in served(app):
        if path != "/docs/{name}":
            assert f"`{method} {path}" in text, (method, path)
    for kind, status in STATUS.items():
        assert re.search(rf"\| `{kind.code}` \| {status} \|", text), kind.code


def test_the_tests_that_the_security_document_names_exist() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(tests/(?:\w+/)+test_\w+\.py)(?:::(test_\w+))?`", text)

    for file, test in named:
        source = (ROOT / file).read_text()
        assert not test or f"def {test}(" in source, (file, test)
    assert len(named) >= 25
    requirements = re.findall(r"^\| ([79]\.\d\.\d) \|", text, re.M)
    # OWASP ASVS 5.0 has 19 requirements in chapter 7, and 7 in chapter 9.
    assert len(requirements) == len(set(requirements)) == 19 + 7


def test_the_tests_that_the_guide_to_integration_names_exist_and_every_step_is_in_its_table() -> None:
    text = (ROOT / "docs" / "integration.md").read_text()
    source = "\n".join(file.read_text() for file in (ROOT / "tests" / "e2e" / "examples").glob("test_*.py"))

    named, steps = set(re.findall(r"`(test_\w+)`", text)), set(re.findall(r"def (test_step_\w+)\(", source))

    assert named <= steps
    # What a step cannot do is said, wherever a test shows it.
    assert {name for name in steps if "cannot" in name} <= named
    assert len(re.findall(r"^\| .*`test_step_", text, re.M)) >= 12


def pinned(requirements: str) -> dict[str, str]:
    """Return the versions in a file that pip-compile made."""
    return {
        name.lower().replace("_", "-"): version
        for name, version in re.findall(r"^([\w.-]+)(?:\[\w,]+\])?==(\S+)", requirements, re.M)
    }


def test_what_production_installs_is_pinned_hashed_and_what_setup_cfg_asks_for() -> None:
    text = (ROOT / "requirements.txt").read_text()
    versions, setup = pinned(text), configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")

    for line in setup["options"]["install_requires"].split():
        wanted = Requirement(line)
        assert wanted.specifier.contains(versions[wanted.name.lower().replace("_", "-")]), line
    blocks = re.split(r"\n(?=[\w.-]+(?:\[|==))", text)[1:]
    assert len(blocks) == len(versions)
    assert all("--hash=sha256:" in block for block in blocks)
    assert "--find-links" not in text
    assert "://" not in text


def test_the_operations_document_names_every_setting_with_its_default() -> None:
    document = (ROOT / "docs" / "operations.md").read_text()

    assert with_table(document) == document, "make docs"
    assert len(re.findall(r"^\| `[A-Z_]+` \| (?:[^`|]|`.+?`) \| \S.+ \|$", table(), re.M)) == len(fields(Settings))
    assert "| `DATABASE_CONNECTIONS` | `6` | Most connections of each worker" in document
