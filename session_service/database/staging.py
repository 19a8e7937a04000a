"""A temporary file that sorts rows, because an import may have more of them than fit into memory.

It is SQLite's own temporary database: the file has no name, so it is gone with the process, however that ends.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_TABLE = """
CREATE TABLE staged (
    source_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, created_at REAL NOT NULL, line INTEGER, content BLOB NOT NULL
)
"""
_SORTED = "SELECT user_id, source_id, created_at, line, content FROM staged ORDER BY user_id, created_at, source_id"


class StagingProblem(Exception):
    """The file cannot be written or read: most likely the disk is full."""


class StagedRow(NamedTuple):
    """A row to be sorted."""

    user_id: str
    source_id: str
    created_at: float
    """Seconds since 1970."""
    line: int | None
    content: bytes


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StagingProblem(f"the temporary file cannot be used: {error} (its folder is TMPDIR)") from error


class Staging:
    """Rows in the order of their users, and each user's in the order of their creation.

    Each method may raise a `StagingProblem`.
    """

    def __init__(self) -> None:
        self.rows = 0
        with _problems():
            self._file = sqlite3.connect("", isolation_level=None)
            for statement in ("PRAGMA journal_mode = OFF", _TABLE, "BEGIN"):
                self._file.execute(statement)

    def add(self, row: StagedRow) -> bool:
        """Add a row; return False, and change nothing, if there is one with this id."""
        user_id, source_id, created_at, line, content = row
        values = (source_id, user_id, created_at, line, content)
        with _problems():
            is_new = self._file.execute("INSERT OR IGNORE INTO staged VALUES (?, ?, ?, ?, ?)", values).rowcount == 1
        self.rows += is_new
        return is_new

    def line_of(self, source_id: str) -> int | None:
        """Return the line of the row with this id."""
        found = self._file.execute("SELECT line FROM staged WHERE source_id = ?", (source_id,)).fetchone()
        return found[0] if found else None

    def sorted_rows(self) -> Iterator[StagedRow]:
        """Yield all rows in order."""
        with _problems():
            rows = self._file.execute(_SORTED)
        while True:
            with _problems():
                row = rows.fetchone()
            if row is None:
                return
            yield StagedRow._make(row)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
