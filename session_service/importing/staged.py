"""How a row is written into the temporary file that sorts all rows, and read back."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from session_service.database.staging import StagedRow, Staging
from session_service.importing.devices_of_user import DeviceRows, rows_by_device
from session_service.importing.rows import ImportedRow
from session_service.records import StoredSession

MAX_TOGETHER = 1_000
"""Rows of one user that are in memory at once. Those of one device become one session only among these, and by what is
on record when the next ones are written."""

_INSTANTS = [index for index, name in enumerate(StoredSession._fields) if name.endswith(("_at", "_activity"))]


def stage(row: ImportedRow, line: int | None) -> StagedRow:
    """Return *row* as it is staged."""
    key, session = row.token_key, row.session
    content = [list(session), row.is_recognised, key.hex() if key else None, row.token_expires_at]
    return StagedRow(session.user_id, row.source_id, session.created_at.timestamp(), line, orjson.dumps(content))


def unstage(staged: StagedRow) -> ImportedRow:
    """Return the row that was staged as *staged*."""
    columns, is_recognised, key, token_expires_at = orjson.loads(staged.content)
    for index in _INSTANTS:
        columns[index] = _instant(columns[index])
    session = StoredSession._make(columns)
    token_key = bytes.fromhex(key) if key else None
    return ImportedRow(staged.source_id, session, is_recognised, token_key, _instant(token_expires_at))


class StagedDevice(NamedTuple):
    """One session to be, with the lines of its rows by their ids."""

    rows: DeviceRows
    lines: dict[str, int | None]


def devices_in_order(staging: Staging) -> Iterator[StagedDevice]:
    """Yield what becomes a session, by user, and each user's in the order of their creation."""
    for _, of_user in groupby(staging.sorted_rows(), attrgetter("user_id")):
        while some := list(islice(of_user, MAX_TOGETHER)):
            yield from _devices(some)


def _devices(of_user: Sequence[StagedRow]) -> Iterator[StagedDevice]:
    lines = {staged.source_id: staged.line for staged in of_user}
    rows = [unstage(staged) for staged in of_user]
    for device in rows_by_device(rows):
        ids = [one.source_id for one in (device.chosen, *device.others)]
        yield StagedDevice(device, {one: lines[one] for one in ids})


def _instant(text: Any) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
