"""Prepared statements over one connection to PostgreSQL, several of them in one round trip.

psycopg's cursors find out anew for each call how to convert its values and its rows, which takes longer than the
statement. Here that is found out once for each statement and connection, when it is prepared; libpq is driven by
`psycopg.pq`, values and rows are converted by `psycopg.adapt`. No SQL here.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import generators
from psycopg.abc import Buffer
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult

from session_service.database.driver import BoundedConnection


class Statement(NamedTuple):
    """A statement that a connection prepares the first time that it runs."""

    name: bytes
    """The same on each connection."""
    sql: bytes
    """With parameters `$1`, `$2` and so on."""


class Result(NamedTuple):
    """What PostgreSQL answered to one statement."""

    rows: Sequence[Any]
    """Tuples in the order of the columns."""
    rowcount: int
    """Number of read or changed rows."""


class PreparedStatement:
    """A statement as one connection has prepared it, with the conversions of its values and its rows."""

    def __init__(self, name: bytes, described: PGresult) -> None:
        self.name = name
        # Without the connection as its context, which refers to this object. So instants come in UTC.
        self._adapter = Transformer(psycopg.adapters)
        self._adapter.set_dumper_types([described.param_type(n) for n in range(described.nparams)], Format.BINARY)
        self._adapter.set_loader_types([described.ftype(n) for n in range(described.nfields)], Format.BINARY)
        self._formats = [Format.BINARY] * described.nparams

    def dump(self, values: Sequence[Any]) -> Sequence[Buffer | None]:
        """Return *values* as PostgreSQL reads them. A number must fit the type of its parameter: nothing checks it."""
        return self._adapter.dump_sequence(values, ()) if values else ()

    def send(self, connection: PGconn, dumped: Sequence[Buffer | None]) -> None:
        """Put the statement into libpq's buffer."""
        connection.send_query_prepared(self.name, dumped, self._formats, Format.BINARY)

    def load(self, answer: PGresult) -> Result:
        """Return the rows of an answer, or how many rows were changed."""
        if answer.status != ExecStatus.TUPLES_OK:
            return Result((), answer.command_tuples or 0)
        self._adapter.set_pgresult(answer, set_loaders=False)
        rows = self._adapter.load_rows(0, answer.ntuples, tuple)
        self._adapter.set_pgresult(None, set_loaders=False)
        return Result(rows, len(rows))


def run_one(driver: BoundedConnection, statement: Statement, values: Sequence[Any]) -> Result:
    """Run one statement, within the transaction that has begun or in one of its own.

    Raises:
        psycopg.Error: PostgreSQL refused it or did not answer in time.
    """
    (prepared,) = _prepare(driver, [statement])
    prepared.send(driver.pgconn, prepared.dump(values))
    (answer,) = driver.wait(generators.execute(driver.pgconn))
    return prepared.load(_accepted(answer))


def run_together(
    driver: BoundedConnection, statements: Sequence[tuple[Statement, Sequence[Any]]], *, begins: bool, commits: bool
) -> list[Result]:
    """Run statements in this order in one round trip, with `BEGIN` before and `COMMIT` after them if so asked.

    If one fails, those after it do not run, and the transaction is not committed.

    Raises:
        psycopg.Error: PostgreSQL refused one or did not answer in time.
    """
    prepared = _prepare(driver, [statement for statement, _ in statements])
    dumped = [one.dump(values) for one, (_, values) in zip(prepared, statements, strict=True)]
    connection = driver.pgconn
    with _pipeline(driver):
        if begins:
            connection.send_query_params(b"BEGIN", None)
        for one, values in zip(prepared, dumped, strict=True):
            one.send(connection, values)
        if commits:
            connection.send_query_params(b"COMMIT", None)
        answers = [_accepted(answer) for answer in _exchange(driver, begins + len(prepared) + commits)]
    return [one.load(answer) for one, answer in zip(prepared, answers[begins:], strict=False)]


def _prepare(driver: BoundedConnection, statements: Sequence[Statement]) -> list[PreparedStatement]:
    known = driver.prepared_statements
    try:
        return [known[one.name] for one in statements]
    except KeyError:
        _prepare_new(driver, {one.name: one.sql for one in statements if one.name not in known})
    return [known[one.name] for one in statements]


def _prepare_new(driver: BoundedConnection, new: Mapping[bytes, bytes]) -> None:
    """Prepare statements, the SQL by the name."""
    with _pipeline(driver):
        for name, sql in new.items():
            driver.pgconn.send_prepare(name, sql)
            driver.pgconn.send_describe_prepared(name)
        answers = _exchange(driver, 2 * len(new))
    # Those before one that failed are prepared nevertheless, and cannot be prepared again.
    for name, parsed, described in zip(new, answers[::2], answers[1::2], strict=True):
        _accepted(parsed)
        driver.prepared_statements[name] = PreparedStatement(name, _accepted(described))


@contextmanager
def _pipeline(driver: BoundedConnection) -> Iterator[None]:
    """Send the statements of a block together. An error that leaves answers unread closes the connection."""
    driver.pgconn.enter_pipeline_mode()
    try:
        yield
    finally:
        try:
            driver.pgconn.exit_pipeline_mode()
        except psycopg.OperationalError:
            driver.close()


def _exchange(driver: BoundedConnection, number: int) -> list[PGresult]:
    """Send what is in libpq's buffer, and return the answers to so many statements, errors too."""
    driver.pgconn.pipeline_sync()
    return driver.wait(_answers(driver.pgconn, number))


def _answers(connection: PGconn, number: int) -> Generator[Any, Any, list[PGresult]]:
    yield from generators.send(connection)
    answers = []
    for _ in range(number):
        answers += yield from generators.fetch_many(connection)
    yield from generators.fetch_many(connection)  # the end of the pipeline
    return answers


def _accepted(answer: PGresult) -> PGresult:
    if answer.status not in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
        raise psycopg.errors.error_from_result(answer)
    return answer
