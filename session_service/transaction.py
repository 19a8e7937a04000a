"""One use case, one transaction: how it begins, ends, and what it means when the database does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from session_service.database import WRITES
from session_service.errors import DatabaseUnavailable
from session_service.extensions import db

TABLES_MISSING = {"42P01", "42703"}
"""PostgreSQL's undefined_table and undefined_column: the migrations have not run. SQLite's is an OperationalError."""


@contextmanager
def transaction(*, writes: bool = False) -> Iterator[None]:
    """Run one use case in one transaction: all of it is on record afterwards, or nothing.

    Args:
        writes: a reading transaction on SQLite takes no lock, a writing one takes it at once.

    Raises:
        DatabaseUnavailable: no answer in time, or the connection broke, perhaps in the middle of the commit.
    """
    try:
        db.session.connection(execution_options={WRITES: writes})
        yield
        db.session.commit()
    except (OperationalError, InterfaceError, InternalError, PoolTimeoutError) as error:
        db.session.rollback()
        raise DatabaseUnavailable(retry_after=1) from error
    except ProgrammingError as error:
        db.session.rollback()
        if getattr(error.orig, "sqlstate", None) in TABLES_MISSING:
            raise DatabaseUnavailable(retry_after=1) from error
        raise
    except BaseException:
        db.session.rollback()
        raise
