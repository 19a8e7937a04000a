"""From a row of an application's table to a session, or to the reason why there is none."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from session_service.auth_server.claims import key_of_jti
from session_service.importing.columns import Columns, MappingProblem
from session_service.importing.instants import parse_instant
from session_service.importing.left_out import RowProblem
from session_service.importing.rows import ImportedRow, RowRules, read_row
from session_service.rules.devices import parse_user_agent
from tests.harness.support import ANDROID, CHROME, FIREFOX, IPHONE, settings

NOW = datetime(2026, 2, 8, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")


def row(**values: Any) -> dict[str, Any]:
    """Return an active session that began a day ago; None takes a column away."""
    given = {"id": 1, "user_id": 74, "created_at": "2026-02-07T12:00:00Z", "user_agent": CHROME, **values}
    return {name: value for name, value in given.items() if value is not None}


def read(
    values: dict[str, Any], *, zone: ZoneInfo | None = None, ended_as: Any = "logout", **given: Any
) -> ImportedRow:
    return read_row(values, RowRules(settings(**given), NOW, zone, ended_as))


def code_of(values: dict[str, Any], **given: Any) -> str:
    with pytest.raises(RowProblem) as caught:
        read(values, **given)
    return caught.value.code


def test_a_row_becomes_the_session_that_a_sign_in_would_have_made() -> None:
    imported = read(
        row(ip_address="203.0.113.7", device_fingerprint="f", browser="Mosaic", last_activity="2026-02-08 11:00:00+00")
    )

    session = imported.session
    assert imported.source_id == "1"
    assert session.user_id == "74"
    assert (session.device_name, session.browser, session.os) == ("Chrome on Windows 10", "Chrome", "Windows 10")
    assert session.device_key == parse_user_agent(CHROME).key
    assert (session.ip_address, session.ip_source, session.network) == ("203.0.113.7", "reported", "203.0.113.7/32")
    assert session.device_fingerprint == "f"
    assert session.created_at == NOW - DAY
    assert session.last_activity == NOW - timedelta(hours=1)
    assert session.expires_at == session.created_at + timedelta(days=30)
    assert (session.ended_at, session.end_reason, session.ended_by) == (None, None, None)


@pytest.mark.parametrize("agent", [CHROME, IPHONE, FIREFOX, ANDROID])
def test_a_device_name_that_is_a_cut_user_agent_gives_the_key_of_the_whole_one(agent: str) -> None:
    session = read(row(user_agent=None, device_name=agent[:100])).session

    assert session.device_key == parse_user_agent(agent).key
    assert session.device_name == parse_user_agent(agent).name


def test_a_device_without_a_user_agent_keeps_the_name_that_it_was_given() -> None:
    session = read(row(user_agent=None, device_name="My phone", device_type="phone", browser="Chrome")).session

    assert (session.device_name, session.device_type, session.device_key) == ("My phone", "mobile", "")


@pytest.mark.parametrize("address", ["unknown", "", "fe80::1%eth0", 7, "999.1.1.1"])
def test_an_address_that_is_none_is_left_away(address: object) -> None:
    session = read(row(ip_address=address)).session

    assert (session.ip_address, session.network) == (None, None)


def test_an_inet_of_postgresql_and_masked_addresses() -> None:
    assert read(row(ip_address="203.0.113.7/32")).session.ip_address == "203.0.113.7"
    assert read(row(ip_address="203.0.113.7"), MASK_ADDRESSES=True).session.network == "203.0.113.0/24"


@pytest.mark.parametrize("value", [1, "1", "a-b-c", "0"])
def test_ids_of_rows_are_integers_or_texts(value: object) -> None:
    assert read(row(id=value)).source_id == str(value)


@pytest.mark.parametrize("value", [1.0, True, [1], {}, "a\0b", "x" * 256, "\udc80"])
def test_other_ids_of_rows_are_refused(value: object) -> None:
    assert code_of(row(id=value)) == "id"


@pytest.mark.parametrize("value", ["0", 0, -1, "074", "x", 2**63, True, 7.0, " 74"])
def test_user_ids_of_another_type_are_refused(value: object) -> None:
    assert code_of(row(user_id=value)) == "user_id"


def test_user_ids_may_be_texts_where_the_settings_say_so() -> None:
    assert read(row(user_id="auth0|5"), USER_ID_TYPE="string").session.user_id == "auth0|5"
    assert read(row(user_id=74), USER_ID_TYPE="string").session.user_id == "74"
    assert code_of(row(user_id="x" * 256), USER_ID_TYPE="string") == "user_id"


@pytest.mark.parametrize("name", ["id", "user_id", "created_at"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_row_needs_an_id_a_user_and_a_beginning(name: str, value: object) -> None:
    assert code_of(row(**{name: value})) == "missing"


# Times


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-07T12:00:00Z",
        "2026-02-07 12:00:00+00",
        "2026-02-07T17:00:00.000000000+05:00",
        "2026-02-07t12:00z".replace("t", "T"),
        1770465600,
        1770465600.0,
        1770465600000,
        "1770465600",
        "1770465600000",
    ],
)
def test_spellings_of_an_instant(value: object) -> None:
    assert parse_instant("created_at", value, None) == NOW - DAY


@pytest.mark.parametrize(
    "value",
    [
        *("", "yesterday", "2026-02-07", "2026-02-30T12:00:00Z", "infinity", "0044-03-15 00:00:00+00 BC"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "10000-01-01", "²026-02-07T12:00:00Z"),
        *(True, [], 1e300, -1, float("nan"), float("inf")),
    ],
)
def test_what_is_no_instant(value: object) -> None:
    assert code_of(row(created_at=value)) in {"time", "missing"}


def test_a_time_without_a_zone_is_refused_unless_a_zone_is_given() -> None:
    values = row(created_at="2026-02-07 17:00:00")

    assert code_of(values) == "time_without_zone"
    assert read(values, zone=ZoneInfo("Asia/Tashkent")).session.created_at == NOW - DAY
    assert read(row(), zone=ZoneInfo("Asia/Tashkent")).session.created_at == NOW - DAY


def test_an_hour_that_happened_twice_is_the_earlier_one_and_one_that_never_did_is_refused() -> None:
    assert parse_instant("created_at", "2025-10-26T02:30:00", BERLIN) == datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    with pytest.raises(RowProblem) as caught:
        parse_instant("created_at", "2026-03-29T02:30:00", BERLIN)
    assert caught.value.code == "no_such_time"
    assert parse_instant("created_at", "2026-03-29T03:00:00", BERLIN) == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_a_little_ahead_is_a_clock_and_more_is_refused() -> None:
    ahead = read(row(created_at="2026-02-08T12:00:04Z")).session

    assert (ahead.created_at, ahead.last_activity) == (NOW, NOW)
    for name in ("created_at", "last_activity", "ended_at"):
        assert code_of(row(**{name: "2026-02-08T12:00:06Z"})) == "future"
    assert code_of(row(created_at="9999-12-31T00:00:00Z")) == "future"


def test_a_session_is_not_used_before_it_begins() -> None:
    session = read(row(last_activity="2026-02-01T12:00:00Z")).session

    assert session.last_activity == session.created_at == NOW - DAY


def test_the_earlier_end_counts() -> None:
    assert read(row(expires_at="2026-02-09T12:00:00Z")).session.expires_at == NOW + DAY
    assert read(row(expires_at="2027-02-09T12:00:00Z")).session.expires_at == NOW + 29 * DAY
    assert code_of(row(expires_at="2026-02-08T12:00:00Z")) == "expired"
    assert read(row(expires_at="2026-02-08T12:00:00.000001Z")).session.ended_at is None


@pytest.mark.parametrize(
    ("created", "used", "code"),
    [
        ("2026-01-09T12:00:00Z", "2026-02-08T11:00:00Z", "expired"),
        ("2026-02-01T12:00:00Z", "2026-02-01T12:00:00Z", "idle"),
        ("0001-01-01T00:00:00Z", "2026-02-08T11:00:00Z", "expired"),
    ],
)
def test_a_session_past_a_time_limit_is_left_out(created: str, used: str, code: str) -> None:
    assert code_of(row(created_at=created, last_activity=used)) == code


def test_a_microsecond_before_its_time_limit_a_session_is_imported() -> None:
    used = "2026-02-01T12:00:00.000001Z"

    assert read(row(created_at="2026-01-09T12:00:00.000001Z", last_activity=used)).session.ended_at is None


# Ends


@pytest.mark.parametrize("value", [False, 0, "false", "f", "0", "No", "FALSE"])
def test_an_inactive_row_ended_when_it_was_last_used(value: object) -> None:
    session = read(row(is_active=value, last_activity="2026-02-08T10:00:00Z")).session

    assert (session.ended_at, session.end_reason) == (NOW - timedelta(hours=2), "logout")
    assert session.ended_by == "74"


@pytest.mark.parametrize("value", [True, 1, "true", "t", "1", "YES"])
def test_an_active_row_is_active(value: object) -> None:
    assert read(row(is_active=value)).session.ended_at is None


@pytest.mark.parametrize("value", [2, "maybe", "", [], 1.0])
def test_a_row_that_is_neither_active_nor_inactive_is_refused(value: object) -> None:
    assert code_of(row(is_active=value)) == "is_active"


def test_an_end_counts_even_if_the_row_is_called_active() -> None:
    session = read(row(is_active=True, ended_at="2026-02-08T11:00:00Z")).session

    assert session.ended_at == NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("given", "ended_as", "reason", "by"),
    [
        (None, "revoked", "revoked", "74"),
        (None, "admin", "admin", "service:import"),
        ("limit", "logout", "limit", "74"),
        ("admin", "logout", "admin", "service:import"),
        ("idle", "logout", "idle", None),
        ("because", "revoked", "revoked", "74"),
        ([], "logout", "logout", "74"),
    ],
)
def test_the_reason_is_the_source_s_or_the_operator_s(
    given: object, ended_as: str, reason: str, by: str | None
) -> None:
    session = read(row(is_active=False, end_reason=given), ended_as=ended_as).session

    assert (session.end_reason, session.ended_by) == (reason, by)


def test_an_end_is_never_before_the_last_use_and_never_after_a_time_limit() -> None:
    early = read(row(last_activity="2026-02-08T10:00:00Z", ended_at="2026-02-08T09:00:00Z")).session
    late = read(row(created_at="2026-01-01T12:00:00Z", ended_at="2026-02-08T11:00:00Z")).session

    assert early.ended_at == NOW - timedelta(hours=2)
    assert (late.ended_at, late.end_reason, late.ended_by) == (datetime(2026, 1, 8, 12, tzinfo=UTC), "idle", None)


def test_an_end_past_retention_is_left_out() -> None:
    ended = {"created_at": "2026-02-06T00:00:00Z", "ended_at": "2026-02-07T12:00:00Z"}

    assert code_of(row(**ended), RETENTION_DAYS=1) == "past_retention"
    later = {**ended, "ended_at": "2026-02-07T12:00:00.000001Z"}
    assert read(row(**later), RETENTION_DAYS=1).session.ended_at is not None
    assert code_of(row(is_active=False, created_at="0001-01-01T00:00:00Z")) == "past_retention"


# Tokens


def test_a_jti_is_remembered_until_its_token_expires_or_its_session_ends() -> None:
    without = read(row(jti="j"))
    with_exp = read(row(jti="j", token_expires_at=int((NOW + DAY).timestamp())))
    gone = read(row(jti="j", token_expires_at="2026-02-08T12:00:00Z"))

    assert without.token_key == key_of_jti("74", "j")
    assert (without.token_expires_at, with_exp.token_expires_at) == (NOW + 29 * DAY, NOW + DAY)
    assert gone.token_key is None
    assert (without.is_told_apart, gone.is_told_apart, read(row(sid="s")).is_told_apart) == (True, False, True)


@pytest.mark.parametrize("name", ["sid", "jti"])
def test_a_name_that_no_token_can_have_is_refused(name: str) -> None:
    for value in ("x" * 256, "a\0b", 1.5, ["s"]):
        assert code_of(row(**{name: value})) == name
    assert read(row(**{name: 5})).is_told_apart
    assert not read(row(**{name: ""})).is_told_apart


@pytest.mark.parametrize("value", ["a\0b", "\udc80b", "x" * 5_000, 5, [], {"a": 1}, "\u202eevil\n"])
def test_any_text_of_a_device_is_shown_as_one_line_or_not_at_all(value: object) -> None:
    texts = ("device_name", "device_type", "browser", "user_agent", "device_fingerprint", "ip_address")
    session = read(row(**dict.fromkeys(texts, value))).session

    for shown in (session.device_name, session.browser, session.device_type, session.device_key):
        assert len(shown) <= 255
        assert shown.isprintable()
        shown.encode()
    assert session.device_fingerprint is None or len(session.device_fingerprint) <= 255
    assert "\0" not in (session.device_fingerprint or "")


# Columns


def test_columns_are_read_by_their_own_names_unless_they_are_mapped() -> None:
    columns = Columns(["session_id=id", "last_seen=last_activity", "expires_at=", "id=sid"])
    found = {"session_id": 1, "id": 2, "last_seen": 3, "last_activity": 4, "expires_at": 5, "user_id": None, "x": 6}

    assert columns.pick(found) == {"id": 1, "last_activity": 3, "sid": 2}
    assert columns.read_of(list(found)) == ["session_id", "id", "last_seen", "user_id"]


@pytest.mark.parametrize("pairs", [["x"], ["=id"], ["x=nothing"], ["a=id", "b=id"]])
def test_columns_that_cannot_be_mapped(pairs: list[str]) -> None:
    with pytest.raises(MappingProblem):
        Columns(pairs)


def test_a_source_has_what_is_needed_and_what_was_mapped() -> None:
    needed = ["id", "user_id", "created_at"]

    assert Columns().problem_of(needed) is None
    assert "created_at" in (Columns().problem_of(needed[:2]) or "")
    assert "seen" in (Columns(["seen=last_activity"]).problem_of(needed) or "")
    assert "two columns" in (Columns().problem_of([*needed, "id"]) or "")
