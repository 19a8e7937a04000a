"""How gunicorn serves the application: `gunicorn -c gunicorn.conf.py wsgi:app`."""

import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any, NoReturn

# Before the import: it is read when the first metric is made. A folder of this server's own, in the one that is named:
# a command with the same environment counts elsewhere. This file is read again at each reload; a server that takes over
# from another one (SIGUSR2) has that one's environment.
_PREFIX = "session-service-metrics-"
_OURS = f"{_PREFIX}{os.getpid()}-"
_metrics = Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR") or tempfile.gettempdir())
if not _metrics.name.startswith(_OURS):
    _place = _metrics.parent if _metrics.name.startswith(_PREFIX) else _metrics
    _metrics = Path(tempfile.mkdtemp(prefix=_OURS, dir=_place))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics)

from prometheus_client import multiprocess  # noqa: E402

# Loaded before the workers are forked, who share it then: the rules for user agents alone take a quarter of a second.
import session_service.app  # noqa: E402, F401
from session_service import metrics  # noqa: E402
from session_service.config import ConfigError, Settings  # noqa: E402
from session_service.limits import threads_for  # noqa: E402
from session_service.server import draining  # noqa: E402
from session_service.server.cores import choose_core  # noqa: E402

_host = os.environ.get("HOST") or "127.0.0.1"
bind = f"{f'[{_host}]' if ':' in _host else _host}:{os.environ.get('PORT') or '8080'}"
workers = int(os.environ.get("WEB_CONCURRENCY") or "2")
# gthread, saying less of what it cannot read, and keeping no thread for clients that say nothing.
worker_class = "session_service.server.gunicorn_worker.Worker"
_connections = os.environ.get("DATABASE_CONNECTIONS", "").strip()
# What is no number stops the start in a moment (`on_starting`).
threads = threads_for(int(_connections) if _connections.isdecimal() else Settings.DATABASE_CONNECTIONS)

logger_class = "session_service.server.logs.GunicornLogger"

drain_seconds = float(os.environ.get("DRAIN_SECONDS") or "5")
timeout = 30
graceful_timeout = 30
# Short, because idle clients hold a worker's attention; the gateway in front keeps its own connections for less.
keepalive = 5

# Browsers send much less; what is longer is answered 431 before any of our code runs.
limit_request_fields = 64

# Nobody's header may say where the application is mounted: it would lead past a gateway that forwards one path.
forwarder_headers = ""

# The control socket would be a file in somebody's home folder.
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Stop before any worker starts if the settings cannot be used; a worker that fails is started again and again."""
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
    """Let a SIGTERM be noticed before it is obeyed: `/readyz` turns 503, and `DRAIN_SECONDS` later the stop begins.

    A second one does not wait for that. Workers that gunicorn itself replaces do not wait.
    """

    def drain(_number: int, _frame: object) -> None:
        if os.getpid() != server.pid:
            return  # a worker that was forked a moment ago, and has no handlers of its own yet
        signal.signal(signal.SIGTERM, server.signal)
        draining.begin()
        stop = Timer(drain_seconds, os.kill, (os.getpid(), signal.SIGTERM))
        stop.daemon = True
        stop.start()

    if drain_seconds > 0:
        signal.signal(signal.SIGTERM, drain)


def pre_fork(server: Any, worker: Any) -> None:
    """Choose the processor core that a worker keeps to; macOS has no such thing."""
    taken = [other.core for other in server.WORKERS.values()]
    may = hasattr(os, "sched_setaffinity")
    worker.core = choose_core(os.sched_getaffinity(0), taken, server.num_workers) if may else None


def post_fork(_server: object, worker: Any) -> None:
    """Keep to it, with all threads that are begun from now on."""
    if worker.core is not None:
        with suppress(OSError):  # it may have been taken away, or nobody may choose here: it runs all the same
            os.sched_setaffinity(0, {worker.core})


def post_worker_init(_worker: object) -> None:
    """Say what this worker may have in use: not where the application is made, which may be before the fork."""
    metrics.connections_max.set(Settings.from_environ(os.environ).DATABASE_CONNECTIONS)


def child_exit(_server: object, worker: Any) -> None:
    """Forget what an ended worker had in use; what it counted stays."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: object) -> None:
    """Remove the folder of the metrics."""
    shutil.rmtree(_metrics, ignore_errors=True)
