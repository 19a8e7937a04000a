"""How gunicorn serves the application: `gunicorn -c gunicorn.conf.py wsgi:app`."""

import os
import sys

# Loaded before the workers are forked, who share it then: the rules for user agents alone take a quarter of a second.
import session_service.app  # noqa: F401
from session_service.config import ConfigError, Settings

_host = os.environ.get("HOST") or "127.0.0.1"
bind = f"{f'[{_host}]' if ':' in _host else _host}:{os.environ.get('PORT') or '8080'}"
workers = int(os.environ.get("WEB_CONCURRENCY") or "2")
# gthread, saying less of what it cannot read.
worker_class = "session_service.worker.Worker"
threads = int(os.environ.get("WEB_THREADS") or "8")

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


def on_starting(_server: object) -> None:
    """Stop before any worker starts if the settings cannot be used; a worker that fails is started again and again."""
    try:
        Settings.from_environ(os.environ)
    except ConfigError as error:
        sys.exit(str(error))
