"""What is sent to an endpoint, and its signature, by the rules of Standard Webhooks."""

from datetime import datetime
from typing import Any, Literal

import orjson
from standardwebhooks import Webhook

from session_service import __version__
from session_service.config import Settings
from session_service.records import Principal, SessionEvent, StoredSession
from session_service.services.session_view import present, present_event

InitiatingEntity = Literal["user", "admin", "policy", "system"]
"""Who caused an event (CAEP 1.0 section 2)."""

NOBODY = Principal()
"""Sees a session as its owner does."""


def body_of(event: SessionEvent, session: StoredSession | None, settings: Settings, now: datetime) -> bytes:
    """Return the message's JSON: the event as in the feed, with who caused it and the session as it is at *now*.

    `session` is null if it has been purged. It has no `is_current`: a receiver is none of the user's devices.
    """
    view: dict[str, Any] = dict(present_event(event, settings))
    shown: dict[str, Any] | None = None
    if session is not None:
        shown = dict(present(session, settings, by=NOBODY, now=now))
        del shown["is_current"]
    view["data"] |= {"initiating_entity": initiating_entity(view["data"]["actor"]), "session": shown}
    return orjson.dumps(view, option=orjson.OPT_UTC_Z)


def initiating_entity(actor: str) -> InitiatingEntity:
    """Return the actor of an event in the words of CAEP 1.0. A service acts as an admin, as the end reason says."""
    match actor:
        case "user" | "policy" | "system":
            return actor
    return "admin"


def headers_of(event: SessionEvent, body: bytes, secrets: tuple[str, ...], now: datetime) -> dict[str, str]:
    """Return the headers of a message that is sent at *now*, with a signature of each secret.

    `webhook-id` is the event's id: the same at every attempt.
    """
    message_id = str(event.id)
    # The library drops the offset and what is below a second.
    signatures = [Webhook(secret).sign(message_id, now, body.decode()) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": f"session-service/{__version__}",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
