"""Whoever was thrown out stays out: no sequence of calls with such a token, however spelt, ends in anything but 401.

`DELETE /sessions/logout` is left out: it answers 200 to a token whose session has ended, and changes nothing.
"""

from datetime import datetime
from typing import Any

import pytest
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
from tests.harness.support import CHROME, EDGE, FIREFOX, IPHONE, SignedIn, SignIn, make_token, respelt, sign_in_with

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
def test_whoever_was_thrown_out_stays_out_until_the_next_sign_in(app: Flask, how: str, numbers: Numbers) -> None:
    client = app.test_client()
    sign_in = sign_in_with(client)
    refused = 0

    @hypothesis_settings(
        max_examples=numbers.forced_end_examples,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(steps=STEPS, refreshed=REFRESHED, is_admin=st.booleans(), has_jti=st.booleans(), logouts=st.integers(0, 2))
    def run(steps: list[Any], refreshed: list[Any], is_admin: bool, has_jti: bool, logouts: int) -> None:
        nonlocal refused
        user_id = next(USERS)
        claims: dict[str, Any] = {"role": "admin" if is_admin else None, "jti": f"jti-{user_id}" if has_jti else None}
        token = make_token(user_id, **claims)
        victim = sign_in(user_id, token=token, address=HOME)
        for _ in range(logouts):  # which the token survives: only what comes after throws it out
            victim.delete("/sessions/logout")
            victim = sign_in(user_id, token=token, address=HOME)
        other = throw_out(sign_in, how, user_id, victim.id)
        ids = {"id": victim.id, "other": other.id if other else 999_999, "user": user_id}
        before = [row_without_activity(one) for one in everything(app, user_id)]

        for step, spelling, agent, address in steps:
            answer = call(client, step, ids, SPELLINGS[spelling](token), agent, address)
            assert answer.status_code == 401, (step, spelling, agent, answer.json)
            refused += 1
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
    note(f"thrown out ({how}): {refused} calls refused")
    assert refused >= 2.5 * numbers.forced_end_examples
