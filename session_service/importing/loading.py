"""Writes the sessions of an import, in batches: one transaction each, under the locks that sign-ins take.

Each transaction also remembers which rows it has imported. So an import may be killed at any point and begun anew, and
may run beside live traffic and beside another import: no row becomes two sessions, and none that has ended here comes
back. No event is written (ADR 22).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from session_service.config import Settings
from session_service.database import import_queries
from session_service.database.import_queries import Imported, Mark, OpenerToken
from session_service.database.transaction import transaction
from session_service.importing.devices_of_user import session_on_record
from session_service.importing.left_out import LeftOut
from session_service.importing.rows import ImportedRow
from session_service.importing.staged import StagedDevice
from session_service.records import StoredSession
from session_service.rules import policy
from session_service.services.pacing import in_paced_transaction

_SAME_DEVICE = "another row of the same device was used later, and became the session of both"
_ON_RECORD = "the device has a session here"
_OTHER_USER = "a row with this id was imported for another user; --source tells two tables apart"


@dataclass
class Loaded:
    """What an import has done so far, or what it would do."""

    rows: int = 0
    """Rows that were dealt with."""
    created: int = 0
    active: int = 0
    """Those of `created` that have not ended."""
    already: int = 0
    """Rows that were imported before."""
    longest_seconds: float = 0.0
    """Duration of the longest transaction."""


@dataclass
class _Batch:
    """What one transaction writes."""

    lifetime: timedelta
    sessions: list[ImportedRow] = field(default_factory=list)
    marks: list[tuple[str, ImportedRow | StoredSession | Imported, datetime]] = field(default_factory=list)
    """Rows to remember: their ids, what they have become, and when their lifetime ends."""
    left_out: list[LeftOut] = field(default_factory=list)
    already: int = 0

    def mark(self, row: ImportedRow, become: ImportedRow | StoredSession | Imported) -> None:
        """Remember that *row* was imported."""
        self.marks.append((row.source_id, become, row.session.created_at + self.lifetime))


def load(  # noqa: PLR0913
    devices: Iterable[StagedDevice], settings: Settings, source: str, *, now: datetime, batch: int, writes: bool
) -> Iterator[tuple[Loaded, Sequence[LeftOut]]]:
    """Import as of *now*, about *batch* rows in one transaction; yield the totals so far, and what the batch left out.

    Args:
        source: the name of the table that the rows come from: an id is unique within it.
        writes: without it nothing is changed, and the totals are what would be done.

    Raises:
        DatabaseUnavailable: earlier batches stay committed.
    """
    done = Loaded()
    for chosen in _batches(devices, batch):
        if writes:
            planned = in_paced_transaction(done, partial(_write, chosen, settings, source, now))
        else:
            with transaction():
                planned = _read_and_plan(chosen, settings, source, now)
        done.rows += sum(len(one.lines) for one in chosen)
        done.created += len(planned.sessions)
        done.active += sum(row.session.ended_at is None for row in planned.sessions)
        done.already += planned.already
        yield done, planned.left_out


def _batches(devices: Iterable[StagedDevice], batch: int) -> Iterator[list[StagedDevice]]:
    """Yield *devices* with at least *batch* rows together, and what is left."""
    chosen: list[StagedDevice] = []
    rows = 0
    for one in devices:
        chosen.append(one)
        rows += len(one.lines)
        if rows >= batch:
            yield chosen
            chosen, rows = [], 0
    if chosen:
        yield chosen


def _write(chosen: Sequence[StagedDevice], settings: Settings, source: str, now: datetime) -> _Batch:
    import_queries.lock_or_add_owners({one.rows.chosen.session.user_id for one in chosen})
    planned = _read_and_plan(chosen, settings, source, now)
    ids = import_queries.next_ids(len(planned.sessions))
    new = {row.source_id: row.session._replace(id=one) for row, one in zip(planned.sessions, ids, strict=True)}
    import_queries.insert_sessions(list(new.values()))
    import_queries.insert_tokens(
        [
            OpenerToken(row.token_key, new[row.source_id].id, row.token_expires_at)
            for row in planned.sessions
            if row.token_key and row.token_expires_at
        ]
    )
    session_id = partial(_session_id, new)
    import_queries.insert_marks([Mark(source, one, session_id(of), until) for one, of, until in planned.marks])
    return planned


def _session_id(new: dict[str, StoredSession], of: ImportedRow | StoredSession | Imported) -> int:
    match of:
        case ImportedRow():
            return new[of.source_id].id
        case StoredSession():
            return of.id
    return of.session_id


def _read_and_plan(chosen: Sequence[StagedDevice], settings: Settings, source: str, now: datetime) -> _Batch:
    known = import_queries.list_imported(source, [source_id for one in chosen for source_id in one.lines])
    active: dict[str, list[StoredSession]] = defaultdict(list)
    for session in import_queries.list_unended_of({one.rows.chosen.session.user_id for one in chosen}):
        if policy.is_active(session, now, settings.idle):
            active[session.user_id].append(session)
    planned = _Batch(settings.lifetime)
    for one in chosen:
        _plan_device(planned, one, known, active[one.rows.chosen.session.user_id])
    return planned


def _plan_device(
    planned: _Batch, device: StagedDevice, known: dict[str, Imported], active: Sequence[StoredSession]
) -> None:
    row = device.rows.chosen
    become: ImportedRow | StoredSession | Imported = row
    before, on_record = known.get(row.source_id), session_on_record(row, active)
    if before and before.user_id not in (None, row.session.user_id):
        planned.left_out.append(LeftOut(device.lines[row.source_id], row.source_id, "id_of_another_user", _OTHER_USER))
        return
    if before:
        planned.already += 1
        become = before
    elif on_record:
        become = on_record
        planned.left_out.append(LeftOut(device.lines[row.source_id], row.source_id, "same_device", _ON_RECORD))
    else:
        planned.sessions.append(row)
    if not before:
        planned.mark(row, become)
    for other in device.rows.others:
        if other.source_id in known:
            planned.already += 1
            continue
        planned.mark(other, become)
        planned.left_out.append(LeftOut(device.lines[other.source_id], other.source_id, "same_device", _SAME_DEVICE))
