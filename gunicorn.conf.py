"""gunicorn's configuration for this application: `gunicorn -c gunicorn.conf.py wsgi:app`."""

import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any, NoReturn

# Set before the import, because prometheus_client reads it when the first metric is created. Each server uses a folder
# of its own inside the named one, so that a command with the same environment does not write there. The prefix shows
# whose folder is named: gunicorn reads this file again at each reload, and a server that replaces another one (SIGUSR2)
# inherits its environment.
_PREFIX = "session-service-metrics-"
_OURS = f"{_PREFIX}{os.getpid()}-"
_metrics = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR") or tempfile.gettempdir())
if not _metrics.name.startswith(_OURS):
    _parent = _metrics.parent if _metrics.name.startswith(_PREFIX) else _metrics
    _metrics = Path(tempfile.mkdtemp(prefix=_OURS, dir=_parent))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics)

from prometheus_client import multiprocess  # noqa: E402

# Imported before the fork, so that all workers share it: the rules for user agents alone take 0.25 seconds to load.
import session_service.app  # noqa: E402, F401
from session_service import metrics  # noqa: E402
from session_service.config import ConfigError, Settings  # noqa: E402
from session_service.limits import threads_for  # noqa: E402
from session_service.server import draining  # noqa: E402
from session_service.server.cores import choose_core  # noqa: E402

_host = os.environ.get("HOST") or "127.0.0.1"
bind = f"{f'[{_host}]' if ':' in _host else _host}:{os.environ.get('PORT') or '8080'}"
workers = int(os.environ.get("WEB_CONCURRENCY") or "2")
# gthread, except that unreadable requests are not logged verbatim, and that silent clients do not occupy a thread.
worker_class = "session_service.server.gunicorn_worker.Worker"
_connections = os.environ.get("DATABASE_CONNECTIONS", "").strip()
# What is no number stops the start in a moment (`on_starting`).
threads = threads_for(int(_connections) if _connections.isdecimal() else Settings.DATABASE_CONNECTIONS)

logger_class = "session_service.server.logs.GunicornLogger"

drain_seconds = float(os.environ.get("DRAIN_SECONDS") or "5")
timeout = 30
graceful_timeout = 30
# Short, because each idle connection costs a worker resources. The gateway in front closes its connections earlier.
keepalive = 5

# Browsers send far fewer. A request with more is answered with 431 before the application runs.
limit_request_fields = 64

# No header may set SCRIPT_NAME or PATH_INFO: a client could then reach paths that the gateway does not forward.
forwarder_headers = ""

# The control socket would be a file in the home folder of the user that runs gunicorn.
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Check the settings before any worker starts; gunicorn would restart a failing worker again and again."""
    try:
        settings = Settings.from_environ(os.environ)
    except ConfigError as error:
        _refuse(str(error))
    for warning in settings.warnings:
        server.log.warning("%s", warning)


def _refuse(why: str) -> NoReturn:
    shutil.rmtree(_metrics, ignore_errors=True)
    sys.exit(why)


def when_ready(server: Any) -> None:
    """Delay the stop after a SIGTERM: `/readyz` answers 503 at once, and the stop begins `DRAIN_SECONDS` later.

    A second SIGTERM stops the server at once. Workers that gunicorn itself replaces stop without delay.
    """

    def drain(_number: int, _frame: object) -> None:
        if os.getpid() != server.pid:
            return  # in a worker that was just forked and has not yet set its own handlers
        signal.signal(signal.SIGTERM, server.signal)
        draining.begin()
        stop = Timer(drain_seconds, os.kill, (os.getpid(), signal.SIGTERM))
        stop.daemon = True
        stop.start()

    if drain_seconds > 0:
        signal.signal(signal.SIGTERM, drain)


def pre_fork(server: Any, worker: Any) -> None:
    """Choose the processor core that a worker is pinned to; none on macOS, which has no pinning."""
    taken = [other.core for other in server.WORKERS.values()]
    can_pin = hasattr(os, "sched_setaffinity")
    worker.core = choose_core(os.sched_getaffinity(0), taken, server.num_workers) if can_pin else None


def post_fork(_server: object, worker: Any) -> None:
    """Pin the worker to its core; threads that it starts later inherit that."""
    if worker.core is not None:
        with suppress(OSError):  # the core was taken offline, or pinning is not permitted: run unpinned
            os.sched_setaffinity(0, {worker.core})


def post_worker_init(_worker: object) -> None:
    """Set the gauge of each worker. Not in `create_app`, which may run before the fork, only once for all workers."""
    metrics.connections_max.set(Settings.from_environ(os.environ).DATABASE_CONNECTIONS)


def child_exit(_server: object, worker: Any) -> None:
    """Remove the gauges of a worker that has ended; its counters and histograms remain."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: object) -> None:
    """Delete the folder of the metrics."""
    shutil.rmtree(_metrics, ignore_errors=True)
