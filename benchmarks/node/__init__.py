"""The Node alternative of `make bench`: `server.js` is its server, `express` runs it and makes its rows and requests.

The Makefile installs its packages into `.venv/bench/node`, at the versions of `package-lock.json`.
"""
