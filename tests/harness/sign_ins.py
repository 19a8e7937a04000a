"""Sign-ins of one user at once: the load, and the detectors that say in words what is wrong afterwards."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from tests.harness.callers import Answer, at_once, callers
from tests.harness.records import Faults, Records, Row, Watch, faults_of_rows, watching
from tests.harness.reports import note
from tests.harness.support import USER

LIMIT = 3


@dataclass(frozen=True)
class Load:
    """What came of a load: the answers, the user's rows afterwards, and what was seen meanwhile."""

    answers: list[Answer]
    rows: list[Row]
    watch: Watch

    @property
    def created(self) -> list[Any]:
        return [answer.body for answer in self.answers if answer.status == 201]

    @property
    def active(self) -> list[int]:
        return [row.id for row in self.rows if row.ended_at is None]


def creates_at_once(
    urls: Sequence[str], database_url: str, number: int, *, same_device: bool = False, user_id: int = USER
) -> Load:
    with callers(urls, number, user_id) as devices, watching(database_url, user_id) as watch:
        fingerprints = ["the same" if same_device else f"device {one}" for one in range(number)]
        answers = at_once([partial(device.create, name) for device, name in zip(devices, fingerprints, strict=True)])
    with closing(Records(database_url)) as records:
        rows = records.rows(f"user_id = '{user_id}'")
    note(f"{Counter(answer.status for answer in answers)}, {len(rows)} rows; {watch}")
    return Load(answers, rows, watch)


def faults_of_creates(load: Load, *, most: int = LIMIT) -> Faults:
    """Find an instant with more than *most* active sessions, lost sessions, and ends that differ from the answers."""
    faults = faults_of_rows(load.rows)
    if max(load.watch.most, len(load.active)) > most:
        faults.append(f"over the limit: {load.watch.most} at once, {len(load.active)} in the end")
    rows = {row.id: row for row in load.rows}
    faults += [f"lost: {one}" for one in load.created if one["id"] not in rows]
    told = Counter(
        (one["id"], datetime.fromisoformat(one["ended_at"]), created["id"])
        for created in load.created
        for one in created["evicted"]
    )
    ended = Counter((row.id, row.ended_at, row.successor_id) for row in load.rows if row.end_reason == "limit")
    if told != ended:
        faults.append(f"evicted by the answers, not on record: {told - ended}; the other way round: {ended - told}")
    return faults


def faults_of_order(rows: Sequence[Row], goes_first: Callable[[Row], Any], limit: int = LIMIT) -> Faults:
    """Find sessions that did not give way to the one to which they had to, taking the sign-ins one after the other."""
    successors: dict[int, int] = {}
    active: list[Row] = []
    for row in rows:
        if len(active) == limit:
            active.remove(loser := min(active, key=goes_first))
            successors[loser.id] = row.id
        active.append(row)
    return [f"gave way out of turn: {row}" for row in rows if row.successor_id != successors.get(row.id)]


def creates_and_logouts_at_once(urls: Sequence[str], database_url: str, rounds: int, user_id: int = USER) -> Load:
    """In each round, 8 devices sign in while 4 callers sign everybody out: 2 of them have a session, 2 have none."""
    answers: list[Answer] = []
    with watching(database_url, user_id) as watch:
        for number in range(rounds):
            with callers(urls, 12, user_id) as devices:
                leaving, arriving = devices[:4], devices[4:]
                answers += [device.create(f"leaving {number}.{one}") for one, device in enumerate(leaving[:2])]
                answers += at_once(
                    [partial(device.call, "DELETE", "/sessions/logout-all") for device in leaving]
                    + [partial(device.create, f"{number}.{one}") for one, device in enumerate(arriving)]
                )
    with closing(Records(database_url)) as records:
        rows = records.rows(f"user_id = '{user_id}'")
    note(f"{Counter((answer.status, answer.code) for answer in answers)}; {watch}")
    note(f"{Counter(row.end_reason for row in rows)} of {len(rows)} rows")
    return Load(answers, rows, watch)


def faults_of_logouts(load: Load) -> Faults:
    """Find what is wrong with the sign-ins, sessions that were closed twice or never, and odd answers."""
    faults = faults_of_creates(load)
    closed = sum(answer.body["closed"] for answer in load.answers if answer.status == 200)
    ended = sum(row.end_reason in {"revoked", "logout"} for row in load.rows)
    if closed != ended:
        faults.append(f"miscounted: {closed} closed by the answers, {ended} on record")
    odd = [answer for answer in load.answers if answer.status >= 400 and answer.code != "session_ended"]
    return faults + [f"refused: {answer}" for answer in odd]
