"""The WSGI application that gunicorn serves and `flask --app wsgi` commands use."""

from session_service.app import create_app

app = create_app()
