"""What is told of the life of sessions once it is on record: a log line for each change, and a count."""

import logging
from collections.abc import Iterable

from session_service import metrics
from session_service.records import LifeChange

_log = logging.getLogger(__name__)


def tell(changes: Iterable[LifeChange]) -> None:
    """Tell of each change: who, what, which, why."""
    for change in changes:
        told = change._asdict()
        _log.info(f"session_{told.pop('what')}", extra=told)
        if change.what == "ended":
            metrics.sessions_ended.labels(change.reason).inc()
        else:
            metrics.sign_ins.labels("adopted" if change.reason == "adopted" else "created").inc()
