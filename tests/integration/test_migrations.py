"""Tables come from migrations alone: up, down, in step with the models, and never over somebody else's."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text

from session_service.app import MIGRATIONS, create_app
from session_service.database.engine import db
from session_service.database.models import SCHEMA_REVISION, VERSION_TABLE, Base
from tests.harness.support import settings

OURS = {
    "sessions",
    "session_tokens",
    "session_owners",
    "session_events",
    "purged_events",
    "purge_totals",
    "command_ends",
    "webhook_endpoints",
    "parked_deliveries",
    "imported_sessions",
    "observed_ends",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> Iterator[Flask]:
    """Return an application on an empty database of each kind, within its context."""
    app = create_app(settings(DATABASE_URL=new_database(request.param)))
    with app.app_context():
        yield app
        db.engine.dispose()


def tables() -> set[str]:
    with db.engine.connect() as connection:
        return set(inspect(connection).get_table_names())


def run(*statements: str) -> None:
    with db.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@contextmanager
def refused(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Expect that a command of Flask-Migrate gives up; collect what it says."""
    said: list[str] = []
    with pytest.raises(SystemExit) as caught:
        yield said
    assert caught.value.code == 1
    said.append(caplog.text + capsys.readouterr().err)


def test_up_and_down_and_up_again(fresh: Flask) -> None:
    upgrade()
    assert tables() == OURS | {VERSION_TABLE}

    downgrade(revision="base")
    assert tables() == {VERSION_TABLE}

    upgrade()
    assert tables() == OURS | {VERSION_TABLE}


def test_models_and_migrations_agree(fresh: Flask) -> None:
    upgrade()

    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_vacuum_does_not_wait_until_a_fifth_of_a_table_is_dead(new_database: Callable[[str], str]) -> None:
    app = create_app(settings(DATABASE_URL=new_database("postgresql")))
    options = "SELECT relname FROM pg_class WHERE 'autovacuum_vacuum_scale_factor=0.05' = ANY(reloptions)"
    with app.app_context():
        upgrade()
        with db.engine.connect() as connection:
            tuned = set(connection.execute(text(options)).scalars())
        downgrade(revision="0006")
        with db.engine.connect() as connection:
            left = set(connection.execute(text(options)).scalars())
        db.engine.dispose()

    assert (tuned, left) == ({"sessions", "session_tokens", "session_events"}, set())


def test_the_code_knows_which_migration_it_needs() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == SCHEMA_REVISION


def test_every_migration_says_what_it_does() -> None:
    for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions():
        assert script.doc.strip()
        assert script.path.rpartition("/")[2].startswith(f"{script.revision}_")


def test_somebody_elses_sessions_table_is_refused_and_left_as_it_was(
    fresh: Flask, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run(
        "CREATE TABLE sessions (id INTEGER PRIMARY KEY, user_id INTEGER, refresh_token TEXT)",
        "INSERT INTO sessions VALUES (1, 74, 'x')",
        "CREATE TABLE alembic_version (version_num VARCHAR(32))",
        "INSERT INTO alembic_version VALUES ('7f3a')",
    )

    with refused(capsys, caplog) as said:
        upgrade()

    assert "already has a table sessions that was not made by this service" in said[0]
    assert "Nothing was changed" in said[0]
    assert tables() == {"sessions", "alembic_version"}
    with db.engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM sessions")).fetchall() == [(1, 74, "x")]
        assert connection.execute(text("SELECT * FROM alembic_version")).fetchall() == [("7f3a",)]


def test_a_refused_file_is_the_same_to_the_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "theirs.sqlite3"
    with closing(sqlite3.connect(file)) as theirs:
        theirs.execute("CREATE TABLE sessions (id INTEGER PRIMARY KEY)")
    before = file.read_bytes()
    app = create_app(settings(DATABASE_URL=f"sqlite:///{file}"))

    with app.app_context():
        with refused(capsys, caplog):
            upgrade()
        db.engine.dispose()

    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.sqlite3"]


def test_our_own_file_lets_readers_go_on_while_one_writes(tmp_path: Path) -> None:
    app = create_app(settings(DATABASE_URL=f"sqlite:///{tmp_path}/ours.sqlite3"))
    with app.app_context():
        upgrade()
        with db.engine.connect() as connection:
            mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
        db.engine.dispose()

    assert mode == "wal"


def test_another_services_other_tables_do_no_harm(fresh: Flask) -> None:
    run("CREATE TABLE alembic_version (version_num VARCHAR(32))", "INSERT INTO alembic_version VALUES ('7f3a')")

    upgrade()
    downgrade(revision="base")

    assert tables() == {"alembic_version", VERSION_TABLE}


def test_a_migration_that_fails_leaves_nothing_behind(fresh: Flask) -> None:
    upgrade()
    downgrade(revision="base")
    run("CREATE TABLE session_owners (user_id INTEGER)")

    with pytest.raises(Exception, match="session_owners"):
        upgrade()

    assert tables() == {VERSION_TABLE, "session_owners"}


def test_ids_are_never_used_twice(fresh: Flask) -> None:
    upgrade()
    insert = (
        "INSERT INTO sessions (user_id, device_key, device_name, device_type, browser, ip_source,"
        " created_at, last_activity, expires_at) VALUES ('1', '', '', 'web', '', 'observed',"
        " '2026-01-01', '2026-01-01', '2026-01-01') RETURNING id"
    )
    with db.engine.begin() as connection:
        first = connection.execute(text(insert)).scalar_one()
        connection.execute(text("DELETE FROM sessions"))
        second = connection.execute(text(insert)).scalar_one()

    assert second > first
