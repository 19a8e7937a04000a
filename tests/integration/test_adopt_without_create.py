"""`adopt` with a backend that never calls `create`: what a person meets whose device was signed out by force.

The service cannot tell a new sign-in from a refreshed token here. `REVOKED_DEVICE_SECONDS` bounds how long it refuses
the device, and gives up as much: after that time a refreshed token brings the device back.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.harness.support import CHROME, FIREFOX, IPHONE, MakeApp, basic, make_token

NOON = datetime(2026, 2, 8, 12, tzinfo=UTC)
ACCESS_TOKEN_LIFE = 1_800
HOME = "203.0.113.7"
SERVICE = basic("backend", "a-secret-of-the-backend")


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def adopting(make_app: MakeApp, clock: Any) -> Callable[..., FlaskClient]:
    def make(**values: Any) -> FlaskClient:
        credentials = {"backend": "a-secret-of-the-backend"}
        return make_app(UNKNOWN_SESSION_POLICY="adopt", SERVICE_CREDENTIALS=credentials, **values).test_client()

    return make


def validate(client: FlaskClient, number: int, *, agent: str = CHROME, address: str = HOME) -> TestResponse:
    """Ask about an access token: each *number* is another one, of a refresh or of a new sign-in; nobody can tell."""
    headers = {"Authorization": f"Bearer {make_token(74, n=number)}", "User-Agent": agent}
    return client.get("/sessions/validate", headers=headers, environ_base={"REMOTE_ADDR": address})


def end_of(response: TestResponse) -> tuple[int, str | None]:
    return response.status_code, (response.json or {}).get("end_reason")


@pytest.mark.parametrize(
    ("setting", "seconds"), [({}, 7 * 86_400), ({"REVOKED_DEVICE_SECONDS": ACCESS_TOKEN_LIFE}, ACCESS_TOKEN_LIFE)]
)
def test_a_device_that_was_ended_by_its_row_is_refused_with_the_right_password_too_until_the_time_has_passed(
    adopting: Callable[..., FlaskClient], clock: Any, setting: dict[str, int], seconds: int
) -> None:
    client = adopting(**setting)
    first = validate(client, 1).json["session_id"]
    assert validate(client, 2, agent=IPHONE).status_code == 200
    phone = {"Authorization": f"Bearer {make_token(74, n=2)}", "User-Agent": IPHONE}
    assert client.delete(f"/sessions/session/{first}", headers=phone).status_code == 200

    clock.move_to(NOON + timedelta(seconds=seconds, microseconds=-1))
    assert end_of(validate(client, 3)) == (401, "revoked")
    clock.move_to(NOON + timedelta(seconds=seconds))
    again = validate(client, 4)

    assert again.status_code == 200
    assert again.json["session_id"] > first
    assert end_of(validate(client, 1)) == (401, "revoked"), "the token that was ended stays out"


def test_a_device_that_was_ended_by_the_limit_is_refused_as_long(
    adopting: Callable[..., FlaskClient], clock: Any
) -> None:
    client = adopting(MAX_SESSIONS_PER_USER=2, REVOKED_DEVICE_SECONDS=ACCESS_TOKEN_LIFE)
    for number, agent in enumerate((CHROME, FIREFOX, IPHONE)):
        assert validate(client, number, agent=agent).status_code == 200

    assert end_of(validate(client, 10)) == (401, "limit")
    clock.move_to(NOON + timedelta(seconds=ACCESS_TOKEN_LIFE))
    assert validate(client, 11).status_code == 200
    assert end_of(validate(client, 12, agent=FIREFOX)) == (401, "limit"), "now the next one has made room"


def test_with_create_the_right_password_helps_at_once(adopting: Callable[..., FlaskClient]) -> None:
    client = adopting()
    first = validate(client, 1).json["session_id"]
    assert client.delete("/sessions/user/74", headers=SERVICE).status_code == 200
    assert end_of(validate(client, 2)) == (401, "admin")

    signed_in = client.post(
        "/sessions/create",
        headers={"Authorization": f"Bearer {make_token(74, n=3)}", "User-Agent": CHROME},
        environ_base={"REMOTE_ADDR": HOME},
    )

    assert signed_in.status_code == 201
    assert validate(client, 3).json["session_id"] > first
    assert validate(client, 4).status_code == 200, "its refreshed token, too"


def test_zero_seconds_never_refuse_a_device_by_what_it_is(adopting: Callable[..., FlaskClient]) -> None:
    client = adopting(REVOKED_DEVICE_SECONDS=0)
    validate(client, 1)
    client.delete("/sessions/user/74", headers=SERVICE)

    assert end_of(validate(client, 1)) == (401, "admin"), "its own token is refused all the same"
    assert validate(client, 2).status_code == 200


def test_a_laptop_at_four_networks_has_four_sessions_and_the_first_gives_way(
    adopting: Callable[..., FlaskClient],
) -> None:
    client = adopting()
    networks = [HOME, "198.51.100.9", "192.0.2.1", "192.0.2.77"]
    ids = [validate(client, number, address=address).json["session_id"] for number, address in enumerate(networks)]
    listed = client.get(
        "/sessions/my-sessions",
        headers={"Authorization": f"Bearer {make_token(74, n=3)}", "User-Agent": CHROME},
        environ_base={"REMOTE_ADDR": networks[3]},
    )

    assert len(set(ids)) == 4
    assert {one["id"] for one in listed.json} == set(ids[1:])
    assert end_of(validate(client, 10, address=HOME)) == (401, "limit"), "back home, it is refused"


def test_with_a_sid_a_laptop_at_four_networks_has_one_session(adopting: Callable[..., FlaskClient]) -> None:
    client = adopting()
    ids = set()
    for number, address in enumerate([HOME, "198.51.100.9", "192.0.2.1", "192.0.2.77"]):
        headers = {"Authorization": f"Bearer {make_token(74, n=number, sid='one')}", "User-Agent": CHROME}
        answer = client.get("/sessions/validate", headers=headers, environ_base={"REMOTE_ADDR": address})
        ids.add(answer.json["session_id"])

    assert len(ids) == 1
