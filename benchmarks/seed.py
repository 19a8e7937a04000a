"""Fills the databases: users with three active sessions each, and ended sessions. SQL statements generate the rows.

The rows are in the order in which they would be if all users had signed in once, one after the other, then all of them
a second time, and so on: session *n*, counted from 0, has the id n + 1 and belongs to user 1 + n mod users. Both
services get the same ids.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import LiteralString

import psycopg
from flask_migrate import upgrade
from psycopg.sql import SQL, Identifier, Literal

from benchmarks.people import AGENTS, DEVICES, USER_AGENTS, token_keys, token_of
from session_service.app import create_app
from session_service.config import Settings
from session_service.database.engine import db
from session_service.rules.devices import parse_user_agent


@dataclass(frozen=True)
class Population:
    """The number of users, the number of ended sessions of each, and when they signed in, in days before now."""

    users: int
    ended_each: int = 0
    days_apart: float = 5
    """Days between a user's sign-ins."""
    last_days_ago: float = 1
    """Days since the very last sign-in."""
    used_days_ago: float = 0
    """Days since the active sessions were last used."""
    lasted_days: float = 1
    """Days after which the ended sessions ended."""
    ended_by_limit: bool = False
    """Whether the user's third next sign-in ended them. Otherwise the user signed out."""
    agents: int = DEVICES
    """How many of `AGENTS` a user signs in with, one after the other."""

    @property
    def rows(self) -> int:
        return self.users * (self.ended_each + DEVICES)

    def session_id(self, user_id: int, device: int) -> int:
        """Return the id of the user's active session on the device of this number, from 0."""
        return (self.ended_each + device) * self.users + user_id


@dataclass(frozen=True)
class Bearer:
    """A seeded session and its token."""

    user_id: int
    session_id: int
    user_agent: str
    token: str


def bearer_of(population: Population, user_id: int, device: int, secret: str) -> Bearer:
    """Return the user's active session on the device of this number, from 0."""
    session_id = population.session_id(user_id, device)
    return Bearer(user_id, session_id, USER_AGENTS[device], token_of(user_id, device, secret))


_NUMBERS = """
    CREATE TEMPORARY TABLE numbers AS
    SELECT n + 1 AS id, 1 + n %% %(users)s AS user_id, n / %(users)s %% %(agents)s AS device,
        n < %(users)s * %(ended_each)s AS has_ended,
        now() - interval '1 day' * (
            %(last_days_ago)s + %(days_apart)s * (%(rows)s - n)::float / %(users)s) AS created_at
    FROM generate_series(0, %(rows)s - 1) AS n
"""
_DEVICES = """
    CREATE TEMPORARY TABLE devices (device int, key text, name text, type text, browser text, os text, agent text)
"""
_SESSIONS = """
    INSERT INTO sessions (id, user_id, device_fingerprint, device_key, device_name, device_type, browser, os,
        ip_address, ip_source, network, created_at, last_activity, expires_at, ended_at, end_reason, ended_by,
        successor_id)
    SELECT id, user_id, 'fingerprint ' || id, devices.key, devices.name, devices.type, devices.browser, devices.os,
        '127.0.0.1', 'observed', %(network)s, created_at,
        CASE WHEN has_ended THEN created_at ELSE now() - interval '1 day' * %(used_days_ago)s END,
        created_at + interval '30 days',
        CASE WHEN has_ended THEN created_at + interval '1 day' * %(lasted_days)s END,
        CASE WHEN has_ended THEN CASE WHEN %(ended_by_limit)s THEN 'limit' ELSE 'logout' END END,
        CASE WHEN has_ended THEN user_id::text END,
        CASE WHEN has_ended AND %(ended_by_limit)s THEN id + 3 * %(users)s END
    FROM numbers JOIN devices USING (device)
"""
_TOKENS = """
    INSERT INTO session_tokens (token_key, session_id, expires_at, is_opener)
    SELECT sha256(convert_to('no such token ' || id, 'UTF8')), id, created_at + interval '30 days', true FROM numbers
"""
_OWNERS = "INSERT INTO session_owners SELECT DISTINCT user_id::text FROM numbers"
_KNOWN = "UPDATE session_tokens SET token_key = known.key FROM known WHERE session_tokens.session_id = known.session_id"

