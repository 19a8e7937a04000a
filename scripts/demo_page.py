"""The page that `make run` shows beside the service: an application's page with `<session-list>` in it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent / "demo"
MEDIA_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'"


class WithDemoPage:
    """A WSGI application that serves the demo's page at `/demo`, and everything else by the service."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._files = {f"/demo/{path.name}": path for path in PAGE.iterdir()}
        self._files["/demo"] = PAGE / "index.html"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        path = self._files.get(environ.get("PATH_INFO", ""))
        if path is None or environ.get("REQUEST_METHOD") != "GET":
            return self._app(environ, start_response)
        headers = {
            "Content-Type": MEDIA_TYPES[path.suffix],
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-store",
        }
        start_response("200 OK", list(headers.items()))
        return [path.read_bytes()]
