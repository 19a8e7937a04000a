"""Rows of an application's own table, as the first frontend's backend has them, and files of them."""

import csv
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask
from psycopg.sql import SQL, Identifier, Literal

from session_service.clock import utcnow
from tests.harness.commands import command
from tests.harness.support import CHROME

ADDRESS = "203.0.113.7"

TABLE = """
CREATE TABLE {name} (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, device_fingerprint TEXT, device_name TEXT,
    device_type TEXT, browser TEXT, ip_address TEXT, user_agent TEXT, is_active BOOLEAN, created_at {time},
    last_activity {time}, expires_at {time}, refresh_token TEXT)
"""


def row_of(number: int, user_id: object = 74, *, days_ago: float = 1, **values: Any) -> dict[str, Any]:
    """Return an active session; *values* replace and add columns, None takes one away."""
    at = (utcnow() - timedelta(days=days_ago)).isoformat()
    row = {
        "id": number,
        "user_id": user_id,
        "device_fingerprint": "data:image/png;base64,iVBORw0KGgo",
        "device_name": CHROME[:100],
        "device_type": "web",
        "browser": "Chrome",
        "ip_address": ADDRESS,
        "is_active": True,
        "created_at": at,
        "last_activity": at,
    }
    return {name: value for name, value in {**row, **values}.items() if value is not None}


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write *rows* as JSON Lines; return the path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write *rows* as CSV, with the columns of all of them; return the path."""
    every = list(rows)
    names = list(dict.fromkeys(name for row in every for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(every)
    return path


def write_table(url: str, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Make an application's table in the database at *url*; PostgreSQL's times have no zone there, as in many."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute(TABLE.format(name=name, time="DATETIME"))
            for row in rows:
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
        return
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(TABLE.format(name=name, time="TIMESTAMP").encode())
        for row in rows:
            into = SQL("INSERT INTO {} ({}) VALUES ({})").format(
                Identifier(name),
                SQL(", ").join(map(Identifier, row)),
                SQL(", ").join(map(Literal, row.values())),
            )
            server.execute(into)


def import_file(app: Flask, path: Path, *words: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Run `sessions import` on a file; return its exit code, its summary, and the rows that it left out."""
    code, said, complaints = command(app, "import", str(path), *words)
    return code, said, [json.loads(line) for line in complaints.splitlines() if line.startswith("{")]


def at(text: str) -> datetime:
    """Return an instant of which the text has no offset, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
