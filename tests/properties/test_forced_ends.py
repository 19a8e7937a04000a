"""Ended is out: no sequence of calls with a token whose session has ended, however spelt, gets anything but 401.

`DELETE /sessions/logout` is left out: it answers 200 to a token whose session has ended, and changes nothing.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from session_service.database import session_queries
from session_service.database.transaction import transaction
from session_service.records import StoredSession
from tests.harness.options import Numbers
from tests.harness.reports import note
from tests.harness.support import (
    CHROME,
    EDGE,
    FIREFOX,
    IPHONE,
    MakeApp,
    SignedIn,
    SignIn,
    make_token,
    respelt,
    sign_in_with,
)

NOON = datetime(2026, 2, 8, 12, tzinfo=UTC)
HOME, OFFICE = "203.0.113.7", "198.51.100.9"
USERS = iter(range(1_000, 1_000_000))

CALLS = [
    ("POST", "/sessions/create"),
    ("GET", "/sessions/validate"),
    ("GET", "/sessions/my-sessions"),
    ("GET", "/sessions/my-sessions?include_inactive=true"),
    ("GET", "/sessions/active-devices-count"),
    ("POST", "/sessions/update-activity"),
    ("GET", "/sessions/session/{id}"),
    ("DELETE", "/sessions/session/{id}"),
    ("GET", "/sessions/session/{other}"),
    ("DELETE", "/sessions/session/{other}"),
    ("DELETE", "/sessions/logout-all"),
    ("DELETE", "/sessions/logout-all?exclude_current=true"),
    ("GET", "/sessions/user/{user}"),
    ("DELETE", "/sessions/user/{user}"),
]

SPELLINGS = {
    "as it is": lambda token: f"Bearer {token}",
    "lower case": lambda token: f"bearer {token}",
    "capitals": lambda token: f"BEARER {token}",
    "more blanks": lambda token: f"  Bearer   {token}  ",
    "tabs": lambda token: f"Bearer \t{token}",
    "padded": lambda token: f"Bearer {token}=",
    "respelt": lambda token: f"Bearer {respelt(token)}",
    "each part padded": lambda token: "Bearer " + ".".join(part + "=" for part in token.split(".")),
    "twice": lambda token: f"Bearer {token} {token}",
    "a list": lambda token: f"Bearer {token}, Bearer {token}",
    "quoted": lambda token: f'Bearer "{token}"',
}

STEPS = st.lists(
    st.tuples(
        st.sampled_from(CALLS),
        st.sampled_from(sorted(SPELLINGS)),
        st.sampled_from([CHROME, FIREFOX, IPHONE, EDGE, "", "curl/8.5.0"]),
        st.sampled_from([HOME, OFFICE]),
    ),
    min_size=1,
    max_size=12,
)


def generated(numbers: Numbers) -> hypothesis_settings:
    """Return how the sequences of this module are made."""
    return hypothesis_settings(
        max_examples=numbers.forced_end_examples,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        database=None,
    )


REFRESHED = st.lists(st.tuples(st.sampled_from(CALLS[1:]), st.integers(0, 3)), max_size=6)


def call(client: FlaskClient, step: Any, ids: dict[str, int], authorization: str, *sender: str) -> Any:
    (method, path), (agent, address) = step, sender or (CHROME, HOME)
    return client.open(
        path.format(**ids),
        method=method,
        headers={"Authorization": authorization, "User-Agent": agent},
        environ_base={"REMOTE_ADDR": address},
    )


def throw_out(sign_in: SignIn, how: str, user_id: int, victim_id: int) -> SignedIn | None:
    """End the victim's session in one of the three ways; return the session of the user's that did it, if one did."""
    if how == "admin":
        sign_in(1, role="admin").delete(f"/sessions/session/{victim_id}")
        return None
    rest = [sign_in(user_id, user_agent=agent, address=OFFICE) for agent in (IPHONE, FIREFOX, EDGE)]
    if how == "revoked":
        rest[-1].delete(f"/sessions/session/{victim_id}")
    return rest[-1]


def everything(app: Flask, user_id: int) -> list[StoredSession]:
    with app.app_context(), transaction():
        return session_queries.list_recent(str(user_id), datetime.fromisoformat("2000-01-01T00:00:00+00:00"))


def row_without_activity(session: StoredSession) -> StoredSession:
    return session._replace(last_activity=session.created_at)


@pytest.mark.parametrize("how", ["revoked", "admin", "limit"])
def test_a_device_that_was_ended_by_force_stays_out_until_the_next_sign_in(
    app: Flask, how: str, numbers: Numbers
) -> None:
    client = app.test_client()
    sign_in = sign_in_with(client)
    refused = 0

    @generated(numbers)
    @given(steps=STEPS, refreshed=REFRESHED, is_admin=st.booleans(), has_jti=st.booleans())
    def run(steps: list[Any], refreshed: list[Any], is_admin: bool, has_jti: bool) -> None:
        nonlocal refused
        user_id = next(USERS)
        claims: dict[str, Any] = {"role": "admin" if is_admin else None, "jti": f"jti-{user_id}" if has_jti else None}
        token = make_token(user_id, **claims)
        victim = sign_in(user_id, token=token, address=HOME)
        other = throw_out(sign_in, how, user_id, victim.id)
        ids = {"id": victim.id, "other": other.id if other else 999_999, "user": user_id}
        before = [row_without_activity(one) for one in everything(app, user_id)]

        refused += refuse_all(client, steps, ids, token)
        for step, number in refreshed:
            text = f"Bearer {make_token(user_id, refreshed=number, role=claims['role'])}"
            answer = call(client, step, ids, text)
            assert (answer.status_code, answer.json["code"]) == (401, "session_ended"), (step, number, answer.json)
            refused += 1

        assert [row_without_activity(one) for one in everything(app, user_id)] == before
        again = sign_in(user_id, address=HOME)
        assert again.get("/sessions/validate").status_code == 200
        late = call(client, CALLS[1], ids, f"Bearer {make_token(user_id, refreshed=9)}")
        assert (late.status_code, late.json.get("session_id")) == (200, again.id)
        assert call(client, CALLS[1], ids, f"Bearer {token}").status_code == 401

    run()
    note(f"ended by force ({how}): {refused} calls refused")
    assert refused >= 2.5 * numbers.forced_end_examples


@pytest.mark.parametrize("policy", ["reject", "allow", "adopt"])
@pytest.mark.parametrize("how", ["logout", "logout-all", "session", "idle", "expired"])
def test_a_token_that_was_signed_out_stays_out(make_app: MakeApp, how: str, policy: str, numbers: Numbers) -> None:
    app = make_app(UNKNOWN_SESSION_POLICY=policy, SESSION_IDLE_SECONDS=60, SESSION_LIFETIME_SECONDS=90)
    client = app.test_client()
    sign_in = sign_in_with(client)
    refused = 0

    with time_machine.travel(NOON, tick=False) as clock:

        @generated(numbers)
        @given(steps=STEPS, has_jti=st.booleans(), creates=st.integers(1, 3))
        def run(steps: list[Any], has_jti: bool, creates: int) -> None:
            nonlocal refused
            clock.move_to(NOON)
            user_id = next(USERS)
            token = make_token(user_id, jti=f"jti-{user_id}" if has_jti else None)
            # The same device again, by the same token: each session but the last one ends as `replaced`.
            victim = [sign_in(user_id, token=token, address=HOME) for _ in range(creates)][-1]
            sign_out(victim, how, clock)
            ids = {"id": victim.id, "other": 999_999, "user": user_id}
            before = everything(app, user_id)

            refused += refuse_all(client, steps, ids, token)

            assert everything(app, user_id) == before
            assert victim.delete("/sessions/logout").status_code == 200
            assert sign_in(user_id, address=HOME).get("/sessions/validate").status_code == 200
            assert call(client, CALLS[0], ids, f"Bearer {token}").status_code == 401

        run()
    note(f"signed out ({how}, {policy}): {refused} calls refused")
    assert refused >= 2.5 * numbers.forced_end_examples


def refuse_all(client: FlaskClient, steps: list[Any], ids: dict[str, int], token: str) -> int:
    """Make each call with *token*, spelt in some way; all must be refused. Return how many that were."""
    for step, spelling, agent, address in steps:
        answer = call(client, step, ids, SPELLINGS[spelling](token), agent, address)
        assert answer.status_code == 401, (step, spelling, agent, answer.json)
    return len(steps)


def sign_out(victim: SignedIn, how: str, clock: Any) -> None:
    """End a session as its own user does, or let its time pass."""
    if how == "idle":
        clock.move_to(NOON + timedelta(seconds=60))
    elif how == "expired":
        clock.move_to(NOON + timedelta(seconds=59))
        assert victim.get("/sessions/my-sessions").status_code == 200
        clock.move_to(NOON + timedelta(seconds=90))
    else:
        path = {"logout": "logout", "logout-all": "logout-all", "session": f"session/{victim.id}"}[how]
        assert victim.delete(f"/sessions/{path}").status_code == 200


def test_a_token_whose_session_was_replaced_may_create_another_one(client: FlaskClient, sign_in: SignIn) -> None:
    token = make_token(74)
    first = sign_in(token=token)
    sign_in()

    assert call(client, CALLS[1], {}, f"Bearer {token}").json["end_reason"] == "replaced"
    assert sign_in(token=token).id > first.id
