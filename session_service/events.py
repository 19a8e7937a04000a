"""Publishes changes of a session's life once their transaction is committed: a log line for each, and a count."""

import logging
from collections.abc import Iterable

from session_service import metrics
from session_service.records import WrittenEvent

_LOGGED = ("session_id", "user_id", "reason", "successor_id", "because")

_log = logging.getLogger(__name__)


def publish(events: Iterable[WrittenEvent]) -> None:
    """Log and count each event."""
    for event in events:
        fields = {name: getattr(event, name) for name in _LOGGED}
        fields["by"] = event.initiated_by
        if event.what == "created":
            fields["is_new_device"] = event.is_new_device
        _log.info(f"session_{event.what}", extra={"fields": fields})
        if event.what == "ended":
            metrics.of(metrics.sessions_ended, event.reason).inc()
        else:
            metrics.of(metrics.sign_ins, "adopted" if event.reason == "adopted" else "created").inc()
