"""How the modules are laid out, as a table, and the check that it is true."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from session_service import app

PACKAGE = Path(app.__file__).parent

MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    # plain values and small tools, at the root
    "records": set(),
    "errors": set(),
    "clock": set(),
    "limits": set(),
    "deadline": {"limits"},
    "request_id": set(),
    "bulkhead": {"deadline", "errors"},
    "metrics": {"errors", "records", "rules"},
    "events": {"metrics", "records"},
    "observed": {"metrics", "rules"},
    "environment": {"rules"},
    "config": {"config_checks", "environment", "limits", "records", "rules"},
    "config_checks": {"limits", "rules"},
    # folders
    "rules": {"limits", "records"},
    "database": {"bulkhead", "deadline", "errors", "events", "limits", "metrics", "records", "rules"},
    "auth_server": {"bulkhead", "clock", "config", "errors", "limits", "metrics", "records", "rules"},
    "services": {
        "auth_server",
        "clock",
        "config",
        "database",
        "deadline",
        "errors",
        "limits",
        "metrics",
        "observed",
        "records",
        "rules",
    },
    "server": {"metrics", "request_id"},
    "views": {
        "auth_server",
        "clock",
        "components",
        "config",
        "deadline",
        "errors",
        "limits",
        "metrics",
        "observed",
        "records",
        "request_id",
        "rules",
        "services",
        "webhooks",
    },
    "webhooks": {
        "clock",
        "components",
        "config",
        "database",
        "errors",
        "limits",
        "operator_command",
        "records",
        "services",
    },
    "importing": {
        "auth_server",
        "clock",
        "components",
        "config",
        "database",
        "limits",
        "operator_command",
        "records",
        "rules",
        "services",
    },
    # what puts them together
    "components": {"auth_server", "config", "services"},
    "operator_command": {"clock", "database", "errors", "records", "services"},
    "search_commands": {"clock", "components", "operator_command", "records", "rules", "services"},
    "cli": {
        "auth_server",
        "clock",
        "components",
        "importing",
        "operator_command",
        "records",
        "rules",
        "search_commands",
        "services",
        "webhooks",
    },
    "app": {"auth_server", "cli", "components", "config", "database", "metrics", "services", "views"},
}
"""What a module at the root, or the modules of a folder, may import of this package, besides their own folder."""

EXCEPTIONS: dict[str, set[str]] = {
    # Settings are checked when they are read: a key, and the database's URL.
    "config": {"auth_server.keys", "database.urls"},
    "config_checks": {"auth_server.keys", "webhooks.endpoints"},
    # A process that is about to stop is not ready.
    "services.readiness": {"server.draining"},
}
"""Single modules that one module may import beyond that."""

PURE = {"records", "errors", "clock", "limits", "rules"}
"""These load on a machine that has none of `BLOCKED`."""

BLOCKED = (
    "flask",
    "sqlalchemy",
    "psycopg",
    "urllib3",
    "werkzeug",
    "flask_sqlalchemy",
    "flask_jwt_extended",
    "marshmallow",
)

FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    """Return a file's dotted name within the package: `config`, `rules.policy`, `rules` for its `__init__`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def room_of(module: str) -> str:
    """Return the folder of a module, or the module itself at the root."""
    return module.partition(".")[0]


def imports(path: Path) -> set[str]:
    """Return the modules of this package that a file imports, by their dotted names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` and `from package.module import name` look alike.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {name.removeprefix("session_service.") for name in names if name.startswith("session_service.")}
    return found & set(MODULES)


def test_imports_are_those_of_the_table_and_the_table_has_no_unused_entry() -> None:
    used = {room: set[str]() for room in map(room_of, MODULES)}
    excepted = {module: set[str]() for module in EXCEPTIONS}
    for module, path in MODULES.items():
        exceptions = EXCEPTIONS.get(module, set())
        elsewhere = {one for one in imports(path) if room_of(one) != room_of(module)}
        for imported in elsewhere:
            if imported in exceptions:
                excepted[module].add(imported)
            elif imported not in {room_of(one) for one in exceptions}:
                used[room_of(module)].add(room_of(imported))

    assert used == MAY_IMPORT
    assert excepted == EXCEPTIONS


def test_no_module_imports_itself_by_way_of_others() -> None:
    left = {module: imports(path) - {module} for module, path in MODULES.items()}
    while left:
        bottom = {module for module, imported in left.items() if not imported & set(left)}
        assert bottom, f"these import each other: {sorted(left)}"
        for module in bottom:
            del left[module]


def test_rules_and_plain_values_load_without_flask_and_the_database() -> None:
    pure = sorted(f"session_service.{module}" for module in MODULES if room_of(module) in PURE)
    script = f"""
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ImportError(f"{{name}} is not installed on this machine")
sys.meta_path.insert(0, Blocked())
for name in {pure!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr


FOLDERS = sorted({path.parent for path in FILES if path.parent != PACKAGE})


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_folder_says_what_lives_there_and_what_does_not(folder: Path) -> None:
    words = " ".join((ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or "").split())

    assert "Lives here:" in words
    assert "Does not live here:" in words


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_imported_inside_a_function(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert not [inner for inner in ast.walk(node) if isinstance(inner, ast.Import | ast.ImportFrom)]


def callers_of(name: str) -> set[str]:
    """Return the modules in which a function or method of this name is called."""
    return {
        module
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and name in {getattr(node.func, "id", None), getattr(node.func, "attr", None)}
    }


def test_only_the_edges_read_the_clock_and_a_request_reads_it_once() -> None:
    edges = {"views.guards", "views.ops", "views.fast_path", "cli", "auth_server.tokens"}
    commands = {"importing.commands", "search_commands", "webhooks.commands"}
    assert callers_of("utcnow") == edges | commands | {"webhooks.delivery"}
    assert callers_of("now") | callers_of("today") <= {"clock"}


def test_sql_runs_in_the_database_folder_and_only_a_transaction_commits() -> None:
    assert callers_of("commit") == {"database.transaction"}
    assert {room_of(module) for module in callers_of("execute")} == {"database"}
    assert {room_of(module) for module in callers_of("run_prepared")} == {"database"}
    assert not [path for path in FILES if "db.session" in path.read_text()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 260
