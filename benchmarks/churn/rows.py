"""Fills a database with the rows of a population: sessions, tokens and owners, and the events that are still kept."""

import psycopg

from benchmarks import seed
from benchmarks.seed import Population

_EVENTS = """
    INSERT INTO session_events (xact, what, session_id, user_id, at, recorded_at, reason, initiated_by, successor_id,
        device_name, is_new_device)
    SELECT pg_current_xact_id()::text::bigint, what, id, user_id, at, at, reason, user_id, successor_id, device_name,
        is_new_device
    FROM (
        SELECT 'created' AS what, id, user_id, created_at AS at, 'sign_in' AS reason, NULL::bigint AS successor_id,
            device_name, false AS is_new_device FROM sessions
        UNION ALL
        SELECT 'ended', id, user_id, ended_at, end_reason, successor_id, device_name, NULL FROM sessions
        WHERE ended_at IS NOT NULL
    ) AS events
    WHERE at >= (SELECT min(ended_at) FROM sessions)
    ORDER BY at, what
"""


def fill(url: str, secret: str, population: Population) -> None:
    """Create the tables in the empty database at *url*, and fill them. Events are kept as long as ended sessions."""
    seed.migrate(url, secret)
    seed.seed_service(url, population)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_EVENTS)
        connection.execute("VACUUM ANALYZE session_events")
