"""The service with a fault, chosen by `FAULT`: what a load must show to be wrong, so that its silence means something.

Each fault is one that a maintainer could make: one function of the store, done in the obvious way. The
pause that makes the race wide is in here alone; the real service is tested as it is.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from time import sleep
from typing import Any, cast

from sqlalchemy import Table, insert, select, text, update

import session_service.app
import session_service.server.gunicorn_worker
from session_service import deadline
from session_service.bulkhead import Bulkhead
from session_service.clock import utcnow
from session_service.database import connections, session_queries, statements
from session_service.database.engine import db
from session_service.database.models import UserSession
from session_service.database.transaction import commit_rest, connection, execute, run_prepared
from session_service.records import CreationReason, End, ObservedDevice, SignInState, StoredSession, Token
from tests.harness.rows import insert_created_event, insert_token

PAUSE = 0.15


def _let_go() -> None:
    """Commit, and with that let go of every lock; go on in a transaction that may write."""
    commit_rest(connection())
    sleep(PAUSE)
    if connection().dialect.name == "sqlite":
        connection().begin()
    else:
        db.connections.begin(connection(), writes=True)


def _then_let_go(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        _let_go()
        return result

    return call


def _write_whole_row_back(session_id: int, *, now: datetime, idle: timedelta | None, interval: timedelta) -> bool:
    """Touch a session as an object that was read, changed and saved."""
    row = session_queries.get(session_id)
    assert row is not None
    _let_go()
    _write(session_id, row._replace(last_activity=now)._asdict())
    return True


def _end_without_looking(session_id: int, *args: Any) -> Any:
    """End a session as an UPDATE does that has lost its conditions."""
    _write(session_id, {"ended_at": None})
    return _mark_ended(session_id, *args)


def _end_all_that_were_seen(user_id: str, end: End, idle: timedelta | None, **kwargs: Any) -> Any:
    seen = session_queries.list_active(user_id, end.at, idle)
    _let_go()
    for one in seen:
        _write(one.id, {"ended_at": None})
    return _mark_all_ended(user_id, end, idle, **kwargs)


def _then_from_memory(find: Callable[[Token], Any]) -> Callable[[Token], Any]:
    """Keep in the process what a token stands for, as a cache does."""
    memory: dict[bytes, Any] = {}

    def call(token: Token) -> Any:
        if not memory.get(token.key):
            memory[token.key] = find(token)
        return memory[token.key]

    return call


def _remember_without_looking(token: Token, session_id: int, **_now: Any) -> None:
    insert_token(token, session_id, is_opener=False)


def _state_of_an_owner_who_may_be_gone(token: Token, device: ObservedDevice, _recent: int) -> SignInState:
    """Add the row that is to be locked, and take it for granted that it is there."""
    run_prepared(statements.ADD_OWNER, {"of_user": token.user_id})
    sleep(PAUSE)
    session_queries.lock_owner(token.user_id)
    return SignInState(
        device,
        session_queries.list_by_token(token),
        [],
        session_queries.list_active(token.user_id, utcnow(), None),
        _next_id(),
    )


def _next_id() -> int:
    """Take an id without the lock."""
    on_sqlite = connection().dialect.name == "sqlite"
    taken = statements.last_id_on_sqlite(_sessions) + 1 if on_sqlite else statements.next_id_on_postgresql(_sessions)
    return int(execute(select(taken)).scalar_one())


def _survey_and_let_go(token: Token, device: ObservedDevice, recent: int) -> SignInState:
    state = _lock_and_read_state(token, device, recent)
    _let_go()
    return replace(state, next_id=_next_id())


def _insert_and_let_go(session: StoredSession, token: Token, _reason: CreationReason, _by: str) -> None:
    """Commit the session before its token and its event are written."""
    execute(insert(UserSession), session._asdict())
    _let_go()
    insert_token(token, session.id, is_opener=True)
    insert_created_event(session)


def _write(session_id: int, values: dict[str, Any]) -> None:
    execute(update(UserSession).where(UserSession.id == session_id).values(values))


_sessions = cast(Table, UserSession.__table__)
_lock_and_read_state, _mark_ended, _mark_all_ended = (
    session_queries.lock_and_read_state,
    session_queries.mark_ended,
    session_queries.mark_all_ended,
)

FAULTS: dict[str, dict[str, Callable[..., Any]]] = {
    "surveys outside the lock": {"lock_and_read_state": _survey_and_let_go},
    "touch writes the row back": {"mark_activity": _write_whole_row_back},
    "ends without looking": {"mark_ended": _end_without_looking, "mark_all_ended": _end_all_that_were_seen},
    "remembers sessions": {
        "list_by_token": _then_from_memory(session_queries.list_by_token),
        "get_only_unended": _then_from_memory(session_queries.get_only_unended),
    },
    "remembers tokens without looking": {
        "remember_token": _remember_without_looking,
        "list_recent": _then_let_go(session_queries.list_recent),
    },
    "adopts outside the lock": {"list_recent": _then_let_go(session_queries.list_recent)},
    "locks an owner who may be gone": {"lock_and_read_state": _state_of_an_owner_who_may_be_gone},
    "creates in two transactions": {"insert_session": _insert_and_let_go},
}

WAITING: dict[str, list[tuple[Any, str, Any]]] = {
    "waits for ever": [(deadline, "seconds_left", lambda: None)],
    "all threads may wait": [
        (connections, "Bulkhead", lambda _slots, **waits: Bulkhead(1_000, **waits)),
        (session_service.server.gunicorn_worker, "_is_health_check", lambda _client: False),
    ],
}

_fault = os.environ["FAULT"]
for _wrong in WAITING.get(_fault, []):
    setattr(*_wrong)
for _name, _function in FAULTS.get(_fault, {}).items():
    setattr(session_queries, _name, _function)

app = session_service.app.create_app()
if _fault == "connects before the fork":
    with app.app_context():
        db.session.execute(text("SELECT 1"))
        db.session.remove()
