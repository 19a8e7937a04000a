"""Runs the Node server, fills its table, and makes requests of its sessions."""

import hmac
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from urllib.parse import quote

import psycopg

from benchmarks.load import request
from benchmarks.seed import Bearer, Population, fill
from benchmarks.servers import PROCESSES, Server, free_port, running

PACKAGES = Path(sys.prefix) / "node" / "node_modules"
_SERVER = Path(__file__).resolve().parent / "server.js"

_SESSIONS = """
    INSERT INTO session (sid, sess, expire)
    SELECT md5('session ' || id), format(
        '{"cookie":{"originalMaxAge":2592000000,"expires":"%%s","httpOnly":true,"path":"/"},"user_id":%%s,"session_id":%%s}',
        to_char(now() AT TIME ZONE 'UTC' + interval '30 days', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), user_id, id
    )::json, now() + interval '30 days'
    FROM numbers
"""


def seed_express(url: str, population: Population) -> None:
    """Create the table as connect-pg-simple has it, and fill it with the same users and sessions."""
    with psycopg.connect(url) as connection:
        connection.execute((PACKAGES / "connect-pg-simple" / "table.sql").read_bytes())
    fill(url, population, (_SESSIONS,), tables=())


def get_session(bearers: Sequence[Bearer], secret: str) -> list[bytes]:
    """Return a request of each of *bearers* for its session, with its cookie in place of the token."""
    return [request("GET", "/session", f"Cookie: {cookie_of(one, secret)}", one.user_agent) for one in bearers]


def cookie_of(bearer: Bearer, secret: str) -> str:
    """Return the cookie of a seeded session, signed as express-session does."""
    sid = md5(f"session {bearer.session_id}".encode(), usedforsecurity=False).hexdigest()
    signature = b64encode(hmac.digest(secret.encode(), sid.encode(), "sha256")).decode().rstrip("=")
    return f"connect.sid={quote(f's:{sid}.{signature}', safe='')}"


@contextmanager
def node(database_url: str, secret: str) -> Iterator[Server]:
    """Serve `server.js` with the same number of processes as the other servers.

    Raises:
        FileNotFoundError: there is no `node` on the path.
    """
    port = free_port()
    settings = {
        "DATABASE_URL": database_url,
        "SESSION_SECRET": secret,
        "PORT": str(port),
        "PROCESSES": str(PROCESSES),
        "NODE_ENV": "production",
        "NODE_PATH": str(PACKAGES),
    }
    with running([_program(), str(_SERVER)], port, settings) as server:
        yield server


def version() -> str:
    """Return Node's version."""
    return subprocess.run([_program(), "--version"], check=True, capture_output=True, text=True).stdout.strip()


def _program() -> str:
    program = shutil.which("node")
    if program is None:
        raise FileNotFoundError("node: install Node.js")
    return program
