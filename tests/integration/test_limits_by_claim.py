"""`SESSION_LIMITS`: how many devices a user may have follows from a claim of the token that signs in."""

from typing import Any

import pytest

from session_service.rules.claim_limits import parse_claim_limits
from tests.harness.devices import ids
from tests.harness.support import EDGE, FIREFOX, IPHONE, MakeApp, body, sign_in_with

PLANS = {
    "MAX_SESSIONS_PER_USER": 2,
    "SESSION_LIMITS": parse_claim_limits("plan=free:1,plan=premium:3,account.beta=true:4"),
}


@pytest.mark.parametrize(
    ("claims", "limit"),
    [
        ({"plan": "free"}, 1),
        ({"plan": "premium"}, 3),
        ({"plan": ["other", "premium"]}, 3),
        ({"account": {"beta": True}}, 4),
        ({"plan": "free", "account": {"beta": True}}, 1),
        ({"plan": "unheard of"}, 2),
        ({"plan": None}, 2),
        ({"plan": {"free": 1}}, 2),
        ({}, 2),
    ],
)
def test_the_claim_of_the_token_that_signs_in_decides(make_app: MakeApp, claims: dict[str, Any], limit: int) -> None:
    sign_in = sign_in_with(make_app(**PLANS).test_client())
    for agent in (EDGE, FIREFOX, IPHONE, "TestApp/1.0 (iPad)"):
        last = sign_in(user_agent=agent, **claims)

    count = body(last.get("/sessions/active-devices-count"))

    assert count == {"active_devices": limit, "max_devices": limit}
    assert len(ids(last)) == limit


def test_each_device_is_told_the_limit_of_its_own_token(make_app: MakeApp) -> None:
    sign_in = sign_in_with(make_app(**PLANS).test_client())
    premium, free = sign_in(plan="premium"), sign_in(user_agent=IPHONE, plan="free")

    assert len(free.session["evicted"]) == 1
    assert body(free.get("/sessions/active-devices-count"))["max_devices"] == 1
    refused = premium.get("/sessions/my-sessions")
    assert (refused.status_code, body(refused)["code"]) == (401, "session_ended")
    assert "3 devices are allowed" in body(refused)["detail"]


def test_an_adopted_session_has_the_limit_of_its_token(make_app: MakeApp) -> None:
    app = make_app(**PLANS, UNKNOWN_SESSION_POLICY="adopt", SESSION_LIMIT_POLICY="reject")
    sign_in = sign_in_with(app.test_client())
    first = sign_in(plan="free")
    second = sign_in(user_agent=IPHONE, plan="premium")

    assert ids(second) == [second.id, first.id]
