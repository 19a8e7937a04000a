"""Several rows of one device: an application that never ends a session has many of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from session_service.importing.rows import ImportedRow
from session_service.records import ObservedDevice, StoredSession
from session_service.rules import policy


@dataclass(frozen=True, slots=True)
class DeviceRows:
    """The row that becomes a session, and the rows that are the same session to every token."""

    chosen: ImportedRow
    others: list[ImportedRow] = field(default_factory=list)


def rows_by_device(rows: Iterable[ImportedRow]) -> list[DeviceRows]:
    """Return one user's *rows*, in the same order, with those of one device as one.

    A token without `sid` or `jti` finds the session of its device and network that was used last. So no token could
    find the others: they would only count for the device limit, until the user signs in on the device again. The row
    that was used last is chosen. Rows that ended, and rows that tokens name, stay for themselves.
    """
    kept: list[DeviceRows] = []
    by_device: dict[object, list[ImportedRow]] = {}
    for row in rows:
        device = _device_of(row)
        if device is None:
            kept.append(DeviceRows(row))
        else:
            by_device.setdefault(device, []).append(row)
    for same in by_device.values():
        chosen = max(same, key=lambda row: (row.session.last_activity, row.session.created_at, row.source_id))
        kept.append(DeviceRows(chosen, [row for row in same if row is not chosen]))
    return sorted(kept, key=attrgetter("chosen.session.created_at", "chosen.source_id"))


def session_on_record(row: ImportedRow, active: Sequence[StoredSession]) -> StoredSession | None:
    """Return the one of the user's *active* sessions that a sign-in on the device of *row* would replace."""
    if _device_of(row) is None:
        return None
    session = row.session
    device = ObservedDevice(
        device_key=session.device_key,
        network=session.network,
        is_recognised=row.is_recognised,
        device_fingerprint=session.device_fingerprint,
    )
    alike = [one for one in active if one.user_id == session.user_id and policy.is_same_device(one, device)]
    return max(alike, key=attrgetter("last_activity", "id"), default=None)


def _device_of(row: ImportedRow) -> object:
    """Return what the rows of one device have in common (see `policy.is_same_device`); None if that is unknown."""
    session = row.session
    is_known = row.is_recognised or session.device_fingerprint is not None
    if row.is_told_apart or session.ended_at is not None or session.network is None or not is_known:
        return None
    return session.device_fingerprint, session.device_key, session.network
