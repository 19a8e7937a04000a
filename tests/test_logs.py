"""What is written down while all that is hostile arrives: nothing secret, and no line that is not the service's own."""

import logging
import re
from collections.abc import Callable

import pytest
from flask import Flask

from tests.servers import address_of, exchange, gunicorn
from tests.support import MEASURED, SECRET, make_token, sign_in_with
from tests.test_hostile import CREDENTIALS, RAW, TABLE
from tests.test_token_attacks import SHARED_SECRET

LINE = re.compile(
    r"\[\d{4}-\d\d-\d\d [\d:]{8} [+-]\d{4}\] \[\d+\] \[(?:INFO|WARNING)\] "
    r"(?:Starting gunicorn [\d.]+|Listening at: \S+ \(\d+\)|Using worker: \S+|Booting worker with pid: \d+"
    r"|a request could not be read: \w+|Handling signal: \w+|Worker exiting \(pid: \d+\)|Shutting down: Master)"
)
"""What gunicorn writes, and what of it says anything about a request."""

OURS = re.compile(r"X-Forwarded-For arrives, but TRUSTED_PROXY_HOPS is 0: .*|a body ended before its announced end")


def leaks(text: str) -> list[str]:
    """Return what of a log would be of use to whoever finds it."""
    secrets = [SECRET, *CREDENTIALS.values(), make_token().rpartition(".")[0], "eyJ", "Bearer ", "Basic "]
    inside = ["SELECT ", "INSERT ", "Traceback", "session_service/", "site-packages", "?token", "access_token"]
    return [one for one in [*secrets, *inside] if one in text]


def test_a_log_that_leaks_would_be_noticed() -> None:
    assert leaks(f"GET /sessions/my-sessions?token={make_token()}")
    assert leaks(f"secret: {SECRET}")
    assert not LINE.fullmatch("[2026-02-08 10:30:00 +0000] [1] [INFO] a line of somebody else's")
    assert not LINE.fullmatch("[2026-02-08 10:30:00 +0000] [1] [WARNING] a request could not be read: \x1b[31mX")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_is_written_about_hostile_requests_that_anybody_could_use(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app(SERVICE_CREDENTIALS=CREDENTIALS).test_client()
    admin = sign_in_with(client)(74, role="admin")
    caplog.set_level(logging.DEBUG)

    said = [
        client.open(**{**sent, "headers": {**admin.headers, **sent.get("headers", {})}}).text
        for _, sent, _ in TABLE.values()
    ]
    for _, token in SHARED_SECRET.values():
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "a\x1b[31mb\tc"}
        said.append(client.get("/sessions/validate", headers=headers).text)

    assert len(said) >= 200
    assert leaks("".join(said)) == []
    assert leaks(caplog.text) == []
    assert {record.name.partition(".")[0] for record in caplog.records} <= {"session_service"}
    for record in caplog.records:
        assert OURS.fullmatch(record.getMessage()), record.getMessage()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_is_written_about_hostile_bytes_that_anybody_could_use(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with gunicorn(database_url, SERVICE_CREDENTIALS=f"backend:{CREDENTIALS['backend']}") as url:
        address = address_of(url)
        answers = b"".join(exchange(address, sent) for _, sent, _ in RAW.values())
    _, *lines = capsys.readouterr().out.splitlines()

    assert leaks("\n".join(lines)) == []
    assert leaks(answers.decode("latin-1").replace("WWW-Authenticate: Bearer ", "")) == []
    assert [line for line in lines if not (LINE.fullmatch(line) or OURS.fullmatch(line))] == []
    unread = sum("could not be read" in line for line in lines)
    MEASURED.append(
        f"{len(RAW)} hostile requests over raw sockets: {unread} could not be read, {len(lines)} lines of log"
    )
    assert unread >= 10


@pytest.mark.parametrize(
    "path", ["/healthz", "/docs", "/docs/docs.js", "/openapi.json", "/sessions/my-sessions", "/no"]
)
def test_every_answer_says_how_it_may_be_used_and_not_what_serves_it(app: Flask, path: str) -> None:
    with app.test_client().get(path) as response:
        headers = response.headers

    assert headers.getlist("Cache-Control") == ["no-store"]
    assert headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert "X-Powered-By" not in headers
    assert not re.search(r"\d", headers.get("Server", ""))
    assert ("Content-Security-Policy" in headers) == (path == "/docs")
