"""The WSGI application, for gunicorn and for `flask --app wsgi` commands."""

import sys

from session_service.app import create_app
from session_service.config import ConfigError
from session_service.server.logs import configure_logging

configure_logging()

try:
    app = create_app()
except ConfigError as error:
    sys.exit(str(error))
