"""What is kept of a person, and how it is kept less, handed out, and erased: on both databases."""

import json
import logging
from collections import Counter
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from session_service.database.engine import db
from session_service.services.personal_data import export
from tests.harness.commands import command
from tests.harness.people import ADDRESS, ADDRESS_V6, ELSEWHERE, NEIGHBOUR, NEIGHBOUR_V6, PERSON, dump, lead_a_life
from tests.harness.support import CHROME, IPHONE, MakeApp, SignIn, components_of, make_token, sign_in_with

REPORTED = "198.51.100.77"


# Less is kept


def test_neither_user_agent_nor_whole_address_is_anywhere_in_the_database(make_app: MakeApp) -> None:
    app = make_app(MASK_ADDRESSES=True)
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


def test_by_default_whole_addresses_are_kept_and_no_user_agent(make_app: MakeApp) -> None:
    app = make_app()
    sign_in = sign_in_with(app.test_client())
    sign_in(address=ADDRESS)
    sign_in(75, address=ADDRESS_V6)
    sign_in(76, address="10.20.30.40", body={"ip_address": REPORTED})

    everything = dump(app)
    for kept in (f"'{ADDRESS}'", f"{ADDRESS}/32", ADDRESS_V6, "2001:db8:1:2::/64", REPORTED, "10.20.30.40/32"):
        assert kept in everything
    assert "Mozilla" not in everything


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


# What is held is handed out


def lines_of(app: Flask, user_id: str, **options: int) -> list[dict[str, Any]]:
    with app.app_context():
        return list(export(user_id, components_of(app).settings, **options))


def test_a_person_gets_all_that_is_held(app: Flask) -> None:
    ended = lead_a_life(app)

    code, said, complaints = command(app, "export", str(PERSON))

    lines = [json.loads(line) for line in said.splitlines()]
    assert (code, complaints) == (0, "")
    assert Counter(line["kind"] for line in lines) == {
        "owner": 1,
        "session": 4,
        "token": 5,
        "ended_by_user": 1,
        "event": 8,
    }
    sessions = [line for line in lines if line["kind"] == "session"]
    columns = {column.name for column in db.metadatas[None].tables["sessions"].columns}
    assert {frozenset(line) for line in sessions} == {frozenset(columns | {"kind"})}
    assert [line["id"] for line in sessions] == sorted(line["id"] for line in sessions)
    names = ["Chrome on Windows 10", "Safari on iPhone", "Firefox on Linux", "Chrome on Android"]
    assert [line["device_name"] for line in sessions] == names
    assert {line["user_agent"] for line in sessions} == {None}
    assert {(line["user_id"], line["ip_address"], line["network"]) for line in sessions} == {
        (PERSON, ADDRESS, f"{ADDRESS}/32")
    }
    assert [(line["end_reason"], line["ended_by"]) for line in sessions] == [
        ("limit", str(PERSON)),
        ("admin", "76"),
        (None, None),
        ("logout", str(PERSON)),
    ]
    assert sessions[0]["successor_id"] == sessions[3]["id"]
    assert {line["created_at"][-1] for line in sessions} == {"Z"}
    tokens = [line for line in lines if line["kind"] == "token"]
    of_firefox = [line for line in tokens if line["session_id"] == sessions[2]["id"]]
    assert [(line["kind"], line["is_opener"]) for line in of_firefox] == [("token", False), ("token", True)]
    assert {line["expires_at"] for line in of_firefox} == {"2100-01-01T00:00:00Z"}
    (mention,) = (line for line in lines if line["kind"] == "ended_by_user")
    assert (mention["kind"], mention["session_id"], mention["end_reason"]) == ("ended_by_user", ended, "admin")
    assert mention["ended_at"].endswith("Z")


def test_pages_of_any_size_give_the_same_lines(app: Flask) -> None:
    lead_a_life(app)

    whole = lines_of(app, str(PERSON))

    assert [lines_of(app, str(PERSON), page=page) for page in (1, 2, 3, 4, 5)] == [whole] * 5
    kinds = [line["kind"] for line in whole]
    in_turn = "owner session token session token session token token session token ended_by_user"
    in_turn += 8 * " event"
    assert kinds == in_turn.split()


def test_of_somebody_unknown_nothing_is_held(app: Flask) -> None:
    lead_a_life(app)

    assert command(app, "export", "77") == (0, "", "nothing is stored about this user\n")
    assert command(app, "export", "x")[0] != 0


# What is held is erased


def rows_of_others(app: Flask) -> list[Any]:
    with app.app_context(), db.engine.connect() as connection:
        query = text("SELECT * FROM sessions WHERE user_id <> :person ORDER BY id")
        return [dict(row) for row in connection.execute(query, {"person": str(PERSON)}).mappings()]


def test_without_yes_it_is_only_said_how_much_would_go(app: Flask) -> None:
    lead_a_life(app)
    before = dump(app)

    code, said, complaints = command(app, "erase", str(PERSON))

    assert (code, said) == (2, "")
    assert complaints == (
        "would erase 4 sessions, 5 tokens, 8 events, the user's id in 1 sessions of others; "
        "repeat with --yes to erase it\n"
    )
    assert dump(app) == before


def test_after_an_erasure_nothing_tells_of_that_person_and_all_of_the_others(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    ended = lead_a_life(app)
    before, held_before = rows_of_others(app), dump(app)
    caplog.set_level(logging.INFO)

    said = command(app, "erase", str(PERSON), "--yes")
    again = command(app, "erase", str(PERSON), "--yes")

    assert said == (0, "erased 4 sessions, 5 tokens, 8 events, the user's id in 1 sessions of others\n", "")
    assert again == (0, "erased 0 sessions, 0 tokens, 0 events, the user's id in 0 sessions of others\n", "")
    assert rows_of_others(app) == [{**row, "ended_by": None} if row["id"] == ended else row for row in before]
    for theirs in (str(PERSON), ADDRESS, "Safari on iPhone", "Firefox on Linux", "f-i-n"):
        assert theirs in held_before
        assert theirs not in dump(app)
    assert command(app, "export", str(PERSON))[1] == ""
    assert [line["kind"] for line in lines_of(app, "75")] == ["owner", "session", "token", "event", "event"]
    assert "erased a user: 4 sessions, 5 tokens, the user's id in 1 sessions of others, 8 events" in caplog.messages
    assert str(PERSON) not in caplog.text


def test_an_admin_sees_that_a_session_was_ended_by_somebody_who_was_erased(app: Flask, sign_in: SignIn) -> None:
    ended = lead_a_life(app)
    command(app, "erase", str(PERSON), "--yes")

    seen = sign_in(1, role="admin").get(f"/sessions/session/{ended}").json

    assert (seen["end_reason"], seen["ended_by"]) == ("admin", None)


def test_a_token_that_outlives_an_erasure_is_one_without_a_session(app: Flask, sign_in: SignIn) -> None:
    device = sign_in(PERSON)
    device.delete("/sessions/logout-all")
    assert device.get("/sessions/validate").json["code"] == "session_ended"

    command(app, "erase", str(PERSON), "--yes")

    assert device.get("/sessions/validate").json["code"] == "session_unknown"
    assert device.post("/sessions/create").status_code == 201
    assert [line["kind"] for line in lines_of(app, str(PERSON))] == ["owner", "session", "token", "event"]


# Signing in while being erased
