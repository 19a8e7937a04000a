"""How gunicorn serves the application: `gunicorn -c gunicorn.conf.py wsgi:app`."""

import os

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8080')}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "8"))

timeout = 30
graceful_timeout = 30
# Idle clients hold a thread's attention: short, and longer only for the gateway in front, which reuses connections.
keepalive = 5

# Browsers send much less; what is longer is answered 431 before any of our code runs.
limit_request_fields = 64

# The control socket would be a file in somebody's home folder.
control_socket_disable = True
