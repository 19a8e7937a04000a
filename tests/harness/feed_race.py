"""Writers and readers of events as processes of their own, for the race of the feed.

``python -m tests.harness.feed_race write URL SEED EVENTS OUTPUT`` makes changes in transactions of random length, some
of them undone, and writes down what was committed. ``… read URL SEED UNTIL OUTPUT`` follows the feed until the file
UNTIL exists and nothing is left; with ``without-horizon`` it goes as far as it sees.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

from sqlalchemy import BigInteger, literal

from session_service.app import create_app
from session_service.clock import utcnow
from session_service.database import event_queries, session_queries
from session_service.database.prepared import Prepared
from session_service.database.transaction import transaction
from session_service.errors import DatabaseUnavailable
from session_service.records import End, ObservedDevice, StoredSession, Token
from session_service.services.feed import Feed
from tests.harness.support import settings

DAY = timedelta(days=1)
USERS = 6
"""So few that writers wait for each other's locks."""
LONGEST_SECONDS = 0.05

Change = tuple[str, int]
"""`created` or `ended`, and the id of the session."""


class Undone(Exception):
    """A transaction was rolled back on purpose."""


@contextmanager
def of_random_length(random: Random) -> Iterator[None]:
    """Run a block in a transaction that stays open for a while, and is undone one time in ten."""
    with transaction(writes=True):
        yield
        sleep(LONGEST_SECONDS * random.random() ** 3)
        if random.random() < 0.1:
            raise Undone


def write(url: str, seed: int, events: int, output: Path) -> None:
    """Make changes until so many are committed."""
    random, done = Random(seed), list[Change]()
    with create_app(settings(DATABASE_URL=url)).app_context():
        while len(done) < events:
            user_id = str(random.randrange(USERS))
            with suppress(Undone, DatabaseUnavailable):
                done += _create(random, user_id) if random.random() < 0.55 else _end_some(random, user_id)
    output.write_text(json.dumps(done))


def _create(random: Random, user_id: str) -> list[Change]:
    now = utcnow()
    token = Token(user_id, None, random.randbytes(32), 0, now + DAY, is_admin=False)
    device = ObservedDevice(device_key="k", network=None, is_recognised=False)
    with of_random_length(random):
        created_id = session_queries.lock_and_read_state(token, device, 1).next_id
        session = StoredSession(
            created_id, None, user_id, None, "k", "n", "web", "b", None, None, "observed", None, now, now, now + DAY
        )
        session_queries.insert_session(session, token, "sign_in", user_id)
    return [("created", created_id)]


def _end_some(random: Random, user_id: str) -> list[Change]:
    now, ended = utcnow(), list[Change]()
    with of_random_length(random):
        session_queries.lock_owner(user_id)
        active = session_queries.list_active(user_id, now, None)
        for session in random.sample(active, min(len(active), random.randrange(1, 4))):
            if session_queries.mark_ended(session.id, End("revoked", user_id, now), None):
                ended.append(("ended", session.id))
    return ended


def read(url: str, seed: int, until: Path, output: Path, position: str) -> None:
    """Follow the feed at a random pace."""
    random, seen, incomplete = Random(seed), list[tuple[int, str, int]](), 0
    with create_app(settings(DATABASE_URL=url)).app_context():
        feed = Feed(settings(DATABASE_URL=url))
        while True:
            is_over = until.exists()
            xact, event_id = map(int, position.split("-"))
            page = feed.read((xact, event_id))
            seen += [(one["id"], one["type"], one["data"]["session_id"]) for one in page["events"]]
            position = page["position"]
            incomplete += not page["complete"]
            if is_over and page["complete"] and not page["events"]:
                break
            sleep(0.1 * random.random() ** 2)
    output.write_text(json.dumps({"seen": seen, "incomplete": incomplete}))


def without_horizon() -> None:
    """Let this process read what is committed, whatever is under way."""
    everything = literal(2**61, BigInteger)
    event_queries.READ = Prepared(event_queries._read(everything, literal(2**60, BigInteger), literal(0, BigInteger)))
    page = event_queries.read_events

    def read_events(after: Any, most: int) -> event_queries.EventsRead:
        found = page(after, most)
        last = found.events[-1] if found.events else None
        return found._replace(next_position=(last.xact, last.id) if last else after)

    event_queries.read_events = read_events


def main(role: str, url: str, seed: str, argument: str, output: str, *options: str) -> None:
    """Run one process of the race."""
    if "without-horizon" in options:
        without_horizon()
    if role == "write":
        write(url, int(seed), int(argument), Path(output))
    else:
        read(url, int(seed), Path(argument), Path(output), options[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
