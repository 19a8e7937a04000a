"""Publishes changes of a session's life once their transaction is committed: a log line for each, and a count."""

import logging
from collections.abc import Iterable

from session_service import metrics
from session_service.records import SessionEvent

_log = logging.getLogger(__name__)


def publish(events: Iterable[SessionEvent]) -> None:
    """Log and count each event."""
    for event in events:
        fields = event._asdict()
        _log.info(f"session_{fields.pop('what')}", extra=fields)
        if event.what == "ended":
            metrics.sessions_ended.labels(event.reason).inc()
        else:
            metrics.sign_ins.labels("adopted" if event.reason == "adopted" else "created").inc()
