"""Backends on the client library, one for each adapter, with one route `/who` that answers user and session.

`running` serves them as in production. A test that judges what a backend says (for example a hunt for stale yeses) runs
against each of `KINDS`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.environment import environment_with
from tests.harness.examples import CREDENTIALS
from tests.harness.paths import PROJECT
from tests.harness.processes import free_port
from tests.harness.processes import running as running_process

_GUNICORN = ["gunicorn", "--config", "python:tests.harness.backends.gunicorn_settings", "--no-control-socket"]
_UVICORN = ["uvicorn", "--no-proxy-headers", "--no-access-log"]

KINDS = {
    "flask": [*_GUNICORN, "--threads", "8", "tests.harness.backends.flask_app:app"],
    "flask, preloaded, 2 processes": [
        *_GUNICORN,
        *("--threads", "4", "--workers", "2", "--preload"),
        "tests.harness.backends.flask_app:app",
    ],
    "django": [*_GUNICORN, "--threads", "8", "tests.harness.backends.django_app:app"],
    "fastapi": [*_UVICORN, "tests.harness.backends.fastapi_app:app"],
    "fastapi, 2 processes": [*_UVICORN, "--workers", "2", "tests.harness.backends.fastapi_app:app"],
}


@contextmanager
def running(kind: str, service: str, **settings: str) -> Iterator[str]:
    """Serve a backend of a service, with warnings as errors; give its base URL.

    *settings* are environment variables; `WALL_CLOCK_OFFSET_SECONDS` sets the backend's wall clock apart.
    """
    port = free_port()
    command = KINDS[kind]
    bind = ["--bind", f"127.0.0.1:{port}"] if command[0] == "gunicorn" else ["--port", str(port)]
    environment = environment_with(
        SESSION_SERVICE_URL=service, SESSION_SERVICE_CREDENTIALS=CREDENTIALS, PYTHONDONTWRITEBYTECODE="1", **settings
    )
    with running_process(
        [sys.executable, "-m", command[0], *bind, *command[1:]],
        ready=f"http://127.0.0.1:{port}/",
        environment=environment,
        cwd=PROJECT,
    ):
        yield f"http://127.0.0.1:{port}"
