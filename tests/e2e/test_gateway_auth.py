"""nginx asks before it forwards: `examples/gateways/nginx-auth-request.conf` in a real nginx, before a real backend.

The backend here checks nothing and tells what it was sent: whatever protects it is the gateway's doing.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from time import monotonic
from typing import Any

import pytest
import yaml
from urllib3 import BaseHTTPResponse

from tests.harness.browsers import APP, Browser
from tests.harness.nginx import nginx_with
from tests.harness.paths import PROJECT
from tests.harness.processes import free_port
from tests.harness.reports import require_tool
from tests.harness.servers import gunicorn
from tests.harness.support import IPHONE, make_token

CONFIG = PROJECT / "examples" / "gateways" / "nginx-auth-request.conf"
USERS = count(1_000)


class Echo(BaseHTTPRequestHandler):
    """Answers every call with what arrived of it, for pages of `APP`, with the status that is asked for."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        seen = {"method": self.command, "path": self.path, "body": body, "headers": self.headers.items()}
        data = b"" if self.command == "HEAD" else json.dumps(seen).encode()
        self.send_response(int(self.path.rpartition("/status/")[2]) if "/status/" in self.path else 200)
        self.send_header("Access-Control-Allow-Origin", APP)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_args: object) -> None:
        """Stay silent."""


