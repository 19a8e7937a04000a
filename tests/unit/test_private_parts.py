"""The private parts of libraries that this service overrides or uses: each is named here, and its minor version pinned.

A new minor version may rename or drop them. The pins in `setup.cfg` keep it out until this file has been looked at.
"""

import configparser
import inspect
from importlib.metadata import version
from typing import Any

import flask_jwt_extended
import flask_smorest
import jwt
import psycopg
import pytest
from gunicorn.workers.gthread import TConn, ThreadWorker
from packaging.requirements import Requirement
from psycopg import generators
from psycopg._py_transformer import Transformer

from session_service.auth_server.tokens import AuthServerTokens
from session_service.database.driver import BoundedConnection
from session_service.server.gunicorn_worker import Worker
from session_service.views.problems import ProblemApi
from tests.harness.paths import PROJECT

OVERRIDDEN: list[tuple[type, type, str, list[str]]] = [
    (BoundedConnection, psycopg.Connection, "_connect_gen", ["conninfo"]),
    (BoundedConnection, psycopg.Connection, "wait", ["self", "gen", "interval"]),
    (Worker, ThreadWorker, "accept", ["self", "listener"]),
    (Worker, ThreadWorker, "init_process", ["self"]),
    (Worker, ThreadWorker, "enqueue_req", ["self", "conn"]),
    (Worker, ThreadWorker, "set_accept_enabled", ["self", "enabled"]),
    (Worker, ThreadWorker, "handle_error", ["self", "req", "client", "addr", "exc"]),
    (ProblemApi, flask_smorest.Api, "_register_responses", ["self"]),
    (ProblemApi, flask_smorest.Api, "_register_pagination_header", ["self"]),
    (
        AuthServerTokens,
        flask_jwt_extended.JWTManager,
        "_decode_jwt_from_config",
        ["self", "encoded_token", "csrf_value", "allow_expired"],
    ),
]

USED: list[tuple[type, str]] = [
    (psycopg.Connection, "_exec_command"),
    (ThreadWorker, "on_pending_socket_readable"),
    (ThreadWorker, "finish_request"),
    (ThreadWorker, "handle"),
    (TConn, "set_timeout"),
]

OF_PSYCOPG: list[tuple[Any, str, list[str]]] = [
    (Transformer, "set_dumper_types", ["self", "types", "format"]),
    (Transformer, "set_loader_types", ["self", "types", "format"]),
    (Transformer, "dump_sequence", ["self", "params", "formats"]),
    (Transformer, "set_pgresult", ["self", "result", "set_loaders", "format"]),
    (Transformer, "load_rows", ["self", "row0", "row1", "make_row"]),
    (generators, "_execute", ["pgconn"]),
    (generators, "_send", ["pgconn"]),
    (generators, "_fetch_many", ["pgconn"]),
    (psycopg.errors, "error_from_result", ["result", "encoding"]),
]
"""What `database/round_trip.py` uses and psycopg's documentation does not describe: its Python version, because the
compiled one, which has the same, tells no parameters."""

PINNED = ["flask-jwt-extended", "flask-smorest", "gunicorn", "psycopg", "pyjwt"]


@pytest.mark.parametrize(
    ("ours", "base", "name", "parameters"), OVERRIDDEN, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_what_is_overridden_is_there_with_the_same_parameters(
    ours: type, base: type, name: str, parameters: list[str]
) -> None:
    def names(of: Any) -> list[str]:
        return [one for one in inspect.signature(getattr(of, name)).parameters if one != "timeout"]

    assert name in vars(ours), "it is not overridden any more: take it out of this table"
    assert names(base) == parameters
    assert len(names(ours)) == len(parameters)


@pytest.mark.parametrize(("of", "name"), USED, ids=lambda value: getattr(value, "__name__", str(value)))
def test_what_is_used_is_there(of: type, name: str) -> None:
    assert callable(getattr(of, name))


@pytest.mark.parametrize(("of", "name", "parameters"), OF_PSYCOPG, ids=lambda value: getattr(value, "__name__", "-"))
def test_what_converts_values_and_rows_has_the_same_parameters(of: Any, name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(of, name)).parameters) == parameters


def test_pyjwt_verifies_by_the_algorithms_of_its_own_object() -> None:
    mine, others = jwt.PyJWT(), jwt.PyJWT()
    mine._jws.unregister_algorithm("HS256")

    token = jwt.encode({"sub": "1"}, "a secret of the tests, long enough", "HS256")
    with pytest.raises(jwt.InvalidAlgorithmError):
        mine.decode(token, "a secret of the tests, long enough", ["HS256"])
    assert others.decode(token, "a secret of the tests, long enough", ["HS256"]) == {"sub": "1"}


@pytest.mark.parametrize("package", PINNED)
def test_a_package_with_overridden_private_parts_is_pinned_to_its_minor_version(package: str) -> None:
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    requirements = [Requirement(line) for line in setup["options"]["install_requires"].split("\n") if line]
    pin = next(one for one in requirements if one.name.lower() == package)
    major, minor = (int(part) for part in version(package).split(".")[:2])

    assert pin.specifier.contains(f"{major}.{minor}.99")
    assert not pin.specifier.contains(f"{major}.{minor + 1}.0")
    assert not pin.specifier.contains(f"{major + 1}.0")
