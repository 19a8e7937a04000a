"""What PostgreSQL says of the service's tables: rows, dead rows, sizes, updates."""

from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

TABLES = ("sessions", "session_tokens", "session_owners", "session_events")
SECONDS_TO_VACUUM = 900

_TABLES = """
    SELECT relname, n_dead_tup, pg_table_size(relid), n_tup_upd, n_tup_hot_upd, autovacuum_count
    FROM pg_stat_user_tables WHERE relname = ANY(%s)
"""
_COUNT = SQL("SELECT count(*) FROM {}")
_INDEXES = """
    SELECT indexrelname, pg_relation_size(indexrelid) FROM pg_stat_user_indexes
    WHERE relname = ANY(%s) ORDER BY relname, indexrelname
"""
_TO_VACUUM = """
    SELECT count(*) FROM pg_stat_user_tables JOIN pg_class ON pg_class.oid = relid
    WHERE pg_stat_user_tables.relname = ANY(%s) AND (
        n_dead_tup > current_setting('autovacuum_vacuum_threshold')::float
            + 0.05 * greatest(reltuples, 0)  -- as migration 0007 sets it for the service's tables
        OR pg_class.oid IN (SELECT vacuumed.relid FROM pg_stat_progress_vacuum AS vacuumed))
"""


@dataclass(frozen=True)
class Table:
    """The statistics of one table; sizes are in bytes, updates since the statistics began."""

    rows: int
    dead: int
    bytes: int
    """Without its indexes."""
    updates: int
    hot_updates: int
    """Updates that changed no index."""
    autovacuums: int


@dataclass(frozen=True)
class Snapshot:
    """The statistics of all tables, and the sizes of their indexes, by name."""

    tables: dict[str, Table]
    indexes: dict[str, int]

    @property
    def table_bytes(self) -> int:
        return sum(one.bytes for one in self.tables.values())

    @property
    def index_bytes(self) -> int:
        return sum(self.indexes.values())


def snapshot(url: str) -> Snapshot:
    """Read the statistics. PostgreSQL's processes report theirs at most a second late."""
    with psycopg.connect(url, autocommit=True) as connection:
        figures = {name: some for name, *some in connection.execute(_TABLES, [list(TABLES)])}
        # Counted, because PostgreSQL only estimates the number.
        rows = {name: _number(connection.execute(_COUNT.format(Identifier(name)))) for name in TABLES}
        indexes = {name: int(size) for name, size in connection.execute(_INDEXES, [list(TABLES)])}
    return Snapshot({name: Table(rows[name], *figures[name]) for name in TABLES}, indexes)


def wait_for_autovacuum(url: str) -> None:
    """Wait until autovacuum has nothing left that its settings would make it do.

    Raises:
        TimeoutError: it did not come to an end.
    """
    deadline = monotonic() + SECONDS_TO_VACUUM
    with psycopg.connect(url, autocommit=True) as connection:
        sleep(2)  # until the last statistics of the load are reported
        while _number(connection.execute(_TO_VACUUM, [list(TABLES)])):
            if monotonic() > deadline:
                raise TimeoutError(f"autovacuum did not end within {SECONDS_TO_VACUUM} s")
            sleep(1)


def wait_for_updates(url: str, before: Snapshot, number: int) -> Snapshot:
    """Return the statistics once they contain *number* updates of `sessions` more than *before*.

    Raises:
        TimeoutError: they never do.
    """
    deadline = monotonic() + 60
    while (now := snapshot(url)).tables["sessions"].updates < before.tables["sessions"].updates + number:
        if monotonic() > deadline:
            raise TimeoutError("PostgreSQL's statistics lack updates")
        sleep(0.5)
    return now


def _number(found: psycopg.Cursor[Any]) -> int:
    row = found.fetchone()
    return int(row[0]) if row else 0
