"""The files of the pages for people, and how long they may be kept."""

import hashlib
import re

import pytest
from flask.testing import FlaskClient

from session_service.views.pages import CONSOLE, SESSION_LIST, SESSION_LIST_HASH
from tests.harness.paths import PROJECT
from tests.harness.support import MakeApp

APP = "https://app.example.com"
PLAIN = "/sessions/ui/session-list.js"
HASHED = f"/sessions/ui/session-list.{SESSION_LIST_HASH}.js"
# The files come from no database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("path", [PLAIN, HASHED])
def test_the_module_is_sent_as_javascript_to_anyone(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 200
    assert response.content_type == "text/javascript; charset=utf-8"
    assert response.data == (PROJECT / "session_service" / "ui" / "session-list.js").read_bytes()
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_plain_name_is_checked_each_time_and_costs_no_second_transfer(client: FlaskClient) -> None:
    first = client.get(PLAIN)
    again = client.get(PLAIN, headers={"If-None-Match": first.headers["ETag"]})
    changed = client.get(PLAIN, headers={"If-None-Match": '"of-another-release"'})

    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.data, again.headers["Cache-Control"]) == (304, b"", "no-cache")
    assert (changed.status_code, changed.data) == (200, SESSION_LIST)


def test_the_name_with_the_contents_hash_is_kept_for_a_year(client: FlaskClient) -> None:
    assert hashlib.sha256(SESSION_LIST).hexdigest().startswith(SESSION_LIST_HASH)
    assert client.get(HASHED).headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_name_of_another_release_gets_the_present_content_which_is_not_kept(client: FlaskClient) -> None:
    response = client.get("/sessions/ui/session-list.0123456789abcdef.js")

    assert (response.status_code, response.data) == (200, SESSION_LIST)
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["docs.html", "session-list.js.map", "session-list.0123.js", "..%2fapp.py", ""])
def test_no_other_file_is_sent_and_a_refusal_is_not_kept(client: FlaskClient, name: str) -> None:
    response = client.get(f"/sessions/ui/{name}")

    assert (response.status_code, response.json["code"]) == (404, "not_found")
    assert response.headers["Cache-Control"] == "no-store"


def test_the_console_is_not_kept_and_its_files_are_checked_each_time(client: FlaskClient) -> None:
    page = client.get("/console")
    files = re.findall(r'(?:src|href)="(console/[^"]+)"', page.text)

    assert page.headers["Cache-Control"] == "no-store"
    assert "://" not in page.text
    assert sorted(files) == ["console/console.css", "console/console.js"]
    for file in CONSOLE:
        assert client.get(f"/console/{file}").headers["Cache-Control"] == "no-cache"
    assert client.get("/console/index.html").json["code"] == "not_found"


@pytest.mark.parametrize("origins", [(), (APP,), (APP, "https://www.example.com")], ids=len)
def test_any_page_may_load_it_as_a_module_and_a_cache_needs_one_copy(
    make_app: MakeApp, origins: tuple[str, ...]
) -> None:
    client = make_app(CORS_ALLOWED_ORIGINS=origins).test_client()

    for headers in ({}, {"Origin": APP}, {"Origin": "https://elsewhere.example.com"}):
        response = client.get(HASHED, headers=headers)
        assert response.headers.getlist("Access-Control-Allow-Origin") == ["*"]
        assert "Vary" not in response.headers
