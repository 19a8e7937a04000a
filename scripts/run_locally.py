"""What `make run` does: an embedded database, a secret of its own, gunicorn, and something to type.

For trying the service out on one's own machine only; for production see `docs/deploy.md`.
"""

import os
import secrets
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter

ROOT = Path(__file__).resolve().parent.parent
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))

from scripts.demo_page import WithDemoPage  # noqa: E402
from session_service.auth_server.example_token import example_token  # noqa: E402
from session_service.clock import utcnow  # noqa: E402
from session_service.config import Settings  # noqa: E402

SECRET_FILE = ROOT / "instance" / "development-secret"
ADMIN_ID, USER_ID = "1", "74"
HOURS = 12
REACT = "http://127.0.0.1:8001"
"""Where `npm start` serves the example page in React."""


class LocalServer(WSGIApplication):
    """Gunicorn with the project's settings, which says what to type once it listens."""

    demo_token: str | None = None
    """The token of the demo's user, on the embedded database."""

    def load(self) -> Any:
        """Return the service, with the demo's page beside it."""
        app = super().load()
        return WithDemoPage(app) if self.demo_token else app

    def load_config(self) -> None:
        """Read `gunicorn.conf.py`, as production does."""
        self.app_uri = "wsgi:app"
        self.load_config_from_file(str(ROOT / "gunicorn.conf.py"))
        self.cfg.set("chdir", str(ROOT))
        self.cfg.set("when_ready", lambda server: print(welcome(server, self.demo_token), flush=True))


def main() -> None:
    """Prepare what is missing, bring the tables up to date, and serve."""
    if not os.environ.get("JWT_SECRET_KEY"):
        os.environ["JWT_SECRET_KEY"] = development_secret()
    os.environ["HOST"] = "127.0.0.1"
    os.environ.setdefault("CORS_ALLOWED_ORIGINS", REACT)
    require_free_port(os.environ.get("PORT") or "8080")
    if subprocess.run([sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"], check=False).returncode:
        sys.exit("The tables could not be made: see above.")
    if not os.environ.get("DATABASE_URL"):
        command = [sys.executable, "-m", "scripts.demo_user"]
        made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        LocalServer.demo_token = made.stdout.strip()
    LocalServer("%(prog)s").run()


def require_free_port(port: str) -> None:
    """End the process with one line if *port* is in use or is not a port."""
    try:
        with socket.create_server(("127.0.0.1", int(port))):
            pass
    except (ValueError, OverflowError):
        sys.exit(f"PORT must be a number from 1 to 65535, not {port!r}.")
    except OSError as error:
        sys.exit(f"Port {port} cannot be used ({error.strerror}). Take another one: make run PORT=9000")


def development_secret() -> str:
    """Return this machine's own secret, made at the first call and kept for the next."""
    SECRET_FILE.parent.mkdir(mode=0o700, exist_ok=True)
    if not SECRET_FILE.exists():
        unfinished = SECRET_FILE.with_suffix(".new")
        unfinished.touch(mode=0o600)
        unfinished.write_text(secrets.token_urlsafe(48))
        unfinished.rename(SECRET_FILE)
    return SECRET_FILE.read_text()


def welcome(server: Arbiter, demo_token: str | None) -> str:
    """Return the address, two tokens, and calls that work as they stand: a session from its creation to its end."""
    settings = Settings.from_environ(os.environ)
    host, port = server.address[0][:2]
    url, lasts, now = f"http://{host}:{port}", timedelta(hours=HOURS), utcnow()
    user = example_token(settings, USER_ID, role=None, lasts=lasts, now=now)
    admin = example_token(settings, ADMIN_ID, role=settings.ADMIN_ROLES[0], lasts=lasts, now=now)
    pages = (
        f"""A page with a user's devices:
{url}/demo#token={demo_token}

The same in React, with npm, from another terminal:
(cd examples/react && npm install && npm start)
{REACT}/#api={url}&token={demo_token}

"""
        if demo_token
        else ""
    )
    return f"""
The session service listens on {url} ({url}/docs shows its API).

{pages}The console for admins:
{url}/console#token={admin}

A token for user {USER_ID}, good for {HOURS} hours:
{user}

A token for an admin:
{admin}

Create a session for user {USER_ID}:
curl -sS -X POST {url}/sessions/create -H 'Authorization: Bearer {user}'

List my sessions:
curl -sS {url}/sessions/my-sessions -H 'Authorization: Bearer {user}'

Look at user {USER_ID}'s sessions as the admin:
curl -sS {url}/sessions/user/{USER_ID} -H 'Authorization: Bearer {admin}'

Sign this device out:
curl -sS -X DELETE {url}/sessions/logout -H 'Authorization: Bearer {user}'

Try again, and read why it is 401 now. The token itself is valid for {HOURS} hours; it is the session that has ended:
curl -sS {url}/sessions/my-sessions -H 'Authorization: Bearer {user}'

A signed-out token stays out. For a new one, run this again. Stop it with Ctrl-C.
"""


if __name__ == "__main__":
    main()
