"""Alembic's environment: it uses the application's engine and a version table of our own.

It refuses a database in which another application has tables of the same names.
"""

from pathlib import Path

from alembic import context
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import OperationalError

from session_service.database.connections import LONG
from session_service.database.engine import db
from session_service.database.models import VERSION_TABLE, Base
from session_service.database.transaction import in_short


def refuse_foreign_tables(connection: Connection) -> None:
    """Do nothing unless the database has a table with one of our names that our migrations have not created.

    Raises:
        CommandError: it has; nothing was changed.
    """
    present = set(inspect(connection).get_table_names())
    if VERSION_TABLE in present:
        return
    foreign = sorted(present & set(Base.metadata.tables))
    if foreign:
        raise CommandError(
            f"This database already has a table {', '.join(foreign)} that was not made by this service. "
            "Nothing was changed. Give the session service a database of its own (DATABASE_URL)."
        )


def create_file() -> None:
    """Create the file of an SQLite database if it does not exist. The service itself never creates it."""
    url = db.engine.url
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).touch()


def enable_wal(connection: Connection) -> None:
    """Switch an SQLite file to WAL mode, in which a writer does not block readers. The mode is stored in the file."""
    if connection.dialect.name == "sqlite":
        # Outside any transaction, and only after `refuse_foreign_tables` has accepted the file.
        connection.connection.cursor().execute("PRAGMA journal_mode = WAL")


def connect() -> Connection:
    """Return a connection.

    Raises:
        CommandError: the database does not answer; a command then ends with one line.
    """
    try:
        return db.engine.connect()
    except OperationalError as error:
        raise CommandError(f"The database did not answer: {in_short(error)}") from error


def run_migrations() -> None:
    """Run the command's migrations in one transaction, so that a failed migration changes nothing."""
    create_file()
    # No time limit for statements, because an index on a large table takes long. The limit for locks stays the same.
    with connect().execution_options(**{LONG: True}) as connection:
        refuse_foreign_tables(connection)
        connection.rollback()
        enable_wal(connection)
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            version_table=VERSION_TABLE,
            transaction_per_migration=False,
            **current_app.extensions["migrate"].configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    raise CommandError("Migrations inspect the database first, so they cannot be written to a file (--sql).")
run_migrations()
