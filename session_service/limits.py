"""How long anything may take and how many threads may wait for it: every bound of a request, in one table.

`docs/runbook.md`, "When the database does not answer", explains the same values to operators; a test compares them.
"""

from datetime import timedelta

REQUEST_SECONDS = 2.5
"""For a request: all its waits for the database together."""

STATEMENT_SECONDS = 2.0
"""For one statement, and for a lock, on the server; also for another process's lock on an SQLite file."""

CONNECT_SECONDS = 0.8
"""For a new connection to the database. The first successful answer after an outage may wait this long."""

PING_SECONDS = 0.5
"""For the check of a pooled connection that was not used for `PING_AFTER_SECONDS`."""

PING_AFTER_SECONDS = 1.0

ROLLBACK_SECONDS = 0.1
"""For a rollback after the deadline has passed; a working server answers it in less."""

DATABASE_STALL_SECONDS = 1.0
"""A thread stops waiting for a free connection after this long without any answer from the database."""

COMMAND_TRANSACTION_SECONDS = 60.0
"""For one transaction of a command. Requests have their own, shorter deadline."""

LONG_TRANSACTION_SECONDS = 1_800.0
"""For one transaction of a command that counts rows or deletes all rows of one user."""

READINESS_DATABASE_SECONDS = 0.4
READINESS_KEY_SECONDS = 0.4
"""`/readyz` waits this long for a process's first key; both of its waits together stay below one second."""

AUTH_SERVER_SECONDS = 2.0
"""For a call to the auth server as a whole, from the first byte sent to the last byte received."""

AUTH_SERVER_CONNECT_SECONDS = 1.0
"""For a connection to each address of the auth server's host name; the name's look-up is not included."""

AUTH_SERVER_CALLS = 4
"""Threads of one process that may wait for the auth server."""

AUTH_SERVER_STALL_SECONDS = 0.25
"""How long another thread waits to become one of them."""

FIRST_KEY_SECONDS = AUTH_SERVER_SECONDS + 0.5
"""For the call that fetches a key that a token needs."""

KEY_WAITERS = 4
"""Threads of one process that may wait for a key."""

MAX_CLOCK_LAG = timedelta(seconds=2 * REQUEST_SECONDS)
"""How much earlier than the newest session a request's `now` may be: it waited for a connection and for the lock.

A difference above this means that a clock is wrong.
"""


LEASE_WAITERS = 4
"""Threads of a process that may wait for a lease to end (`everywhere`)."""

LEASE_MARGIN_SECONDS = 0.05
"""Longer than the lease by this: the clocks of two machines do not run at exactly the same rate."""

FEED_WAITERS = 2
"""Threads of a process that may wait until committed events can be read."""

FEED_WAIT_SECONDS = 0.2
"""For them at most; then the answer says that it is not complete."""

FEED_PAUSE_SECONDS = 0.01
"""Between two looks."""

WEBHOOK_BATCH = 100
"""Events that a process sends to an endpoint before another process may take its turn."""

WEBHOOK_PAUSE_SECONDS = 0.5
"""Between two looks for events to send to an endpoint; up to this much later they are sent."""

WEBHOOK_LEASE_MARGIN_SECONDS = 5.0
"""A lease of an endpoint is longer than a call by this."""

WEBHOOK_LEASE_USABLE_SECONDS = 3.0
"""A call begins within this time after its lease was asked for, or the lease is renewed first."""

SPARE_THREADS = 2
"""Threads of a process for requests that wait for nothing."""


def threads_for(connections: int) -> int:
    """Return how many threads a process with so many database *connections* needs.

    As many as may wait for the database, the auth server, a key, a lease and the feed at once, and `SPARE_THREADS`.
    """
    return connections + AUTH_SERVER_CALLS + KEY_WAITERS + LEASE_WAITERS + FEED_WAITERS + SPARE_THREADS


MAX_ACTIVE_LISTED = 1_000
"""Most active sessions of a user: in a list, and as a limit."""