_ALTERNATIVE_USERS = """
    INSERT INTO users (id, email, hashed_password, full_name, is_active, created_at)
    SELECT n, 'user' || n || '@example.com', repeat('x', 60), 'User ' || n, true, now()
    FROM generate_series(1, %(users)s) AS n
"""
_ALTERNATIVE_SESSIONS = """
    INSERT INTO user_sessions (id, user_id, device_fingerprint, device_name, device_type, browser, user_agent,
        ip_address, is_active, created_at, last_activity, expires_at)
    SELECT id, user_id, 'fingerprint ' || id, devices.name, devices.type, devices.browser, devices.agent, '127.0.0.1',
        NOT has_ended, created_at, now(), created_at + interval '30 days'
    FROM numbers JOIN devices USING (device)
"""


def migrate(url: str, secret: str) -> None:
    """Create the service's tables in the empty database at *url*."""
    app = create_app(Settings(DATABASE_URL=url, JWT_SECRET_KEY=secret))
    with app.app_context():
        upgrade()
        db.engine.dispose()


def seed_service(url: str, population: Population) -> None:
    """Fill the migrated database at *url*. The stored token keys belong to no token until `make_known`."""
    fill(url, population, (_sessions("'127.0.0.1/32'"), _TOKENS, _OWNERS), tables=("sessions",))


def seed_sessions(url: str, population: Population, network: LiteralString) -> None:
    """Fill the migrated database at *url* with sessions alone; *network* is an SQL expression of their `id`."""
    fill(url, population, (_sessions(network), _OWNERS), tables=("sessions",))


def _sessions(network: LiteralString) -> LiteralString:
    # A percent sign begins a parameter.
    return _SESSIONS.replace("%(network)s", network.replace("%", "%%"))


def seed_alternative(url: str, population: Population) -> None:
    """Fill the alternative's empty tables with the same users and sessions."""
    fill(url, population, (_ALTERNATIVE_USERS, _ALTERNATIVE_SESSIONS), tables=("users", "user_sessions"))


def make_known(url: str, bearers: list[Bearer], secret: str) -> None:
    """Store the tokens of *bearers* for their seeded sessions, as if each session had been created with its token."""
    keys = token_keys([bearer.token for bearer in bearers], secret)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE known (session_id bigint PRIMARY KEY, key bytea)")
        with connection.cursor().copy("COPY known FROM STDIN") as copy:
            for bearer, key in zip(bearers, keys, strict=True):
                copy.write_row((bearer.session_id, key))
        connection.execute("ANALYZE known")
        connection.execute(_KNOWN)
        connection.execute("VACUUM ANALYZE session_tokens")


def fill(url: str, population: Population, statements: Sequence[LiteralString], *, tables: Sequence[str]) -> None:
    """Run *statements*, which read the temporary tables `numbers` and `devices`, at *url*.

    Args:
        tables: those whose next `id` is then set.
    """
    # The client inserts the parameters into the statement, because CREATE TABLE AS accepts none.
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        values = {**asdict(population), "rows": population.rows}
        connection.execute(_NUMBERS, values)
        connection.execute(_DEVICES)
        for number, user_agent in enumerate(AGENTS):
            device = parse_user_agent(user_agent)
            row = (number, device.key, device.name, device.type, device.browser, device.os, user_agent)
            connection.execute("INSERT INTO devices VALUES (%s, %s, %s, %s, %s, %s, %s)", row)
        connection.execute("ANALYZE numbers, devices")
        for statement in statements:
            connection.execute(statement, values)
        for table in tables:
            next_id = SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), max(id)) FROM {}")
            connection.execute(next_id.format(Literal(table), Identifier(table)))
        connection.execute("VACUUM ANALYZE")
