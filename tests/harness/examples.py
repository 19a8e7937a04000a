"""The servers of `examples/`, and what a browser does with them.

One auth server as it is today, and the same after the steps of `docs/integration.md`, in FastAPI and in Flask. The
tokens of the first have no `sid`: a device that signed in there and calls another backend is what steps 0 to 2 are for.
"""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import sleep, time
from typing import Any

from tests.harness.browsers import APP, Browser
from tests.harness.paths import PROJECT
from tests.harness.servers import gunicorn
from tests.harness.support import IPHONE

FRAMEWORKS = ("fastapi_backend", "flask_backend")
CREDENTIALS = "backend:" + "credentials-of-the-tests"
PASSWORD = "a password of the tests"
DEMO = {"DEMO_PASSWORD": PASSWORD, "REFRESH_SECRET_KEY": "the-secret-of-refresh-tokens-in-tests"}
GATEWAY_CONFIG = PROJECT / "examples" / "gateways" / "nginx-auth-request.conf"
STEP_0_CONFIG = PROJECT / "examples" / "gateways" / "nginx-step-0.conf"
HOME, OFFICE, STREET = "127.0.0.2", "127.0.0.3", "127.0.0.4"
USER, DISABLED = 74, 84


@dataclass(frozen=True)
class Servers:
    """The base URLs of everything that runs."""

    service: str
    today: str
    """The auth server as it is, which has never heard of sessions."""
    gateway: str
    """nginx before both of them, as in step 0."""
    fastapi_backend: str
    flask_backend: str


def backend_settings(service: str, **more: str) -> dict[str, str]:
    """Return a backend's environment."""
    return {
        **DEMO,
        "SESSION_SERVICE_URL": service,
        "SESSION_SERVICE_CREDENTIALS": CREDENTIALS,
        "CORS_ALLOWED_ORIGINS": APP,
        **more,
    }


@contextmanager
def service_on(database_url: str, **settings: str) -> Iterator[str]:
    """Run the service; one proxy, or one backend, stands before it."""
    fixed = {"TRUSTED_PROXY_HOPS": "1", "MAX_SIGN_INS_PER_MINUTE": "0", "SERVICE_CREDENTIALS": CREDENTIALS}
    with gunicorn(database_url, **fixed, **settings) as url:
        yield url


def log_in(
    url: str, user_id: int, password: str = PASSWORD, device: dict[str, str] | None = None, **kind: Any
) -> Browser:
    """Return a browser that has signed in."""
    browser = Browser(url, **kind)
    email = "admin@example.com" if user_id == 1 else f"user{user_id}@example.com"
    answer = browser.call("POST", "/auth/login", json={"email": email, "password": password, "device": device})
    assert answer.status == 200, answer.data
    return replace(browser, token=answer.json()["access_token"], refresh_token=answer.json()["refresh_token"])


def wait_for_the_next_second() -> None:
    """Wait until a token of the same user is another text, or until there is a second for two that are the same."""
    sleep(1.0 - time() % 1.0)


def log_in_within_one_second(url: str) -> tuple[Browser, Browser]:
    """Return a computer and a phone whose sign-ins gave one token, however slow the machine is."""
    for _ in range(20):
        wait_for_the_next_second()
        desk, phone = log_in(url, USER), log_in(url, USER, user_agent=IPHONE)
        if desk.token == phone.token:
            return desk, phone
    raise AssertionError("no two sign-ins in one second")


def refresh(browser: Browser) -> Browser:
    """Return the browser with the token that a refresh gave it."""
    wait_for_the_next_second()
    answer = replace(browser, token=None).call("POST", "/auth/refresh", json={"refresh_token": browser.refresh_token})
    assert answer.status == 200, answer.data
    return replace(browser, token=answer.json()["access_token"])


def at(url: str, browser: Browser) -> Browser:
    """Return the same browser calling another server."""
    return replace(browser, url=url)


def listed(browser: Browser) -> list[dict[str, Any]]:
    """Return the sessions that the browser's user sees."""
    answer = browser.get("/sessions/my-sessions")
    assert answer.status == 200, answer.data
    return list(answer.json())


def claims_of(token: str | None) -> dict[str, Any]:
    payload = str(token).split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def throw_out(browser: Browser, by: Browser) -> None:
    """End the browser's session from another device of its user."""
    (session_id,) = [one["id"] for one in listed(browser) if one["is_current"]]
    assert by.call("DELETE", f"/sessions/session/{session_id}").status == 200


def code_of(browser: Browser, path: str = "/grades") -> int | str:
    """Return the status of a route, or the code with which it is refused."""
    answer = browser.get(path)
    return answer.headers.get("X-Session-Code") or answer.status
