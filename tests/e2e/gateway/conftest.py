"""The service as it is deployed, started once for all tests of this folder and each database."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.harness.browsers import APP
from tests.harness.gateway import LIMIT, SIGN_INS_PER_MINUTE, STAGING, Gateway
from tests.harness.nginx import nginx
from tests.harness.reports import require_tool
from tests.harness.servers import gunicorn


@pytest.fixture(scope="package")
def start_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Gateway]]:
    """Return a function that puts servers in front of a database, one set for all tests of this folder."""
    require_tool("nginx")
    with ExitStack() as stack:

        @cache
        def start(database_url: str) -> Gateway:
            answered = tmp_path_factory.mktemp("gunicorn") / "answered"
            service = gunicorn(
                database_url,
                TRUSTED_PROXY_HOPS="1",
                CORS_ALLOWED_ORIGINS=f"{APP},{STAGING}",
                MAX_SESSIONS_PER_USER=str(LIMIT),
                MAX_SIGN_INS_PER_MINUTE=str(SIGN_INS_PER_MINUTE),
                GUNICORN_CMD_ARGS=f"--access-logfile {answered} --access-logformat '%({{x-request-id}}o)s %(p)s'",
            )
            return Gateway(stack.enter_context(nginx(stack.enter_context(service))), answered)

        yield start


@pytest.fixture
def gateway(database_url: str, start_gateway: Callable[[str], Gateway]) -> Gateway:
    """Return the gateway to a service whose database has no rows."""
    return start_gateway(database_url)
