"""From a row of a source to a session, or to the reason why there is none. Nothing is read or written here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, cast, get_args
from zoneinfo import ZoneInfo

from session_service.auth_server.claims import key_of_jti
from session_service.config import Settings
from session_service.importing.instants import parse_instant
from session_service.importing.left_out import RowProblem
from session_service.limits import MAX_CLOCK_LAG
from session_service.records import SERVICE_PREFIX, Client, EndReason, StoredSession
from session_service.rules import policy
from session_service.rules.devices import agent_in, parse_user_agent
from session_service.rules.identifiers import is_short_text, is_storable, parse_user_id
from session_service.services.sign_in import describe_device

EndedAs = Literal["logout", "revoked", "admin"]
"""The end reasons that an operator may choose for rows that do not tell theirs."""

_OPERATOR = f"{SERVICE_PREFIX}import"
_TRUE, _FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n")
_CLAIMED = ("device_fingerprint", "device_name", "device_type", "browser")
_WHOLE_PREFIXES = ("/32", "/128")


@dataclass(frozen=True, slots=True)
class RowRules:
    """What an import as a whole decides about its rows."""

    settings: Settings
    now: datetime
    """When the import began."""
    zone: ZoneInfo | None = None
    """That of times without an offset; None to refuse them."""
    ended_as: EndedAs = "logout"


class ImportedRow(NamedTuple):
    """A session that a row describes; its `id` is 0 until it is stored."""

    source_id: str
    session: StoredSession
    is_recognised: bool
    """Whether its user agent names a browser or an app, not an HTTP library."""
    token_key: bytes | None
    """Of the token that opened it, if the row has its `jti`."""
    token_expires_at: datetime | None

    @property
    def is_told_apart(self) -> bool:
        """Whether tokens name this very session. Otherwise only its device leads to it."""
        return self.session.sid is not None or self.token_key is not None


def read_source_id(values: Mapping[str, object]) -> str:
    """Return the id of a row, an integer or a text of up to 255 characters, as a text.

    Raises:
        RowProblem: it has none.
    """
    text = _id_text(_required(values, "id"))
    if text is None or not is_short_text(text):
        raise RowProblem("id", "id is not an integer or a text of 1 to 255 characters")
    return text


def read_row(values: Mapping[str, object], rules: RowRules) -> ImportedRow:
    """Return the session that *values*, a row by our columns, describes.

    Raises:
        RowProblem: the row cannot be used, or its session is past a time limit or past retention.
    """
    settings = rules.settings
    source_id = read_source_id(values)
    user_id = parse_user_id(_id_text(_required(values, "user_id")), settings.USER_ID_TYPE)
    if user_id is None:
        raise RowProblem("user_id", f"user_id is not an id of USER_ID_TYPE {settings.USER_ID_TYPE}")
    sid, jti = _name(values, "sid"), _name(values, "jti")
    agent, address = _agent(values), _address(values)
    claimed = {name: _shown(values, name) for name in _CLAIMED}
    fingerprint = claimed["device_fingerprint"]
    if fingerprint is not None and not is_short_text(fingerprint):
        claimed["device_fingerprint"] = None  # no sign-in can send it
    device = describe_device(claimed, Client(agent, address), settings)
    device["ip_source"] = "reported"
    created_at, last_activity, expires_at = _times(values, rules)
    ended_at, reason = _end(values, rules, last_activity, expires_at)
    session = StoredSession(
        id=0,
        sid=sid,
        user_id=user_id,
        created_at=created_at,
        last_activity=last_activity,
        expires_at=expires_at,
        ended_at=ended_at,
        end_reason=reason,
        ended_by=_ended_by(reason, user_id),
        **device,
    )
    token_key, token_expires_at = _token(values, rules, user_id, jti, expires_at)
    return ImportedRow(source_id, session, parse_user_agent(agent).names_software, token_key, token_expires_at)


def _times(values: Mapping[str, object], rules: RowRules) -> tuple[datetime, datetime, datetime]:
    """Return `created_at`, `last_activity` and `expires_at`; none of the first two is later than now."""
    created_at = _past(values, "created_at", rules)
    last_activity = _past(values, "last_activity", rules) if "last_activity" in values else created_at
    expires_at = created_at + rules.settings.lifetime
    if "expires_at" in values:
        expires_at = min(expires_at, parse_instant("expires_at", values["expires_at"], rules.zone))
    return created_at, max(created_at, last_activity), expires_at


def _end(
    values: Mapping[str, object], rules: RowRules, last_activity: datetime, expires_at: datetime
) -> tuple[datetime | None, EndReason | None]:
    """Return when and why the session ended; twice None while it is active.

    Raises:
        RowProblem: a time limit has ended a session that the source calls active, or the end is past retention.
    """
    times, idle = _Times(last_activity, expires_at), rules.settings.idle
    ended_at = _past(values, "ended_at", rules) if "ended_at" in values else None
    if ended_at is None and _is_active(values):
        limit = policy.timed_out(times, rules.now, idle)
        if limit:
            raise RowProblem(limit[1], f"it is past the time limit of this service's settings ({limit[1]})")
        return None, None
    ended_at = max(ended_at or last_activity, last_activity)
    # A time limit that passed before that has ended it.
    end = policy.timed_out(times, ended_at, idle) or (ended_at, _reason(values, rules))
    if end[0] <= rules.now - rules.settings.retention:
        raise RowProblem("past_retention", "it ended RETENTION_DAYS ago or earlier")
    return end


class _Times(NamedTuple):
    last_activity: datetime
    expires_at: datetime


def _past(values: Mapping[str, object], name: str, rules: RowRules) -> datetime:
    """Return an instant that cannot be later than now. What another machine's clock is ahead is taken off."""
    instant = parse_instant(name, _required(values, name), rules.zone)
    if instant > rules.now + MAX_CLOCK_LAG:
        raise RowProblem("future", f"{name} is in the future")
    return min(instant, rules.now)


