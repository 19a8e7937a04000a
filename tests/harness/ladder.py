"""Which session is a token's: what is on record, a call, and the session that is meant, one case a row."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from session_service.auth_server.jwks import verification_keys
from session_service.auth_server.tokens import TokenVerifier
from session_service.config import Settings
from session_service.database import session_queries
from session_service.database.transaction import transaction
from session_service.records import Client, End, EndReason, StoredSession, Token
from session_service.services.sign_in import describe_device
from tests.harness.rows import insert_row, insert_token
from tests.harness.support import ANDROID, CHROME, EDGE, FIREFOX, IPHONE, make_token

NOON = datetime(2026, 2, 8, 12, tzinfo=UTC)
HOUR, DAY, TICK = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
HOME, OFFICE, STREET = "203.0.113.7", "198.51.100.9", "192.0.2.55"
HOME_V6, HOME_V6_LATER, OFFICE_V6 = "2001:db8:1:2::1", "2001:db8:1:2:ffff::2", "2001:db8:9:9::1"
CHROME_UPDATED = CHROME.replace("131.", "140.")
IPHONE_UPDATED = IPHONE.replace("18_1", "19_0").replace("18.1", "19.0")
SCRIPT, OTHER_SCRIPT = "python-requests/2.32.3", "okhttp/4.12.0"


@dataclass(frozen=True)
class Was:
    """A session on record: where and by which token it was opened, and what became of it."""

    token: str = ""
    agent: str | None = CHROME
    place: str | None = HOME
    end: EndReason | None = None
    ended: timedelta = HOUR
    """How long ago."""
    opened: timedelta = 2 * DAY
    used: timedelta = 2 * HOUR
    fingerprint: str | None = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA"
    sid: str | None = None


def plain(name: str) -> str:
    """Return a token of today's shape; one with another *name* is from another second."""
    return make_token(74, exp=4_102_444_800 + sum(name.encode()))


MINE, OTHER, NEW = plain("mine"), plain("other"), plain("new")
WITH_JTI, WITH_JTI_AGAIN = make_token(74, jti="one"), make_token(74, jti="one", exp=4_102_444_999)
WITH_SID, SID_REFRESHED, SID_STRANGE = (make_token(74, sid=sid, n=n) for sid, n in (("s1", 1), ("s1", 2), ("s9", 3)))

MINE_AT_HOME = Was(MINE)
OUT_AT_HOME = Was(end="revoked")

