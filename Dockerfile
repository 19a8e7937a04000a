# The service's image: gunicorn as an unprivileged user, on port 8080. `docker build -t session-service .`

FROM python:3.11-slim AS build
WORKDIR /build
RUN python3 -m venv /venv
# First the layer that changes rarely: exactly the pinned packages.
COPY requirements.txt ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY setup.cfg pyproject.toml LICENSE README.md wsgi.py ./
COPY session_service session_service
COPY migrations migrations
RUN /venv/bin/pip install --no-cache-dir --no-deps .
# The client library, for the example backend of the Compose profile `demo`.
COPY client client
RUN /venv/bin/pip install --no-cache-dir --no-deps ./client

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin sessions
COPY --from=build /venv /venv
WORKDIR /app
COPY gunicorn.conf.py ./
ENV PATH=/venv/bin:$PATH
ENV PYTHONDONTWRITEBYTECODE=1
ENV PYTHONUNBUFFERED=1
ENV HOST=0.0.0.0
ENV PORT=8080
# An SQLite file would be lost with the container, so the image has no default database: the start refuses this value
# with a message.
ENV DATABASE_URL=unset://
USER 10001:10001
EXPOSE 8080
# Liveness, not readiness: an outage of the database is no reason to restart the service. http.client uses no proxy.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import http.client, os, sys; http = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=2); http.request('GET', '/healthz'); sys.exit(http.getresponse().status != 200)"]
# gunicorn is the first process, so it gets this signal: it finishes running requests and ends.
STOPSIGNAL SIGTERM
CMD ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