def _is_active(values: Mapping[str, object]) -> bool:
    value = values.get("is_active", True)
    word = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    if word not in (*_TRUE, *_FALSE):
        raise RowProblem("is_active", "is_active is neither true nor false")
    return word in _TRUE


def _reason(values: Mapping[str, object], rules: RowRules) -> EndReason:
    """Return the reason that the source gives, if it is one of this service's; otherwise the operator's choice."""
    given = values.get("end_reason")
    return cast(EndReason, given) if given in get_args(EndReason) else rules.ended_as


def _ended_by(reason: EndReason | None, user_id: str) -> str | None:
    match reason:
        case None | "idle" | "expired":
            return None
        case "admin":
            return _OPERATOR
    return user_id


def _token(
    values: Mapping[str, object], rules: RowRules, user_id: str, jti: str | None, expires_at: datetime
) -> tuple[bytes | None, datetime | None]:
    """Return the key of the token with this `jti` and its `exp`; twice None without one, or if it has expired.

    If the source does not tell the `exp`, the session's own end is used: afterwards it refuses the token anyway.
    """
    if jti is None:
        return None, None
    if "token_expires_at" in values:
        expires_at = parse_instant("token_expires_at", values["token_expires_at"], rules.zone)
    return (key_of_jti(user_id, jti), expires_at) if expires_at > rules.now else (None, None)


def _agent(values: Mapping[str, object]) -> str | None:
    """Return the user agent: the column of that name, or a device name that is one, as the first frontend sends."""
    agent = values.get("user_agent")
    return agent if isinstance(agent, str) and agent.strip() else agent_in(_shown(values, "device_name"))


def _address(values: Mapping[str, object]) -> str | None:
    """Return the address; PostgreSQL's type `inet` writes the length of its prefix after it."""
    address = _shown(values, "ip_address")
    for suffix in _WHOLE_PREFIXES if address else ():
        address = address.removesuffix(suffix) if address else None
    return address


def _shown(values: Mapping[str, object], name: str) -> str | None:
    """Return a text that people read or that rules only compare; what cannot be stored of it is left out."""
    value = values.get(name)
    if not isinstance(value, str):
        return None
    return value if is_storable(value) else value.replace("\0", "").encode("utf-8", "ignore").decode()


def _name(values: Mapping[str, object], name: str) -> str | None:
    """Return a `sid` or a `jti`; an integer is as good as its digits. Null and the empty text are none."""
    value = values.get(name)
    if value is None or value == "":
        return None
    text = _id_text(value)
    if text is None or not is_short_text(text):
        raise RowProblem(name, f"{name} is not a text of 1 to 255 characters")
    return text


def _id_text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _required(values: Mapping[str, object], name: str) -> object:
    value = values.get(name)
    if value is None or value == "":
        raise RowProblem("missing", f"{name} is missing")
    return value
