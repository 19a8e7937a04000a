"""Everything that the steps need, started once for all tests of this folder."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from tests.harness.browsers import Browser
from tests.harness.examples import (
    DEMO,
    FRAMEWORKS,
    STEP_0_CONFIG,
    Servers,
    at,
    backend_settings,
    log_in,
    service_on,
    wait_for_the_next_second,
)
from tests.harness.nginx import nginx_with
from tests.harness.reports import require_tool
from tests.harness.servers import example


@pytest.fixture(scope="package")
def start() -> Iterator[Callable[[str], Servers]]:
    """Return a function that starts everything on a database, one set for all tests of this folder."""
    with ExitStack() as stack:

        @cache
        def started(database_url: str) -> Servers:
            today = stack.enter_context(example("auth_server", **DEMO))
            service = stack.enter_context(service_on(database_url, AUTH_SERVER_USERINFO_URL=f"{today}/user/me"))
            adopting = stack.enter_context(service_on(database_url, UNKNOWN_SESSION_POLICY="adopt"))
            gateway = stack.enter_context(
                nginx_with(STEP_0_CONFIG, p8080=adopting.removeprefix("http://"), p8000=today.removeprefix("http://"))
            )
            backends = [stack.enter_context(example(name, **backend_settings(service))) for name in FRAMEWORKS]
            return Servers(service, today, gateway, *backends)

        yield started


@pytest.fixture
def servers(database_url: str, start: Callable[[str], Servers]) -> Servers:
    """Return the servers; their database has no rows."""
    require_tool("nginx")
    return start(database_url)


@pytest.fixture(params=FRAMEWORKS)
def backend(request: pytest.FixtureRequest, servers: Servers) -> str:
    """Return a backend after all steps."""
    return str(getattr(servers, request.param))


@pytest.fixture
def unlinked(servers: Servers, backend: str) -> Callable[..., Browser]:
    """Return a function that signs in where tokens have no `sid`, and has the frontend call `create` at the backend."""

    def sign_in(user_id: int, **kind: Any) -> Browser:
        wait_for_the_next_second()
        browser = at(backend, log_in(servers.today, user_id, **kind))
        assert browser.call("POST", "/sessions/create").status == 201
        return browser

    return sign_in
