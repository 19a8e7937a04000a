"""What `SESSION_ENFORCEMENT=enforce` would have done to the request that this thread serves.

It is told by a header of the answer, a metric and a line of the log, once for each request and kind.
"""

import logging
from contextvars import ContextVar
from dataclasses import dataclass

from session_service import metrics
from session_service.rules.observing import WouldRefuse

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a request was not refused for, and how many sessions it did not end."""

    code: WouldRefuse | None = None
    evictions: int = 0


NOTHING = Observed()

current: ContextVar[Observed] = ContextVar("observed", default=NOTHING)


def would_refuse(code: WouldRefuse, user_id: str, session_id: int | None = None) -> None:
    """Tell that the request would have been refused with *code*; the first code of a request counts."""
    observed = current.get()
    if observed.code is None:
        current.set(Observed(code, observed.evictions))
        metrics.would_refuse.labels(code).inc()
        _log.info("session_would_refuse", extra={"code": code, "user_id": user_id, "session_id": session_id})


def would_evict(session_ids: list[int], user_id: str) -> None:
    """Tell that the device limit would have ended these sessions."""
    current.set(Observed(current.get().code, len(session_ids)))
    metrics.would_evict.inc(len(session_ids))
    for session_id in session_ids:
        _log.info("session_would_end", extra={"reason": "limit", "user_id": user_id, "session_id": session_id})
