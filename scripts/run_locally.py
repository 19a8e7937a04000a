"""What `make run` does: an embedded database, a secret of its own, gunicorn, and something to type.

For trying the service out on one's own machine only; in production see `docs/operations.md`.
"""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import jwt
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter

ROOT = Path(__file__).resolve().parent.parent
SECRET_FILE = ROOT / "instance" / "development-secret"
ADMIN_ID = 1
USER_ID = 74
TOKEN_SECONDS = 12 * 3600


class LocalServer(WSGIApplication):
    """Gunicorn with the project's settings, which says what to type once it listens."""

    def load_config(self) -> None:
        """Read `gunicorn.conf.py`, as production does."""
        self.app_uri = "wsgi:app"
        self.load_config_from_file(str(ROOT / "gunicorn.conf.py"))
        self.cfg.set("chdir", str(ROOT))
        self.cfg.set("when_ready", lambda server: print(welcome(server), flush=True))


def main() -> None:
    """Prepare what is missing, bring the tables up to date, and serve."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("JWT_SECRET_KEY", development_secret())
    subprocess.run([sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"], check=True)
    LocalServer("%(prog)s").run()


def development_secret() -> str:
    """Return this machine's own secret, made at the first call and kept for the next."""
    SECRET_FILE.parent.mkdir(exist_ok=True)
    if not SECRET_FILE.exists():
        SECRET_FILE.touch(mode=0o600)
        SECRET_FILE.write_text(secrets.token_urlsafe(48))
    return SECRET_FILE.read_text()


def token(claims: dict[str, object]) -> str:
    """Return an access token with *claims*, as the auth server would issue it."""
    expiring = {**claims, "exp": int(time.time()) + TOKEN_SECONDS}
    return jwt.encode(expiring, os.environ["JWT_SECRET_KEY"], algorithm="HS256")


def welcome(server: Arbiter) -> str:
    """Return the address, two tokens, and three calls that work as they stand."""
    host, port = server.address[0][:2]
    url = f"http://{host}:{port}"
    user = token({"id": USER_ID, "email": "ana@example.com"})
    admin = token({"id": ADMIN_ID, "email": "admin@example.com", "role": "admin"})
    return f"""
The session service listens on {url} ({url}/docs shows its API).

A token for user {USER_ID}, good for {TOKEN_SECONDS // 3600} hours:
{user}

A token for an admin:
{admin}

Create a session for user {USER_ID}:
curl -sS -X POST {url}/sessions/create -H 'Authorization: Bearer {user}'

List my sessions:
curl -sS {url}/sessions/my-sessions -H 'Authorization: Bearer {user}'

Look at user {USER_ID}'s sessions as the admin:
curl -sS {url}/sessions/user/{USER_ID} -H 'Authorization: Bearer {admin}'

Stop it with Ctrl-C.
"""


if __name__ == "__main__":
    main()
