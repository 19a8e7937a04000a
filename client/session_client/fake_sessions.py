"""The rows of the service in memory (`testing`), and the answers that are made of them."""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

_CHALLENGE = 'Bearer realm="sessions"'


class FakeProblem(Exception):
    """A refusal: a status and a problem document (RFC 9457)."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(code)
        title = {401: "Unauthorized", 404: "Not Found"}[status]
        self.status, self.headers = status, {}
        self.document = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": detail,
            "code": code,
            "request_id": "0" * 32,
            **more,
        }
        if status == 401:
            challenge = _CHALLENGE if code == "token_missing" else f'{_CHALLENGE}, error="invalid_token"'
            basic = 'Basic realm="sessions", charset="UTF-8"'
            self.headers = {
                "WWW-Authenticate": basic if code == "service_required" else challenge,
                "X-Session-Code": code,
            }


class Claims(NamedTuple):
    """What the service in memory reads from a token."""

    user_id: int | str
    key: str
    """By which its sessions are found."""


def claims_of(token: str) -> Claims:
    """Return a token's claims; the signature is not verified.

    Raises:
        FakeProblem: there is no token, it cannot be read, or it has expired.
    """
    if not token:
        raise FakeProblem(401, "token_missing", "The request has no access token.")
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        user_id = next(claims[name] for name in ("sub", "id", "user_id") if name in claims)
        is_over = claims["exp"] <= datetime.now(timezone.utc).timestamp()
    except (ValueError, IndexError, KeyError, TypeError, StopIteration):
        raise FakeProblem(401, "token_invalid", "The access token is not valid.") from None
    if is_over:
        raise FakeProblem(401, "token_expired", "The access token has expired.")
    return Claims(user_id, str(claims.get("sid") or ".".join(token.split(".")[:2])))


@dataclass(eq=False)
class FakeSession:
    """A session of the service in memory."""

    id: int
    user_id: int | str
    key: str
    device_name: str
    created_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    ended_at: datetime | None = None
    end_reason: str | None = None

    def __post_init__(self) -> None:
        """Give it the service's default time limits; a test may set others."""
        self.expires_at = self.created_at + timedelta(days=30)
        self.idle_expires_at = self.created_at + timedelta(days=7)

    def liveness(self) -> dict[str, Any]:
        """Return the answer of `validate`."""
        return {
            "active": True,
            "session_id": self.id,
            "user_id": self.user_id,
            "expires_at": _text(self.expires_at),
            "idle_expires_at": _text(self.idle_expires_at),
        }

    def shown(self, current_id: int | None) -> dict[str, Any]:
        """Return the session as a caller sees it whose own session is *current_id*."""
        return {
            "id": self.id,
            "user_id": self.user_id,
            "device_name": self.device_name,
            "device_type": "unknown",
            "browser": "Unknown",
            "os": None,
            "ip_address": "192.0.2.1",
            "ip_source": "observed",
            "created_at": _text(self.created_at),
            "last_activity": _text(self.created_at),
            "expires_at": _text(self.expires_at),
            "idle_expires_at": _text(self.idle_expires_at),
            "is_active": self.end_reason is None,
            "is_current": self.id == current_id,
            "ended_at": _text(self.ended_at),
            "end_reason": self.end_reason,
        }


def refused(session: FakeSession) -> FakeProblem:
    """Return the refusal of a token whose session has ended."""
    detail = f"This device ({session.device_name}) was signed out. The reason is: {session.end_reason}."
    return FakeProblem(
        401,
        "session_ended",
        detail,
        end_reason=session.end_reason,
        ended_at=_text(session.ended_at),
        device_name=session.device_name,
    )


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")
