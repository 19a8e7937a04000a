"""The library imports nothing of the service, and its rules nothing that calls or waits."""

import ast
from pathlib import Path

import session_client

FILES = {path.stem: path for path in Path(session_client.__file__).parent.glob("*.py")}
PURE = ("answers", "caller", "calls", "errors", "feed", "fake_sessions", "options", "remembered", "web")
CALLING = {"httpx", "httpcore", "anyio", "asyncio", "socket", "time", "session_client.clock"}
FRAMEWORKS = {"fastapi": {"starlette"}, "flask": {"flask"}, "django": {"django"}}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_nothing_of_the_service_is_imported() -> None:
    assert len(FILES) > 15
    for path in FILES.values():
        assert not {name for name in imports(path) if name.partition(".")[0] == "session_service"}, path.name


def test_the_rules_call_nothing_and_read_no_clock() -> None:
    for name in PURE:
        assert not imports(FILES[name]) & CALLING, name


def test_a_framework_is_imported_by_its_adapter_alone() -> None:
    every = set().union(*FRAMEWORKS.values())
    for name, path in FILES.items():
        used = {one.partition(".")[0] for one in imports(path)} & every
        assert used == FRAMEWORKS.get(name, set()), name
