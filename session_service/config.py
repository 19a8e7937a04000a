"""Every setting, with its meaning in the docstring below it.

Settings are read from the environment once, at start, and checked before anything else runs. A missing or invalid
value stops the process. The message names all problems at once, but no value: a secret that was pasted into the wrong
variable must not reach a log.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cached_property
from typing import Any, get_type_hints

from session_service import config_checks as checks
from session_service.auth_server.keys import public_key, shared_secret
from session_service.database.urls import database_problem
from session_service.environment import read_values
from session_service.limits import MAX_ACTIVE_LISTED
from session_service.records import Enforcement, LimitPolicy, Token, UnknownSessionPolicy, UserIdType
from session_service.rules.claim_limits import ClaimLimit
from session_service.rules.identifiers import parse_user_id

_CENTURY = 100 * 366 * 86_400
_BLOCK_WITHOUT_IDLE_TIMEOUT = timedelta(days=7)


class ConfigError(ValueError):
    """The settings are invalid. The message lists every problem on a line of its own, and contains no value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["The settings cannot be used:", *(f"  - {problem}" for problem in problems)]))
        self.problems = problems


def _setting(default: Any, check: checks.Check | None = None, *, secret: bool = False) -> Any:
    """Return a field whose value, unless it is the default, must pass *check*; a secret one is not in the repr."""
    return field(default=default, repr=not secret, metadata={"check": check})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The service's settings; the attribute is the environment variable's name."""

    DATABASE_URL: str = _setting("sqlite:///sessions.sqlite3", database_problem, secret=True)
    """`postgresql://{user}:{password}@{host}/{name}` (`postgres://` means the same), or `sqlite:///path`. The SQLite
    file must exist; a relative path is relative to `instance/`."""

    DATABASE_CONNECTIONS: int = _setting(6, checks.number(1, 1_000))
    """Most connections of each worker process to the database. If all are in use, and no call to the database has
    completed for a second, further requests are refused at once."""

    JWT_SECRET_KEY: str | None = _setting(None, checks.key(shared_secret), secret=True)
    """The secret shared with the auth server, for HS256, HS384 and HS512; at least 32 bytes. Exactly one of this,
    `JWT_PUBLIC_KEY` and `JWT_JWKS_URL` is required."""

    JWT_PREVIOUS_SECRET_KEY: str | None = _setting(None, checks.key(shared_secret), secret=True)
    """The secret that preceded `JWT_SECRET_KEY`. Tokens signed with it are accepted too; set it until they have
    expired."""

    JWT_PUBLIC_KEY: str | None = _setting(None, checks.key(public_key), secret=True)
    """The auth server's public key in PEM (RSA from 2048 bits, P-256, P-384, P-521, Ed25519, Ed448); line breaks
    may be written as `\\n`."""

    JWT_JWKS_URL: str | None = _setting(None, checks.address())
    """URL of the auth server's JWK Set (RFC 7517). The service fetches it, keeps the keys in memory and refreshes them:
    see [Keys](#keys-of-the-auth-server)."""

    JWT_ALLOW_SHORT_SECRET: bool = False
    """Accept secrets shorter than 32 bytes. Use this only if the auth server's secret cannot be changed."""

    JWT_ISSUER: str | None = None
    """The `iss` that a token must have. If unset, `iss` is not checked."""

    JWT_AUDIENCE: str | None = None
    """The `aud` that a token must have. If unset, `aud` is not checked."""

    JWT_USER_ID_CLAIM: tuple[str, ...] = _setting(("sub", "id", "user_id"), checks.some)
    """The claims that may contain the user's id. The first of them that a token has is used."""

    USER_ID_TYPE: UserIdType = _setting("integer", checks.one_of(UserIdType))
    """`integer`: ids are whole numbers from 1 to 2^63-1. `string`: any text of 1 to 255 characters."""

    JWT_ROLE_CLAIM: str = "role"
    """The claim with the caller's role, a string or a list. Dots address nested objects (`realm_access.roles`)."""

    ADMIN_ROLES: tuple[str, ...] = _setting(("admin",), checks.some)
    """A user with one of these roles is an admin."""

    ADMIN_USER_IDS: tuple[str, ...] = ()
    """Ids of users who are admins regardless of the role in their token."""

    AUTH_SERVER_USERINFO_URL: str | None = _setting(None, checks.address())
    """URL at which the auth server answers a token with its user's `role`; needed if tokens contain no role: see
    [Admins](#admins-whose-role-is-not-in-the-token)."""

    AUTH_SERVER_USER_URL: str | None = _setting(None, checks.address("{user_id}"))
    """URL with `{user_id}` in it, at which the auth server answers 404 for an unknown user. It is called with the
    caller's token."""

    SERVICE_CREDENTIALS: Mapping[str, str] = field(
        default_factory=dict, repr=False, metadata={"check": checks.credentials}
    )
    """`name:secret,name:secret`: the services that may call with HTTP Basic. A secret has at least 16
    characters."""

    TRUSTED_PROXY_HOPS: int = _setting(0, checks.number(0, 10))
    """Number of your own proxies in front of the service. As many `X-Forwarded-For` entries, counted from the right,
    are trusted."""

    CORS_ALLOWED_ORIGINS: tuple[str, ...] = _setting((), checks.origins)
    """The origins whose pages may call the service (`https://app.example.com`), or `*`. Cookies are never allowed."""

    MAX_SESSIONS_PER_USER: int = _setting(3, checks.number(1, MAX_ACTIVE_LISTED))
    """Most active sessions that a user may have at once, one for each device. `SESSION_LIMIT_POLICY` decides what a
    sign-in above the limit does."""

    SESSION_LIMITS: tuple[ClaimLimit, ...] = _setting((), checks.claim_limits)
    """Other limits by a claim of the token that signs in: `plan=free:2,plan=premium:10`. The first entry that matches
    counts, and `MAX_SESSIONS_PER_USER` for all other tokens. Dots address nested objects; a list matches by any item.
    See [limits by plan](roll-out.md#limits-by-plan)."""

    SESSION_LIMIT_POLICY: LimitPolicy = _setting("evict_oldest", checks.one_of(LimitPolicy))
    """What a sign-in above `MAX_SESSIONS_PER_USER` does. `evict_oldest`: end the session created first. `evict_idle`:
    end the least recently active one. `reject`: end none and answer 409 with the sessions to choose from."""

    SESSION_ENFORCEMENT: Enforcement = _setting("enforce", checks.one_of(Enforcement))
    """`observe`: nobody is refused for a session's sake, and the limit ends nothing; what `enforce` would have done is
    told by headers, metrics and the log. See [observe](roll-out.md#observe)."""

    SESSION_LIFETIME_SECONDS: int = _setting(30 * 86_400, checks.number(1, _CENTURY))
    """How long a session lasts at most, counted from its creation. Activity does not extend it."""

    SESSION_IDLE_SECONDS: int = _setting(7 * 86_400, checks.number(0, _CENTURY))
    """A session without activity for this long ends; 0 turns the idle timeout off. Set it to the lifetime of your
    refresh tokens."""

    REVOKED_DEVICE_SECONDS: int | None = _setting(None, checks.number(0, _CENTURY))
    """How long a forced end (`revoked`, `admin` or `limit`) blocks the session's device, if tokens have no `sid`: a
    token without a session is refused on that device, unless the user has signed in there again. If unset,
    `SESSION_IDLE_SECONDS`, or 7 days if that is 0. With `adopt` and a backend that never calls `create`, see
    [step 0](integration.md#step-0-only-the-gateway-changes)."""

    ACTIVITY_INTERVAL_SECONDS: int = _setting(60, checks.number(0, 86_400))
    """Least time between two writes of a session's `last_activity`; 0 writes it on every call."""

    MAX_SIGN_INS_PER_MINUTE: int = _setting(10, checks.number(0, 100_000))
    """Most sessions that one user may create within 60 seconds; 0 turns the limit off."""

    UNKNOWN_SESSION_POLICY: UnknownSessionPolicy = _setting("reject", checks.one_of(UnknownSessionPolicy))
    """What happens to a valid token without a session. `reject`: `validate` refuses it. `allow`: `validate` accepts it.
    `adopt`: a session is created for it. See [the API](api.md#is-this-session-alive)."""

    MASK_ADDRESSES: bool = False
    """Store only the network of an address, IPv4 /24 or IPv6 /48. Rules then compare these networks."""

    FEED_LEASE_SECONDS: float = _setting(1.0, checks.number(0, 10))
    """How long a backend may trust a remembered yes, from the beginning of its last complete question to the
    [feed](events.md): one lease after an end, no backend says yes, and `?everywhere=true` answers. 0: nobody may
    remember. Lower it in two steps: see [the lease](events.md#the-lease)."""

    EVENT_RETENTION_DAYS: int = _setting(7, checks.number(1, 3_650))
    """How many days events are kept for readers of the feed before the purge deletes them."""

    WEBHOOKS: str | None = _setting(None, checks.endpoints)
    """Path of the JSON file with the endpoints that events are sent to: see [webhooks](webhooks.md)."""

    RETENTION_DAYS: int = _setting(90, checks.number(0, 36_500))
    """How many days ended sessions are kept before the purge deletes them."""

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ConfigError(problems)

    @cached_property
    def idle(self) -> timedelta | None:
        """The idle timeout; None if it is off."""
        return timedelta(seconds=self.SESSION_IDLE_SECONDS) if self.SESSION_IDLE_SECONDS else None

    @property
    def revoked_device(self) -> timedelta:
        """How long a forced end blocks its device."""
        if self.REVOKED_DEVICE_SECONDS is not None:
            return timedelta(seconds=self.REVOKED_DEVICE_SECONDS)
        return self.idle or _BLOCK_WITHOUT_IDLE_TIMEOUT

    def max_sessions(self, token: Token) -> int:
        """Return how many sessions the user of *token* may have."""
        return self.MAX_SESSIONS_PER_USER if token.max_sessions is None else token.max_sessions

    @cached_property
    def lifetime(self) -> timedelta:
        """How long a session lasts at most."""
        return timedelta(seconds=self.SESSION_LIFETIME_SECONDS)

    @property
    def observes(self) -> bool:
        """Whether nothing is refused or ended for a session's sake."""
        return self.SESSION_ENFORCEMENT == "observe"

    @cached_property
    def activity_interval(self) -> timedelta:
        """Least time between two writes of a session's activity."""
        return timedelta(seconds=self.ACTIVITY_INTERVAL_SECONDS)

    @property
    def retention(self) -> timedelta:
        """How long ended sessions are kept."""
        return timedelta(days=self.RETENTION_DAYS)

    @property
    def warnings(self) -> list[str]:
        """Combinations of settings that are allowed but have a consequence that is easily overlooked; for operators."""
        cases = {
            checks.SHORT_RETENTION: self.retention < self.revoked_device,
            checks.SHORT_EVENT_RETENTION: (
                self.WEBHOOKS is not None and self.EVENT_RETENTION_DAYS < checks.WEBHOOK_RETRY_DAYS
            ),
            checks.OBSERVING: self.observes,
        }
        return [words for words, is_so in cases.items() if is_so]

    def makes_admin(self, role: object) -> bool:
        """Return whether *role*, a string or a list from another server's JSON, contains one of `ADMIN_ROLES`."""
        roles = role if isinstance(role, list) else [role]
        return any(isinstance(one, str) and one in self.ADMIN_ROLES for one in roles)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings. An empty variable counts as absent.

        Raises:
            ConfigError: at least one value is invalid; the error lists all problems, not just the first.
        """
        hints = get_type_hints(cls)
        values, unreadable = read_values({setting.name: hints[setting.name] for setting in fields(cls)}, environ)
        problems = [*checks.dropped(environ), *unreadable]
        try:
            settings = cls(**values)
        except ConfigError as error:
            problems += [problem for problem in error.problems if problem not in problems]
        if problems:
            raise ConfigError(problems)
        return settings


def _problems(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with values that have the right types."""
    for setting in fields(settings):
        value, check = getattr(settings, setting.name), setting.metadata.get("check")
        problem = check(value) if check and value != setting.default else None
        if problem:
            yield f"{setting.name} {problem}"
    yield from checks.key_problems(vars(settings))
    if any(parse_user_id(one, settings.USER_ID_TYPE) is None for one in settings.ADMIN_USER_IDS):
        yield f"ADMIN_USER_IDS must hold ids of USER_ID_TYPE {settings.USER_ID_TYPE}"
