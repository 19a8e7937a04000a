"""What is kept of a person, and how it is kept less, handed out, and erased: on both databases."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from session_service.extensions import db
from tests.support import CHROME, IPHONE, make_token, sign_in_with

MakeApp = Callable[..., Flask]

ADDRESS, NEIGHBOUR, ELSEWHERE = "203.0.113.7", "203.0.113.200", "203.0.114.7"
ADDRESS_V6, NEIGHBOUR_V6 = "2001:db8:1:2:3:4:5:6", "2001:db8:1:ffff::9"
REPORTED = "198.51.100.77"


def dump(app: Flask) -> str:
    """Return all that is in the database, as text."""
    with app.app_context(), db.engine.connect() as connection:
        tables = db.inspect(connection).get_table_names()
        rows = [str(row) for table in tables for row in connection.execute(text(f"SELECT * FROM {table}"))]
    return "\n".join(rows)


# Less is kept


def test_neither_user_agent_nor_whole_address_is_anywhere_in_the_database(make_app: MakeApp) -> None:
    app = make_app(STORE_USER_AGENT=False, MASK_ADDRESSES=True)
    sign_in = sign_in_with(app.test_client())

    shown = sign_in(address=ADDRESS).session
    shown_v6 = sign_in(user_agent=IPHONE, address=ADDRESS_V6).session
    reported = sign_in(75, address="10.20.30.40", body={"ip_address": REPORTED, "device_name": CHROME}).session

    everything = dump(app)
    for kept in (ADDRESS, ADDRESS_V6, "2001:db8:1:2", "10.20.30.40", REPORTED, "Mozilla", "AppleWebKit", "131.0"):
        assert kept not in everything
    assert (shown["ip_address"], shown["ip_source"]) == ("203.0.113.0", "observed")
    assert shown_v6["ip_address"] == "2001:db8:1::"
    assert (reported["ip_address"], reported["ip_source"]) == ("198.51.100.0", "reported")
    assert shown["device_name"] == reported["device_name"] == "Chrome on Windows 10"


def test_by_default_both_are_kept_as_they_came(make_app: MakeApp) -> None:
    app = make_app()
    sign_in = sign_in_with(app.test_client())
    sign_in(address=ADDRESS)
    sign_in(75, address=ADDRESS_V6)
    sign_in(76, address="10.20.30.40", body={"ip_address": REPORTED})

    everything = dump(app)
    for kept in (f"'{ADDRESS}'", f"{ADDRESS}/32", ADDRESS_V6, "2001:db8:1:2::/64", REPORTED, "10.20.30.40/32", CHROME):
        assert kept in everything


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [(ADDRESS, NEIGHBOUR, "replaced"), (ADDRESS_V6, NEIGHBOUR_V6, "replaced"), (ADDRESS, ELSEWHERE, None)],
)
def test_one_masked_network_is_one_place(make_app: MakeApp, first: str, second: str, reason: str | None) -> None:
    sign_in = sign_in_with(make_app(MASK_ADDRESSES=True).test_client())
    before, after = sign_in(address=first), sign_in(address=second)

    assert after.get(f"/sessions/session/{before.id}").json["end_reason"] == reason


@pytest.mark.parametrize(("one", "other"), [(False, True), (True, False)], ids=["switched on", "switched off"])
def test_a_device_is_recognised_after_masking_is_switched(make_app: MakeApp, one: bool, other: bool) -> None:
    before, after = (make_app(MASK_ADDRESSES=switch).test_client() for switch in (one, other))
    home = sign_in_with(before)(address=ADDRESS)
    sign_in_with(before)(address=ELSEWHERE)
    refreshed = {"Authorization": f"Bearer {make_token(refreshed=1)}", "User-Agent": CHROME}
    here: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": ADDRESS}}

    recognised = after.get("/sessions/validate", headers=refreshed, **here)
    again = sign_in_with(after)(address=ADDRESS)

    assert recognised.json["session_id"] == home.id
    assert again.get(f"/sessions/session/{home.id}").json["end_reason"] == "replaced"
