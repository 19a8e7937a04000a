"""The WSGI application that gunicorn serves and `flask --app wsgi` commands use."""

import sys

from session_service.app import create_app
from session_service.config import ConfigError
from session_service.server.logs import configure_logging

configure_logging()

try:
    app = create_app()
except ConfigError as error:
    sys.exit(str(error))
