"""The picture of the house, as a table, and the check that it is true."""

import ast
from pathlib import Path

import pytest

from session_service import app

PACKAGE = Path(app.__file__).parent

LEAVES = {"clock", "errors", "records"}
RULES = {"addresses", "devices", "policy", "identifiers", "presenter", "recognition", "sign_in", "user_agents"}

MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    # leaves: anyone may import them
    "clock": set(),
    "errors": set(),
    "records": set(),
    # rules: no Flask, no database, no clock
    "addresses": {"records"},
    "devices": {"user_agents"},
    "user_agents": {"identifiers"},
    "identifiers": {"records"},
    "keys": {"identifiers"},
    "policy": {"addresses", "records"},
    "recognition": {"addresses", "policy", "records"},
    "sign_in": {"addresses", "config", "devices", "records"},
    "presenter": {"config", "policy", "records"},
    # settings
    "environment": set(),
    "config": {"database", "environment", "identifiers", "keys", "records"},
    # what is told
    "logs": set(),
    "metrics": {"errors", "records"},
    "chronicle": {"metrics", "records"},
    # the bottom
    "deadline": set(),
    "places": {"deadline", "errors"},
    "connection": {"deadline"},
    "draining": set(),
    "cores": set(),
    "database": {"connection", "deadline"},
    "outgoing": {"errors", "metrics", "places"},
    "key_source": {"config", "errors", "keys", "metrics", "outgoing"},
    "tokens": {"clock", "config", "identifiers", "key_source", "keys", "records"},
    "extensions": {"tokens"},
    "models": {"extensions", "records"},
    "transaction": {"chronicle", "database", "errors", "extensions", "metrics", "places", "prepared", "records"},
    "prepared": {"connection"},
    "statements": {"models", "prepared", "records"},
    "store": {"models", "prepared", "records", "statements", "transaction"},
    "purge_store": {"models", "records", "transaction"},
    "privacy_store": {"models", "transaction"},
    # use cases
    "directory": {"config", "errors", "outgoing", "records"},
    "current": {
        "addresses",
        "clock",
        "config",
        "devices",
        "errors",
        "policy",
        "recognition",
        "records",
        "store",
        "transaction",
    },
    "opening": {
        "config",
        "current",
        "errors",
        "metrics",
        "policy",
        "presenter",
        "records",
        "sign_in",
        "store",
        "transaction",
    },
    "service": {
        "config",
        "current",
        "directory",
        "errors",
        "opening",
        "policy",
        "presenter",
        "recognition",
        "records",
        "store",
        "transaction",
    },
    "purge": {"config", "policy", "purge_store", "records", "transaction"},
    "privacy": {"config", "presenter", "privacy_store", "store", "transaction"},
    "readiness": {"deadline", "draining", "errors", "key_source", "models", "store", "transaction"},
    # the outside
    "auth": {
        "addresses",
        "clock",
        "config",
        "current",
        "errors",
        "metrics",
        "records",
        "service",
        "tokens",
        "user_agents",
    },
    "session_schema": {"clock", "identifiers", "records"},
    "example_token": {"config"},
    "cli": {"clock", "config", "errors", "example_token", "identifiers", "privacy", "purge", "records", "service"},
    "views": {
        "auth",
        "clock",
        "config",
        "deadline",
        "errors",
        "extensions",
        "identifiers",
        "logs",
        "metrics",
        "purge",
        "readiness",
        "records",
        "service",
        "session_schema",
    },
    "worker": {"metrics"},
    "app": {"cli", "config", "database", "directory", "extensions", "metrics", "places", "service", "views"},
}

FOREIGN = {"flask", "sqlalchemy", "flask_sqlalchemy", "flask_jwt_extended", "flask_smorest", "marshmallow", "werkzeug"}


LONGER = {"errors.py": 280, "config.py": 280}
"""Lists of many short entries, which nobody reads from end to end."""


def room_of(path: Path) -> str:
    """Return the room that a file belongs to: its module, or its folder."""
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, ours in full (`session_service.store`), others by their first name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "session_service":
            found |= {f"session_service.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def rooms_imported(path: Path) -> set[str]:
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("session_service.")}
    return ours - {"__version__"}


FILES = sorted(PACKAGE.rglob("*.py"))


def test_imports_are_as_in_the_picture_with_no_door_missing_and_none_unused() -> None:
    used = {room: set[str]() for room in map(room_of, FILES)}
    for path in FILES:
        used[room_of(path)] |= rooms_imported(path) - {room_of(path)}

    assert used == MAY_IMPORT


def test_the_picture_has_no_circles() -> None:
    rooms = dict(MAY_IMPORT)
    while rooms:
        bottom = {room for room, doors in rooms.items() if not doors & set(rooms)}
        assert bottom, f"these import each other: {sorted(rooms)}"
        for room in bottom:
            del rooms[room]


@pytest.mark.parametrize("room", sorted(LEAVES | RULES))
def test_rules_and_leaves_know_neither_flask_nor_the_database(room: str) -> None:
    assert not {name.split(".")[0] for name in imports(PACKAGE / f"{room}.py")} & FOREIGN


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_imported_inside_a_function(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert not [inner for inner in ast.walk(node) if isinstance(inner, ast.Import | ast.ImportFrom)]


def callers_of(name: str) -> set[str]:
    """Return the rooms in which a function or method of this name is called."""
    return {
        room_of(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and name in {getattr(node.func, "id", None), getattr(node.func, "attr", None)}
    }


def test_only_the_edges_read_the_clock() -> None:
    assert callers_of("utcnow") <= {"views", "auth", "cli", "tokens"}
    assert callers_of("now") | callers_of("today") <= {"clock"}


def test_only_the_store_executes_and_only_a_transaction_commits() -> None:
    assert callers_of("commit") == {"transaction"}
    assert callers_of("execute") - {"database"} == {"prepared", "privacy_store", "purge_store", "transaction"}
    assert callers_of("ask") == {"store"}
    assert not [path for path in FILES if "db.session" in path.read_text()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGER.get(path.name, 240)