Call = tuple[str, str | None, str | None]
TABLE: dict[str, tuple[list[Was], Call, int | None]] = {
    # name: (what is on record, the call, the number of the session that is meant, from 1)
    #
    # the token itself: today's tokens
    "the token of a sign-in": ([MINE_AT_HOME], (MINE, CHROME, HOME), 1),
    "a token says more than the address": ([MINE_AT_HOME], (MINE, CHROME, STREET), 1),
    "a token says more than the device": ([MINE_AT_HOME], (MINE, FIREFOX, STREET), 1),
    "a token says more than no user agent": ([MINE_AT_HOME], (MINE, None, STREET), 1),
    "a token of another user's": ([MINE_AT_HOME], (make_token(75), CHROME, HOME), None),
    "each token its session": ([Was(OTHER), MINE_AT_HOME], (OTHER, CHROME, HOME), 1),
    "each token its session, the other way": ([Was(OTHER), MINE_AT_HOME], (MINE, CHROME, HOME), 2),
    "a token whose session was logged out": ([Was(MINE, end="logout")], (MINE, CHROME, HOME), 1),
    "a token whose session was thrown out": ([Was(MINE, end="admin")], (MINE, CHROME, HOME), 1),
    "thrown out by token, though the same browser is active": (
        [Was(MINE, end="revoked"), Was(OTHER)],
        (MINE, CHROME, HOME),
        1,
    ),
    "thrown out long ago, by token": ([Was(MINE, end="limit", ended=30 * DAY)], (MINE, CHROME, HOME), 1),
    "a token whose session ran out": ([Was(MINE, used=8 * DAY, opened=9 * DAY)], (MINE, CHROME, HOME), 1),
    "a token whose session expired": ([Was(MINE, opened=30 * DAY)], (MINE, CHROME, HOME), 1),
    # one token, several sessions: two sign-ins in one second
    "one second, two browsers: the first": ([Was(MINE), Was(MINE, FIREFOX)], (MINE, CHROME, HOME), 1),
    "one second, two browsers: the second": ([Was(MINE), Was(MINE, FIREFOX)], (MINE, FIREFOX, HOME), 2),
    "one second, a third browser": ([Was(MINE), Was(MINE, FIREFOX)], (MINE, EDGE, HOME), 2),
    "one second, the caller's was thrown out": (
        [Was(MINE, end="revoked"), Was(MINE, FIREFOX)],
        (MINE, CHROME, HOME),
        1,
    ),
    "one second, the other was thrown out": ([Was(MINE), Was(MINE, FIREFOX, end="admin")], (MINE, CHROME, HOME), 1),
    "one second, one browser: the active one": (
        [Was(MINE), Was(MINE, end="revoked")],
        (MINE, CHROME, HOME),
        1,
    ),
    "one second, one browser, two places: home": ([Was(MINE), Was(MINE, place=OFFICE)], (MINE, CHROME, HOME), 1),
    "one second, one browser, two places: office": ([Was(MINE), Was(MINE, place=OFFICE)], (MINE, CHROME, OFFICE), 2),
    "one second, one browser, elsewhere": ([Was(MINE), Was(MINE, place=OFFICE)], (MINE, CHROME, STREET), 2),
    "one second, all ended": ([Was(MINE, end="logout"), Was(MINE, end="revoked")], (MINE, CHROME, HOME), 2),
    "one second, no user agent": ([Was(MINE), Was(MINE, FIREFOX, end="logout")], (MINE, None, None), 1),
    # tokens with a jti, and with a sid
    "a jti": ([Was(WITH_JTI)], (WITH_JTI, FIREFOX, STREET), 1),
    "a jti says more than the rest of the token": ([Was(WITH_JTI)], (WITH_JTI_AGAIN, FIREFOX, STREET), 1),
    "a jti that nobody has seen, by its device": ([Was(WITH_JTI)], (make_token(74, jti="two"), CHROME, HOME), 1),
    "a sid": ([Was(WITH_SID, sid="s1")], (WITH_SID, FIREFOX, STREET), 1),
    "a sid over a refresh": ([Was(WITH_SID, sid="s1")], (SID_REFRESHED, FIREFOX, STREET), 1),
    "the newest of a sid": ([Was(WITH_SID, sid="s1"), Was(sid="s1")], (SID_REFRESHED, CHROME, HOME), 2),
    "the newest of a sid, though it has ended": (
        [Was(WITH_SID, sid="s1"), Was(sid="s1", end="logout")],
        (WITH_SID, CHROME, HOME),
        2,
    ),
    "a sid alone decides: not the device": ([Was(MINE)], (SID_STRANGE, CHROME, HOME), None),
    "a sid alone decides: not the only session": ([Was(MINE)], (SID_STRANGE, None, HOME), None),
    "a sid of a thrown out session": ([Was(WITH_SID, sid="s1", end="admin")], (SID_REFRESHED, FIREFOX, STREET), 1),
    "an active session with a sid, by its device": ([Was(WITH_SID, sid="s1")], (NEW, CHROME, HOME), 1),
    # the device: a refreshed token of today's shape
    "a refreshed token": ([MINE_AT_HOME], (NEW, CHROME, HOME), 1),
    "nobody signed in": ([], (NEW, CHROME, HOME), None),
    "another browser": ([MINE_AT_HOME], (NEW, FIREFOX, HOME), None),
    "the same engine, another browser": ([MINE_AT_HOME], (NEW, EDGE, HOME), None),
    "the same browser, another system": ([Was(agent=ANDROID)], (NEW, CHROME, HOME), None),
    "every browser sends one fingerprint": ([Was(), Was(agent=FIREFOX)], (NEW, CHROME, HOME), 1),
    "no fingerprint": ([Was(fingerprint=None), Was(agent=FIREFOX, fingerprint=None)], (NEW, CHROME, HOME), 1),
    "the browser updated itself": ([Was()], (NEW, CHROME_UPDATED, HOME), 1),
    "the phone updated itself": ([Was(agent=IPHONE)], (NEW, IPHONE_UPDATED, HOME), 1),
    "the phone changed its network": ([Was(agent=IPHONE), Was()], (NEW, IPHONE, STREET), 1),
    "the laptop is elsewhere": ([Was()], (NEW, CHROME, STREET), 1),
    "the address within its network": ([Was(place=HOME_V6), Was(place=OFFICE_V6)], (NEW, CHROME, HOME_V6_LATER), 1),
    "home and office, at home": ([Was(place=HOME), Was(place=OFFICE, used=HOUR)], (NEW, CHROME, HOME), 1),
    "home and office, at the office": ([Was(place=HOME, used=HOUR), Was(place=OFFICE)], (NEW, CHROME, OFFICE), 2),
    "home and office, in the street: the last active": (
        [Was(place=HOME, used=HOUR), Was(place=OFFICE)],
        (NEW, CHROME, STREET),
        1,
    ),
    "two of one browser behind one address cannot be told": ([Was(used=HOUR), Was()], (NEW, CHROME, HOME), 1),
    "two of one browser, the other was active last": ([Was(), Was(used=HOUR)], (NEW, CHROME, HOME), 2),
    "two of one browser, used at one instant: the newer": ([Was(), Was()], (NEW, CHROME, HOME), 2),
    "logged out is not thrown out": ([Was(end="logout")], (NEW, CHROME, HOME), None),
    "replaced is not thrown out": ([Was(end="replaced"), Was(agent=FIREFOX)], (NEW, CHROME, HOME), None),
    "ran out is not thrown out": ([Was(opened=9 * DAY, used=8 * DAY)], (NEW, CHROME, HOME), None),
    "ran out, and on record as that": ([Was(end="idle")], (NEW, CHROME, HOME), None),
    # the device: thrown out
    "revoked": ([Was(end="revoked")], (NEW, CHROME, HOME), 1),
    "ended by an admin": ([Was(end="admin")], (NEW, CHROME, HOME), 1),
    "over the limit": ([Was(end="limit")], (NEW, CHROME, HOME), 1),
    "thrown out at home, and calls from the street": ([OUT_AT_HOME], (NEW, CHROME, STREET), 1),
    "thrown out, and the browser updated itself": ([OUT_AT_HOME], (NEW, CHROME_UPDATED, HOME), 1),
    "thrown out, another browser": ([OUT_AT_HOME], (NEW, FIREFOX, HOME), None),
    "thrown out, and the phone is active": ([OUT_AT_HOME, Was(agent=IPHONE)], (NEW, CHROME, HOME), 1),
    "thrown out a week ago, all but an instant": ([Was(end="revoked", ended=7 * DAY - TICK)], (NEW, CHROME, HOME), 1),
    "thrown out a week ago": ([Was(end="revoked", ended=7 * DAY)], (NEW, CHROME, HOME), None),
    "home was thrown out, the office is active: at home": (
        [OUT_AT_HOME, Was(place=OFFICE)],
        (NEW, CHROME, HOME),
        1,
    ),
    "home was thrown out, the office is active: at the office": (
        [OUT_AT_HOME, Was(place=OFFICE)],
        (NEW, CHROME, OFFICE),
        2,
    ),
    "home was thrown out, the office is active: in the street": (
        [OUT_AT_HOME, Was(place=OFFICE)],
        (NEW, CHROME, STREET),
        2,
    ),
    "home was thrown out, then the office signed in: at home": (
        [OUT_AT_HOME, Was(place=OFFICE, opened=HOUR)],
        (NEW, CHROME, HOME),
        1,
    ),
    "one of two behind one address was thrown out": ([OUT_AT_HOME, Was()], (NEW, CHROME, HOME), 2),
    "thrown out, and signed in again there": ([OUT_AT_HOME, Was(opened=HOUR)], (NEW, CHROME, HOME), 2),
    "thrown out, signed in again, and logged out": (
        [OUT_AT_HOME, Was(opened=HOUR, end="logout", ended=HOUR / 2)],
        (NEW, CHROME, HOME),
        None,
    ),
    "signed in before it was thrown out, and logged out": (
        [OUT_AT_HOME, Was(opened=HOUR + TICK, end="logout", ended=HOUR / 2)],
        (NEW, CHROME, HOME),
        1,
    ),
    "thrown out twice": ([OUT_AT_HOME, Was(opened=HOUR / 2, end="admin", ended=HOUR / 4)], (NEW, CHROME, HOME), 2),
    "the phone was thrown out": ([Was(agent=IPHONE, end="limit")], (NEW, IPHONE, STREET), 1),
    "the phone was thrown out, signed in elsewhere, and came back": (
        [Was(agent=IPHONE, end="limit"), Was(agent=IPHONE, place=STREET, opened=HOUR)],
        (NEW, IPHONE, HOME),
        2,
    ),
    "the phone was thrown out, another one is active elsewhere since before": (
        [Was(agent=IPHONE, end="limit"), Was(agent=IPHONE, place=STREET)],
        (NEW, IPHONE, HOME),
        1,
    ),
    # callers that nothing tells apart
    "a script, and one session": ([Was()], (NEW, SCRIPT, OFFICE), 1),
    "no user agent, and one session": ([Was()], (NEW, None, OFFICE), 1),
    "a script, and two sessions": ([Was(), Was(agent=FIREFOX)], (NEW, SCRIPT, HOME), None),
    "no user agent, and no active session": ([Was(end="logout")], (NEW, None, HOME), None),
    "no user agent, and one active session beside one that was thrown out": (
        [OUT_AT_HOME, Was(agent=FIREFOX)],
        (NEW, None, HOME),
        2,
    ),
    "a script's own session": ([Was(agent=SCRIPT), Was()], (NEW, SCRIPT, HOME), 1),
    "a script was thrown out": ([Was(agent=SCRIPT, end="admin"), Was()], (NEW, SCRIPT, HOME), 1),
    "another library": ([Was(agent=SCRIPT), Was()], (NEW, OTHER_SCRIPT, HOME), None),
    "a browser never means the only session": ([Was(agent=FIREFOX)], (NEW, CHROME, HOME), None),
    "no address anywhere": ([Was(place=None), Was(place=None, used=HOUR)], (NEW, CHROME, None), 2),
}

