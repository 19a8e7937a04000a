"""Sign-ins that go on while something is killed, and the detector of what was lost or is half done afterwards."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from time import monotonic
from typing import Any

import urllib3

from tests.harness.callers import Answer
from tests.harness.processes import wait_until
from tests.harness.records import Faults, Records, faults_of_rows
from tests.harness.reports import note
from tests.harness.sign_ins import LIMIT
from tests.harness.support import CHROME, make_token

USERS = (74, 75, 76, 77)
MOST_CALLS = 2_000
"""Of one caller: no load is without an end."""
MOST_SECONDS = 10
"""Nobody waits longer for an answer, whatever happens to the database."""


@dataclass
class Tally:
    """What came of many sign-ins."""

    acknowledged: list[Any] = field(default_factory=list)
    """The bodies of the 201s."""
    refused: list[Answer] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Calls whose connection broke before an answer came."""
    seconds: list[float] = field(default_factory=list)
    """How long each answer took."""
    kills: int = 0

    @property
    def slowest(self) -> float:
        return max(self.seconds)

    def report(self) -> None:
        refused = Counter((answer.status, answer.code) for answer in self.refused)
        note(
            f"survived {self.kills} kills: {len(self.acknowledged)} acknowledged sign-ins, {len(self.broken)} broken"
            f" connections, refused: {dict(refused)}, the slowest answer after {self.slowest:.2f} s"
        )


@contextmanager
def signing_in(url: str, callers: int = 8) -> Iterator[Tally]:
    """Sign users in, one device after the other from each caller, until the test is done."""
    tally, done = Tally(), Event()

    def call(number: int) -> None:
        user_id = USERS[number % len(USERS)]
        with urllib3.connection_from_url(url, maxsize=1, retries=False, timeout=MOST_SECONDS) as http:
            for one in range(MOST_CALLS):
                if done.is_set():
                    return
                token = make_token(user_id, n=f"{number}.{one}")
                headers = {"Authorization": f"Bearer {token}", "User-Agent": CHROME}
                body = {"device_fingerprint": f"{number}.{one}"}
                began = monotonic()
                try:
                    response = http.request("POST", "/sessions/create", json=body, headers=headers)
                except urllib3.exceptions.TimeoutError:
                    tally.seconds.append(MOST_SECONDS)
                    return
                except urllib3.exceptions.HTTPError as error:
                    tally.broken.append(str(error))
                    continue
                tally.seconds.append(monotonic() - began)
                answer = Answer(response.status, response.json(), response.headers.get("Retry-After"))
                if answer.status == 201:
                    tally.acknowledged.append(answer.body)
                else:
                    tally.refused.append(answer)
                    done.wait(0.02)

    with ThreadPoolExecutor(callers) as pool:
        calls = [pool.submit(call, number) for number in range(callers)]
        try:
            yield tally
        finally:
            done.set()
    for finished in calls:
        finished.result()
    tally.report()


def wait_for_more(number: int, seen: Sequence[Any], what: str) -> None:
    """Wait until *number* more of what a load collects are there."""
    enough = len(seen) + number
    wait_until(lambda: len(seen) >= enough, f"{number} more {what}")


def faults_on_record(acknowledged: Sequence[Any], records: Records) -> Faults:
    """Find acknowledged sign-ins that are not on record as they were answered, and whatever is half done."""
    rows = {row.id: row for row in records.rows()}
    faults = faults_of_rows(list(rows.values()))
    for created in acknowledged:
        row = rows.get(created["id"])
        if row is None or (row.user_id, row.created_at) != (str(created["user_id"]), instant(created["created_at"])):
            faults.append(f"lost: {created} is {row}")
        for one in created["evicted"]:
            row = rows.get(one["id"])
            told = ("limit", instant(one["ended_at"]), created["id"])
            if row is None or (row.end_reason, row.ended_at, row.successor_id) != told:
                faults.append(f"not evicted as answered: {one} is {row}")
    for user_id in {row.user_id for row in rows.values()}:
        active = [row.id for row in rows.values() if row.user_id == user_id and row.ended_at is None]
        newest = [row.id for row in rows.values() if row.user_id == user_id][-LIMIT:]
        if active != newest:
            faults.append(f"not the newest: user {user_id} is left with {active} and not {newest}")
    without = records.run("SELECT id FROM sessions WHERE id NOT IN (SELECT session_id FROM session_tokens)")
    return faults + [f"without its token: {session_id}" for (session_id,) in without]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
