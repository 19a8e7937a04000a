"""The gateway's own file, run by a real nginx: what it forwards, what it answers by itself, what it writes down."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPResponse
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import urllib3
from urllib3 import BaseHTTPResponse

from tests.harness.nginx import lay_out_nginx, nginx
from tests.harness.processes import address_of, free_port
from tests.harness.reports import require_tool
from tests.harness.servers import gunicorn
from tests.harness.support import CHROME, make_token

NEWCOMERS = count(1_000_001)
"""Users whom no other call knows."""
SECRETS = {"token": "a-token-in-the-query", "next": "and-a-second-one"}


@dataclass(frozen=True)
class Gateway:
    """A gateway in front of a service, and its access log."""

    url: str
    log: Path

    def call(self, method: str, path: str, **kwargs: Any) -> BaseHTTPResponse:
        return call(f"{self.url}{path}", method, **kwargs)

    def raw(self, sent: str) -> tuple[int, dict[str, Any]]:
        """Send these bytes; return the status and the problem."""
        # The connection stays open: to nginx a caller who has closed his half is gone.
        with socket.create_connection(address_of(self.url), timeout=10) as connection:
            connection.sendall(sent.encode("latin-1"))
            with HTTPResponse(connection) as response:
                response.begin()
                return response.status, json.loads(response.read())

    def lines(self) -> list[dict[str, Any]]:
        """Return what the access log says; every line is JSON."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def line(self, request_id: str) -> dict[str, Any]:
        """Return the access log's line of a request; it is written just after the answer."""
        deadline = monotonic() + 5
        while monotonic() < deadline:
            if found := [line for line in self.lines() if line["request_id"] == request_id]:
                return found[0]
        raise AssertionError(f"the access log does not name {request_id}")

    def line_of(self, response: BaseHTTPResponse) -> dict[str, Any]:
        return self.line(response.headers["X-Request-ID"])


def call(url: str, method: str = "GET", *, headers: dict[str, str] | None = None, **kwargs: Any) -> BaseHTTPResponse:
    """Call as a user without a session, on a connection that is closed afterwards."""
    sent = {"Authorization": f"Bearer {make_token(next(NEWCOMERS))}", "User-Agent": CHROME, **(headers or {})}
    with urllib3.PoolManager(retries=False, timeout=20) as http:
        return http.request(method, url, headers=sent, **kwargs)


