"""What is written down is true: the OpenAPI document, the API's page, and the documents for people."""

import configparser
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from packaging.requirements import Requirement

from scripts.settings_table import table, with_table
from session_service import limits
from session_service.app import create_app
from session_service.config import Settings
from session_service.server.gunicorn_worker import UNREADABLE
from session_service.views.problems import STATUS
from tests.harness.api_description import FILES, operations, schema_of, served
from tests.harness.paths import PROJECT
from tests.harness.support import body, settings

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
    assert set(operations(document)) == served(app) - FILES


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
    for operation in operations(document).values():
        for status, response in operation["responses"].items():
            problem = response.get("content", {}).get("application/problem+json", {})
            for code, example in problem.get("examples", {}).items():
                jsonschema.validate(example["value"], schema_of(document, response))
                assert (example["value"]["code"], example["value"]["status"]) == (code, int(status))
                described.add(code)

    by_the_router = {"not_found", "method_not_allowed"}
    by_the_worker = {code for code, _ in UNREADABLE.values()} - {"internal_error"}
    assert described == {kind.code for kind in STATUS} - by_the_router
    assert set(document["components"]["schemas"]["ErrorCode"]["enum"]) == described | by_the_router | by_the_worker
    assert all(code in document["info"]["description"] for code in by_the_router | by_the_worker)


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(document).values()]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+[A-Za-z]*", name) for name in names)


@pytest.mark.parametrize(("kind", "example"), [("integer", 74), ("string", "auth0|507f1f77")])
def test_examples_of_user_ids_are_of_the_type_that_is_set(kind: str, example: object) -> None:
    app = create_app(settings(DATABASE_URL="postgresql://x@127.0.0.1:9/x", USER_ID_TYPE=kind))
    text = app.test_client().get("/openapi.json").text
    schemas = json.loads(text)["components"]["schemas"]

    assert (schemas["UserId"]["type"], schemas["UserId"]["example"]) == (kind, example)
    assert schemas["SessionResponse"]["properties"]["user_id"] == {"$ref": "#/components/schemas/UserId"}
    assert "x-component" not in text


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


def test_the_map_in_contributing_names_every_module() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text()

    for module in (ROOT / "session_service").rglob("*.py"):
        assert module.name in contributing or module.name == "__init__.py", module.name


FOLDERS = sorted(path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(document for folder in FOLDERS for document in folder.rglob("*.md"))])


def anchors(document: Path) -> set[str]:
    """Return what a link may name within a document: its headings, as GitHub spells them, and its anchors."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    spelt = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return spelt | set(re.findall(r'<a id="([\w-]+)"></a>', text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_a_file_and_to_a_heading_of_it(document: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", document.read_text()):
        if "://" in link:
            continue
        target = document.parent / link if link else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), f"{link}#{anchor}"
    for file in re.findall(r"`(test_\w+\.py)", document.read_text()):
        assert list((ROOT / "tests").rglob(file)), file


@pytest.mark.parametrize("name", ["deploy", "settings", "runbook", "data", "integration", "webhooks"])
def test_a_guide_begins_with_a_paragraph_and_links_to_each_of_its_sections(name: str) -> None:
    document = ROOT / "docs" / f"{name}.md"
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.S)
    title, paragraph, contents = text.split("\n\n")[:3]

    assert title.startswith("# ")
    assert len(paragraph) > 100
    assert re.findall(r"^- \[(.+)\]\(#[\w-]+\)$", contents, re.M) == re.findall(r"^## (.+)$", text, re.M)


def test_the_runbook_has_the_time_limits_of_the_code() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    table = re.search(r"^\| wait \| limit \|\n(.*?)\n\n", text, re.M | re.S)
    rows = [re.findall(r"([\d.]+) (second|minute)s?", line.split("|")[2]) for line in table[1].splitlines()[1:]]

    assert [[float(number) * (60 if unit == "minute" else 1) for number, unit in row] for row in rows] == [
        [limits.REQUEST_SECONDS],
        [limits.STATEMENT_SECONDS],
        [limits.CONNECT_SECONDS],
        [limits.PING_SECONDS],
        [limits.DATABASE_STALL_SECONDS],
        [limits.STATEMENT_SECONDS],
        [limits.COMMAND_TRANSACTION_SECONDS, limits.LONG_TRANSACTION_SECONDS],
    ]


def test_the_api_document_names_every_endpoint_and_code(app: Flask) -> None:
    text = (ROOT / "docs" / "api.md").read_text()

    for method, path in served(app) - FILES:
        assert f"`{method} {path}" in text, (method, path)
    for kind, status in STATUS.items():
        assert re.search(rf"\| `{kind.code}` \| {status} \|", text), kind.code


def test_the_tests_that_the_security_document_names_exist() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", text)

    for file, test in named:
        (path,) = (ROOT / "tests").rglob(file)
        assert not test or f"def {test}(" in path.read_text(), (file, test)
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


def test_an_installed_package_has_all_files_that_browsers_load() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    package = ROOT / "session_service"
    patterns = setup["options.package_data"]["session_service"].split(", ")

    packed = {path for pattern in patterns for path in package.glob(pattern) if path.is_file()}
    packed = {path for path in packed if path.is_relative_to(package / "ui")}

    assert packed == {path for path in (package / "ui").rglob("*") if path.is_file()}
    assert len(packed) >= 9


def test_the_settings_document_names_every_setting_with_its_default() -> None:
    document = (ROOT / "docs" / "settings.md").read_text()

    assert with_table(document) == document, "make docs"
    assert len(re.findall(r"^\| `[A-Z_]+` \| (?:[^`|]|`.+?`) \| \S.+ \|$", table(), re.M)) == len(fields(Settings))
    assert "| `DATABASE_CONNECTIONS` | `6` | Most connections of each worker" in document
