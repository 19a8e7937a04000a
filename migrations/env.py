"""How Alembic runs here: on the application's engine, with our own version table, never over strangers' tables."""

from pathlib import Path

from alembic import context
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, inspect

from session_service.database.engine import LONG, db
from session_service.database.models import VERSION_TABLE, Base


def refuse_strangers_tables(connection: Connection) -> None:
    """Raise if a table of one of our names is there that no migration of ours has made."""
    present = set(inspect(connection).get_table_names())
    if VERSION_TABLE in present:
        return
    strangers = sorted(present & set(Base.metadata.tables))
    if strangers:
        raise CommandError(
            f"This database already has a table {', '.join(strangers)} that was not made by this service. "
            "Nothing was changed. Give the session service a database of its own (DATABASE_URL)."
        )


def make_file() -> None:
    """Make the file of an SQLite database that is not there yet: the service itself never does."""
    url = db.engine.url
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).touch()


def keep_readers_going(connection: Connection) -> None:
    """Put an SQLite file into WAL mode, in which a writer does not stop readers; the file remembers it."""
    if connection.dialect.name == "sqlite":
        # Outside of any transaction, and only for a file that turned out to be ours.
        connection.connection.cursor().execute("PRAGMA journal_mode = WAL")


def run_migrations() -> None:
    """Run what the command asks for in one transaction, so that a failed migration leaves nothing behind."""
    make_file()
    # An index on a large table takes its time; a lock is waited for no longer than by anybody else.
    with db.engine.connect().execution_options(**{LONG: True}) as connection:
        refuse_strangers_tables(connection)
        connection.rollback()
        keep_readers_going(connection)
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
    raise CommandError("Migrations look at the database first; they cannot be written to a file.")
run_migrations()