@contextmanager
def echo() -> Iterator[str]:
    """Run the backend; give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        server.block_on_close = False  # nginx keeps its connections
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def gateway_to(service: str) -> Iterator[str]:
    """Run nginx before the echoing backend; *service* is the address at which it asks."""
    with echo() as backend, nginx_with(CONFIG, p8080=service, p8000=backend) as url:
        yield url


@pytest.fixture(scope="module")
def start_gateway(migrated: Callable[[str], str]) -> Iterator[Callable[[str], str]]:
    """Return a function that runs the gateway before a service with a policy for unknown tokens."""
    require_tool("nginx")
    with ExitStack() as stack:

        @cache
        def start(policy: str) -> str:
            service = gunicorn(
                migrated("postgresql"),
                TRUSTED_PROXY_HOPS="1",
                CORS_ALLOWED_ORIGINS=APP,
                UNKNOWN_SESSION_POLICY=policy,
                MAX_SIGN_INS_PER_MINUTE="0",
            )
            return stack.enter_context(gateway_to(stack.enter_context(service).removeprefix("http://")))

        yield start


@pytest.fixture
def gateway(start_gateway: Callable[[str], str]) -> str:
    """Return the gateway to a service that knows signed-in devices alone."""
    return start_gateway("reject")


def signed_in(gateway: str, user_id: int | None = None, **device: Any) -> tuple[Browser, int]:
    """Return a device of a user of its own that has signed in, and the id of its session."""
    browser = Browser(gateway, make_token(user_id or next(USERS), n=next(USERS)), **device)
    created = browser.call("POST", "/sessions/create")
    assert created.status == 201, created.data
    return browser, created.json()["id"]


def seen(response: BaseHTTPResponse, name: str) -> list[str]:
    """Return the headers of a name that the backend was sent."""
    assert response.status == 200, (response.status, response.data)
    return [value for key, value in response.json()["headers"] if key.lower().replace("_", "-") == name.lower()]


def test_a_call_arrives_with_the_identity_that_the_service_vouches_for(gateway: str) -> None:
    user_id = next(USERS)
    browser, session_id = signed_in(gateway, user_id)

    response = browser.get("/courses?page=2")

    assert response.json()["path"] == "/courses?page=2"
    assert (seen(response, "X-User-Id"), seen(response, "X-Session-Id")) == ([str(user_id)], [str(session_id)])
    assert seen(response, "X-Forwarded-For") == ["127.0.0.1"]


SPELLINGS = [("X-User-Id", "X-Session-Id"), ("x-user-id", "x-session-id"), ("X_User_Id", "X_Session_Id")]


@pytest.mark.parametrize("names", SPELLINGS, ids=["as they are", "lower case", "underscores"])
def test_a_client_cannot_forge_its_identity(gateway: str, names: tuple[str, str]) -> None:
    user_id = next(USERS)
    browser, session_id = signed_in(gateway, user_id)

    response = browser.call("GET", "/courses", headers=dict.fromkeys(names, "1"))

    assert (seen(response, "X-User-Id"), seen(response, "X-Session-Id")) == ([str(user_id)], [str(session_id)])


@pytest.mark.parametrize("names", SPELLINGS, ids=["as they are", "lower case", "underscores"])
def test_where_there_is_no_session_a_forged_one_is_taken_away(
    start_gateway: Callable[[str], str], names: tuple[str, str]
) -> None:
    user_id = next(USERS)
    browser = Browser(start_gateway("allow"), make_token(user_id))

    response = browser.call("GET", "/courses", headers=dict.fromkeys(names, "1"))

    assert (seen(response, "X-User-Id"), seen(response, "X-Session-Id")) == ([str(user_id)], [])


def test_a_preflight_reaches_the_backend_without_a_token_and_without_an_identity(gateway: str) -> None:
    browser = Browser(gateway)

    response = browser.preflight("/courses", "POST")
    forged = browser.call(
        "OPTIONS", "/courses", headers={"Access-Control-Request-Method": "POST", "X-User-Id": "1", "X-Session-Id": "1"}
    )

    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, APP)
    assert response.json()["method"] == "OPTIONS"
    assert (seen(forged, "X-User-Id"), seen(forged, "X-Session-Id")) == ([], [])
    assert browser.call("OPTIONS", "/courses").status == 401
    assert browser.call("GET", "/courses", headers={"Access-Control-Request-Method": "GET"}).status == 401


def refused(response: BaseHTTPResponse, status: int, code: str | None) -> None:
    """Check that a page of `APP` learns all of a refusal."""
    assert (response.status, response.headers.get("X-Session-Code")) == (status, code)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (response.json()["status"], response.json().get("code")) == (status, code)
    assert response.json()["detail"]
    assert response.headers.getlist("Access-Control-Allow-Origin") == [APP]
    assert "X-Session-Code" in response.headers["Access-Control-Expose-Headers"]
    assert response.headers["Vary"] == "Origin"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_ended_session_is_refused_on_the_next_request_and_the_page_learns_why(gateway: str, method: str) -> None:
    user_id = next(USERS)
    browser, session_id = signed_in(gateway, user_id)
    phone, _ = signed_in(gateway, user_id, user_agent=IPHONE)
    assert browser.get("/courses").status == 200
    assert phone.call("DELETE", f"/sessions/session/{session_id}").status == 200

    response = browser.call(method, "/courses")

    refused(response, 401, "session_ended")
    assert response.headers.getlist("WWW-Authenticate") == ['Bearer realm="sessions", error="invalid_token"']


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, "token_missing"),
        ("not.a.token", "token_invalid"),
        (make_token(74, exp=1), "token_expired"),
        (make_token(74, type="refresh"), "token_invalid"),
        (make_token(999), "session_unknown"),
        ("x" * 5_000, "token_invalid"),
    ],
    ids=["none", "rubbish", "expired", "refresh", "unknown", "long"],
)
def test_without_a_session_nobody_passes(gateway: str, token: str | None, code: str) -> None:
    response = Browser(gateway, token).get("/courses")

    refused(response, 401, code)
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/courses?token={}", "/courses?access_token={}", "/_session", "/_session?token={}"])
def test_a_token_in_the_query_is_no_credentials(gateway: str, path: str) -> None:
    browser, _ = signed_in(gateway)

    response = Browser(gateway).get(path.format(browser.token))

    assert response.status == (404 if path.startswith("/_session") else 401)


def test_a_page_of_a_stranger_learns_nothing(gateway: str) -> None:
    response = Browser(gateway).call("GET", "/courses", headers={"Origin": "https://evil.example.net"})

    assert response.status == 401
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Access-Control-Expose-Headers" not in response.headers


@pytest.mark.parametrize("size", [0, 1, 20_000, 400_000])
def test_a_body_arrives_whole_and_the_service_never_sees_it(gateway: str, size: int) -> None:
    browser, _ = signed_in(gateway)

    response = browser.call("POST", "/courses", body="ä" * size, headers={"Content-Type": "text/plain; charset=utf-8"})

    assert (response.json()["method"], response.json()["body"]) == ("POST", "ä" * size)


@pytest.mark.parametrize("status", [401, 403, 404, 500, 502, 503])
def test_what_the_backend_itself_answers_stays_as_it_is(gateway: str, status: int) -> None:
    browser, _ = signed_in(gateway)

    response = browser.get(f"/status/{status}")

    assert (response.status, response.json()["path"]) == (status, f"/status/{status}")
    assert "X-Session-Code" not in response.headers


def test_a_refreshed_token_is_recognised_by_its_device(gateway: str) -> None:
    """By its user agent and its address, which the gateway sends on; what the client says of that is not believed."""
    user_id = next(USERS)
    home, at_home = signed_in(gateway, user_id, address="127.0.0.2")
    office, at_office = signed_in(gateway, user_id, address="127.0.0.3")
    refreshed = [
        replace(browser, token=make_token(user_id, n=next(USERS)), forwarded_for="127.0.0.9")
        for browser in (home, office)
    ]

    found = [seen(browser.get("/courses"), "X-Session-Id") for browser in refreshed]

    assert found == [[str(at_home)], [str(at_office)]]


def test_twenty_at_once_are_told_apart(gateway: str) -> None:
    users = [next(USERS) for _ in range(20)]
    browsers = [signed_in(gateway, user_id)[0] for user_id in users]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda browser: browser.get("/courses"), browsers * 5))

    assert [seen(answer, "X-User-Id") for answer in answers] == [[str(user_id)] for user_id in users] * 5


def test_connections_to_the_service_are_kept() -> None:
    """Otherwise every call would pay for a connection of its own."""
    require_tool("nginx")
    opened = count(1)

    class Service(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            self.number = next(opened)
            super().setup()

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("X-User-Id", str(self.number))
            self.send_header("Content-Length", "80")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with gateway_to(f"127.0.0.1:{server.server_port}") as url:
                answers = [Browser(url).get("/courses") for _ in range(10)]
        finally:
            server.shutdown()
            thread.join()

    assert {tuple(seen(answer, "X-User-Id")) for answer in answers} == {("1",)}


@pytest.mark.parametrize("name", ["traefik.yml", "envoy.yaml"])
def test_a_file_that_is_not_run_says_so_and_can_be_read(name: str) -> None:
    text = CONFIG.with_name(name).read_text(encoding="utf-8")

    assert "NOT RUN" in text.partition("\n\n")[0]
    assert "/sessions/validate" in json.dumps(yaml.safe_load(text))


# Nobody can say


def test_a_service_that_is_down_is_503_and_nobody_passes() -> None:
    require_tool("nginx")
    with gateway_to(f"127.0.0.1:{free_port()}") as url:
        response = Browser(url, make_token(74)).get("/courses")

    refused(response, 503, None)
    assert response.headers["Retry-After"] == "1"
    assert "WWW-Authenticate" not in response.headers


def test_a_service_that_hangs_is_503_after_three_seconds() -> None:
    require_tool("nginx")
    with (
        socket.create_server(("127.0.0.1", 0)) as frozen,
        gateway_to(f"127.0.0.1:{frozen.getsockname()[1]}") as url,
    ):
        began = monotonic()
        response = Browser(url, make_token(74)).get("/courses")
        took = monotonic() - began

    refused(response, 503, None)
    assert response.headers["Retry-After"] == "1"
    assert 2.9 < took < 8


def test_a_service_without_its_database_is_503_with_its_own_retry_after() -> None:
    require_tool("nginx")
    nowhere = f"postgresql://127.0.0.1:{free_port()}/nothing"
    with gunicorn(nowhere, TRUSTED_PROXY_HOPS="1") as service, gateway_to(service.removeprefix("http://")) as url:
        response = Browser(url, make_token(74)).get("/courses")
        says = Browser(service, make_token(74)).get("/sessions/validate")

    refused(response, 503, None)
    assert (says.status, response.headers["Retry-After"]) == (503, says.headers["Retry-After"])
