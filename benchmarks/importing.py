"""How fast `sessions import` is, and what live traffic feels of it: `make bench-import`.

A file of sessions is imported into a PostgreSQL while gunicorn serves checks and sign-ins of the same users, at a fixed
rate. The same traffic without an import is measured before.
"""

import argparse
import http.client
import json
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from random import Random
from threading import Event, Thread
from time import perf_counter, sleep

import psycopg

from benchmarks.machine import describe_machine
from benchmarks.people import NEW_USER_AGENTS, USER_AGENTS, token_of
from benchmarks.seed import migrate
from benchmarks.servers import PROJECT, Server, clean_environment, gunicorn, postgres

DEVICES = len(USER_AGENTS)
SECONDS_ALONE = 20
CHECKS_A_SECOND, SIGN_INS_A_SECOND = 100, 20
SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "8GB"}
"""PostgreSQL's other settings are its defaults: commits wait for the disk, autovacuum and checkpoints run."""


def write_rows(path: Path, rows: int) -> None:
    """Write the file: three devices for each user, of the columns that the first application has."""
    began = datetime.now(UTC) - timedelta(days=5)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            at = (began + timedelta(seconds=number % 400_000)).isoformat()
            row = {
                "id": number + 1,
                "user_id": 1 + number // DEVICES,
                "device_fingerprint": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAASwAAACW",
                "device_name": USER_AGENTS[number % DEVICES][:100],
                "device_type": "web",
                "browser": "Chrome",
                "ip_address": f"198.{18 + number % 2}.{number // 256 % 256}.{number % 256}",
                "user_agent": USER_AGENTS[number % DEVICES],
                "is_active": True,
                "created_at": at,
                "last_activity": at,
            }
            file.write(json.dumps(row) + "\n")


class Caller(Thread):
    """Sends one kind of request at a fixed rate, over one connection, until it is stopped."""

    def __init__(
        self, server: Server, rate: float, headers: Callable[[], dict[str, str]], what: tuple[str, str]
    ) -> None:
        super().__init__()
        self.latencies: list[float] = []
        self.unexpected: list[int] = []
        self.stopped = Event()
        self._server, self._rate, self._headers, self._what = server, rate, headers, what

    def run(self) -> None:
        """Send, and measure from the instant at which a request was due: one that waits for the last one counts."""
        connection = http.client.HTTPConnection(*self._server.address, timeout=30)
        due = perf_counter()
        while not self.stopped.is_set():
            sleep(max(due - perf_counter(), 0))
            connection.request(*self._what, headers=self._headers())
            answer = connection.getresponse()
            answer.read()
            self.latencies.append(perf_counter() - due)
            if answer.status not in (200, 201):
                self.unexpected.append(answer.status)
            due += 1 / self._rate
        connection.close()


@contextmanager
def traffic(server: Server, secret: str, users: int, seed: int) -> Iterator[dict[str, Caller]]:
    """Check and sign in, as users of the import, until the block ends."""
    random, number = Random(seed), 0
    known: list[dict[str, str]] = []

    def sign_in() -> dict[str, str]:
        nonlocal number
        number += 1
        token = token_of(random.randint(1, users), seed * 1_000_000 + number, secret)
        agent = NEW_USER_AGENTS[number % len(NEW_USER_AGENTS)]
        known.append({"Authorization": f"Bearer {token}", "User-Agent": agent})
        return known[-1]

    def check() -> dict[str, str]:
        return random.choice(known[-501:-1])

    create = Caller(server, SIGN_INS_A_SECOND, sign_in, ("POST", "/sessions/create"))
    validate = Caller(server, CHECKS_A_SECOND, check, ("GET", "/sessions/validate"))
    create.start()
    while len(known) < 3:
        sleep(0.01)
    validate.start()
    try:
        yield {"validate": validate, "create": create}
    finally:
        for caller in (create, validate):
            caller.stopped.set()
            caller.join()


def line(name: str, caller: Caller) -> str:
    """Return a row of the table: p50, p99 and the slowest, in milliseconds."""
    ordered = sorted(caller.latencies)
    shares = [ordered[max(ceil(share * len(ordered)) - 1, 0)] * 1_000 for share in (0.5, 0.99, 1)]
    others = f"{len(caller.unexpected)} of {len(ordered)}" if caller.unexpected else "none"
    return f"| {name} | {len(ordered):,} | {' | '.join(f'{one:.1f}' for one in shares)} | {others} |"


def run(rows: int) -> list[str]:
    """Measure; return the lines of the result."""
    secret = secrets.token_hex(32)
    with tempfile.TemporaryDirectory() as folder, postgres(SETTINGS) as database:
        path, url = Path(folder) / "sessions.jsonl", database.new_database("importing")
        write_rows(path, rows)
        migrate(url, secret)
        with gunicorn("wsgi:app", url, secret, MAX_SIGN_INS_PER_MINUTE="0") as server:
            with traffic(server, secret, rows // DEVICES, 1) as alone:
                sleep(SECONDS_ALONE)
            with traffic(server, secret, rows // DEVICES, 2) as beside:
                seconds, first, said = _import(path, url, secret)
        with psycopg.connect(url) as connection:
            (stored,) = connection.execute("SELECT count(*) FROM imported_sessions").fetchone() or (0,)
        machine = describe_machine({"PostgreSQL": database.version()}, ("gunicorn", "sqlalchemy", "psycopg"))
    return [
        f"{machine['processor']}, PostgreSQL {machine['PostgreSQL']}, Python {machine['Python']}",
        "",
        said,
        f"{seconds:.0f} s in all, {rows / seconds:,.0f} rows a second: {first:.0f} s to read and sort, then"
        f" {stored / (seconds - first):,.0f} rows a second to write",
        "",
        "| live requests | number | p50, ms | p99, ms | slowest, ms | unexpected answers |",
        "|---|---|---|---|---|---|",
        *(line(f"`{name}`, alone", caller) for name, caller in alone.items()),
        *(line(f"`{name}`, beside the import", caller) for name, caller in beside.items()),
    ]


def _import(path: Path, url: str, secret: str) -> tuple[float, float, str]:
    """Return the seconds of the import, those until its first batch was committed, and its summary."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "sessions", "import", str(path)]
    environment = clean_environment({"DATABASE_URL": url, "JWT_SECRET_KEY": secret})
    began, first = perf_counter(), 0.0
    with (
        subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) as process,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        while process.poll() is None and not first:
            if connection.execute("SELECT 1 FROM imported_sessions LIMIT 1").fetchone():
                first = perf_counter() - began
            sleep(0.1)
        said = process.communicate()[0].strip()
        if process.returncode:
            raise SystemExit(f"the import ended with code {process.returncode}")
    return perf_counter() - began, first, re.sub(r"\s+", " ", said)


def main() -> None:
    """Run it, and print the result."""
    parser = argparse.ArgumentParser(prog="make bench-import", description="Measure an import beside live traffic.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file")
    print("\n".join(run(parser.parse_args().rows)))


if __name__ == "__main__":
    main()