ADOPTING: dict[str, tuple[list[Was], Call, int | None]] = {
    "the same place": ([Was()], (NEW, CHROME, HOME), 1),
    "another place": ([Was()], (NEW, CHROME, STREET), None),
    "a phone anywhere": ([Was(agent=IPHONE)], (NEW, IPHONE, STREET), 1),
    "a phone was thrown out": ([Was(agent=IPHONE, end="admin")], (NEW, IPHONE, STREET), 1),
    "thrown out here": ([OUT_AT_HOME], (NEW, CHROME, HOME), 1),
    "thrown out elsewhere": ([OUT_AT_HOME], (NEW, CHROME, STREET), None),
    "a script here, and one session": ([Was()], (NEW, SCRIPT, HOME), 1),
    "a script elsewhere, and one session": ([Was()], (NEW, SCRIPT, STREET), None),
    "no address": ([Was(place=None)], (NEW, CHROME, None), None),
    "by the token, anywhere": ([MINE_AT_HOME], (MINE, CHROME, STREET), 1),
}


def read(settings: Settings, encoded: str) -> Token:
    """Return a token as the guards read it."""
    return TokenVerifier(settings, verification_keys(settings)).verify(encoded, NOON)


def put(settings: Settings, was: Was) -> StoredSession:
    """Put a session on record as it was opened, with its token, and end it then."""
    columns = describe_device({"device_fingerprint": was.fingerprint}, Client(was.agent, was.place), settings)
    values: dict[str, Any] = {
        "user_id": "74",
        "sid": was.sid,
        "created_at": NOON - was.opened,
        "last_activity": NOON - max(was.used, was.ended if was.end else was.used),
        "expires_at": NOON - was.opened + settings.lifetime,
    }
    with transaction(writes=True):
        session = insert_row(**values, **columns)
        if was.token:
            token = read(settings, was.token)
            insert_token(token, session.id, is_opener=True)
    with transaction(writes=True):
        if was.end:
            end = End(was.end, "1", NOON - was.ended)
            assert session_queries.mark_ended(session.id, end, None)
    return session