@pytest.fixture(scope="module")
def gateway(migrated: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Return a gateway to a service with a database."""
    require_tool("nginx")
    log = tmp_path_factory.mktemp("gateway") / "access.log"
    with ExitStack() as stack:
        service = stack.enter_context(gunicorn(migrated("sqlite"), TRUSTED_PROXY_HOPS="1", MAX_SIGN_INS_PER_MINUTE="0"))
        yield Gateway(stack.enter_context(nginx(service, access_log=log)), log)


def assert_is_problem(response: BaseHTTPResponse, status: int, code: str) -> None:
    """It is a problem of the gateway's own, whole and readable by every page."""
    problem = response.json()
    assert (response.status, problem["status"], problem["code"]) == (status, status, code)
    assert problem.keys() == {"type", "title", "status", "detail", "code", "request_id"}
    assert (problem["type"], problem["title"]) == ("about:blank", HTTPStatus(status).phrase)
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_every_variable_of_the_template_is_filled_in(tmp_path: Path) -> None:
    lay_out_nginx(tmp_path, "8080", ["http://127.0.0.1:1"], tmp_path / "access.log")

    text = (tmp_path / "conf.d" / "default.conf").read_text(encoding="utf-8")
    assert "${" not in text
    assert "listen 8080 default_server;" in text


# What is forwarded


def test_the_service_sees_the_caller_and_not_what_it_claims_to_be(gateway: Gateway) -> None:
    created = gateway.call("POST", "/sessions/create", headers={"X-Forwarded-For": "203.0.113.9"})

    assert created.status == 201, created.data
    assert created.json()["ip_address"] == "127.0.0.1"
    assert created.json()["device_name"] == "Chrome on Windows 10"
    assert created.headers["Server"] == "nginx"


@pytest.mark.parametrize(
    "path",
    ["/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/sessions", "/sessionsx", "/problem"],
)
def test_nothing_but_the_sessions_is_forwarded(gateway: Gateway, path: str) -> None:
    response = gateway.call("GET", path)

    assert_is_problem(response, 404, "not_found")
    line = gateway.line_of(response)
    assert (line["path"], line["server"]) == (path, "")


@pytest.mark.parametrize(
    "path",
    [
        "/sessions/../healthz",
        "/sessions/%2e%2e/healthz",
        "/sessions/..%2fhealthz",
        "/sessions/./../healthz",
        "//healthz",
        "/healthz/../sessions/",
        "/healthz/%2e%2e/sessions/",
        "/healthz%3F/../sessions/",
    ],
)
def test_no_spelling_of_a_path_leads_past_the_sessions(gateway: Gateway, path: str) -> None:
    status, problem = gateway.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (status, problem["code"]) == (404, "not_found")


# What the gateway answers by itself


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ("GET /sessions/ HTTP/1.1\r\n\r\n", 400, "bad_request"),
        ("GET /sessions/ HTTP/9.9\r\nHost: x\r\n\r\n", 400, "bad_request"),
        ("GET sessions HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_request"),
        ("\x16\x03\x01\r\n\r\n", 400, "bad_request"),
        ("POST /sessions/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "bad_request"),
        ("POST /sessions/create HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "bad_request"),
        ("TRACE /sessions/ HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed"),
        (f"GET /sessions/{'x' * 9_000} HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
        (f"GET /sessions/ HTTP/1.1\r\nHost: x\r\nX: {'x' * 9_000}\r\n\r\n", 431, "headers_too_large"),
    ],
)
def test_what_cannot_be_forwarded_is_the_callers_fault_and_a_problem(
    gateway: Gateway, sent: str, status: int, code: str
) -> None:
    answered, problem = gateway.raw(sent)

    assert (answered, problem["status"], problem["code"]) == (status, status, code)
    assert gateway.line(problem["request_id"])["server"] == ""


def test_a_body_over_a_megabyte_does_not_reach_the_service(gateway: Gateway) -> None:
    response = gateway.call("POST", "/sessions/create", body=b"x" * 2_000_000)

    assert_is_problem(response, 413, "body_too_large")
    line = gateway.line_of(response)
    assert (line["status"], line["server"]) == ("413", "")


def test_a_body_under_a_megabyte_is_the_services_to_refuse(gateway: Gateway) -> None:
    response = gateway.call("POST", "/sessions/create", body=b"x" * 900_000)

    assert (response.status, response.json()["code"]) == (413, "body_too_large")
    assert gateway.line_of(response)["server_status"] == "413"


def test_a_service_that_is_not_there_is_a_503_and_its_return_is_noticed_at_once(
    migrated: Callable[[str], str], tmp_path: Path
) -> None:
    port = free_port()
    with nginx(f"http://127.0.0.1:{port}", access_log=tmp_path / "log") as url:
        for _ in range(3):
            response = call(f"{url}/sessions/my-sessions")
            assert_is_problem(response, 503, "service_unavailable")
            assert response.headers["Retry-After"] == "1"

        with gunicorn(migrated("sqlite"), PORT=str(port)):
            assert call(f"{url}/sessions/my-sessions").status == 200


def test_a_service_that_says_nothing_is_a_503_within_12_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, nginx(f"127.0.0.1:{silent.getsockname()[1]}") as url:
        response = call(f"{url}/sessions/my-sessions", timeout=12)

    assert_is_problem(response, 503, "service_unavailable")


def test_the_services_own_503_passes_as_it_is(migrated: Callable[[str], str]) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/keys"
    with gunicorn(migrated("sqlite"), JWT_SECRET_KEY="", JWT_JWKS_URL=nowhere) as service, nginx(service) as url:
        response = call(f"{url}/sessions/my-sessions")

    assert (response.status, response.json()["code"]) == (503, "auth_server_unavailable")
    assert "Access-Control-Allow-Origin" not in response.headers


# Several servers


@contextmanager
def dropping(got: list[str]) -> Iterator[str]:
    """Run a server that notes each request's method in *got* and closes the connection without an answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if not (head := connection.recv(65_536)):
                        return
                    got.append(head.split()[0].decode())

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            socket.create_connection(listener.getsockname()).close()
            thread.join()


def test_of_two_servers_one_may_be_gone(migrated: Callable[[str], str]) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    with gunicorn(migrated("sqlite")) as service, nginx(gone, service) as url:
        statuses = [call(f"{url}/sessions/my-sessions").status for _ in range(20)]
        created = [call(f"{url}/sessions/logout", "DELETE").status for _ in range(4)]

    assert set(statuses) == {200}
    assert not {503} & set(created)


@pytest.mark.parametrize(("method", "times"), [("POST", 1), ("GET", 2), ("DELETE", 2)])
def test_what_may_have_been_done_is_not_asked_of_another_server(method: str, times: int) -> None:
    got: list[str] = []
    with dropping(got) as one, dropping(got) as other, nginx(one, other) as url:
        response = call(f"{url}/sessions/create", method)

    assert_is_problem(response, 503, "service_unavailable")
    assert got == [method] * times


# What is written down


def test_the_log_names_a_request_as_the_service_does(gateway: Gateway) -> None:
    response = gateway.call("GET", "/sessions/my-sessions?include_inactive=true")

    assert len(response.headers.getlist("X-Request-ID")) == 1
    line = gateway.line_of(response)
    said = {name: line[name] for name in ("method", "path", "status", "server_status", "client")}
    assert said == {
        "method": "GET",
        "path": "/sessions/my-sessions",
        "status": "200",
        "server_status": "200",
        "client": "127.0.0.1",
    }


@pytest.mark.parametrize("path", ["/sessions/user/74", "/sessions/../elsewhere", "/elsewhere"])
def test_no_query_is_written_down(gateway: Gateway, path: str) -> None:
    response = gateway.call("GET", path, fields=SECRETS)

    assert gateway.line_of(response)["path"].startswith(("/sessions/", "/elsewhere"))
    assert not [secret for secret in SECRETS.values() if secret in gateway.log.read_text(encoding="utf-8")]


def test_no_query_is_written_down_when_the_service_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "access.log"
    with nginx(f"http://127.0.0.1:{free_port()}", access_log=log) as url:
        assert call(f"{url}/sessions/my-sessions", fields=SECRETS).status == 503
        assert call(f"{url}/sessions/create?token={SECRETS['token']}", "POST", body=b"x" * 2_000_000).status == 413

    written = capsys.readouterr().out + log.read_text(encoding="utf-8")
    assert "what " in written
    assert "/sessions/my-sessions" in written
    assert not [secret for secret in SECRETS.values() if secret in written]


def test_nobody_writes_lines_into_the_log(gateway: Gateway) -> None:
    sent = '"/sessions/%0a{"event":"forged"}\\"\t'
    _, problem = gateway.raw(f"GET {sent} HTTP/1.1\r\nHost: x\r\n\r\n")

    gateway.line(problem["request_id"])
    assert [line["event"] for line in gateway.lines()] == ["gateway_request"] * len(gateway.lines())
