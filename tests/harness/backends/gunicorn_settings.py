"""gunicorn's settings for the backends of the tests: none, but in place of the service's own file."""

graceful_timeout = 5
