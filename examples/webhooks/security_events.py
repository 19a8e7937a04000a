"""A receiver that turns `session.ended` into a Security Event Token (RFC 8417) of CAEP 1.0, `session-revoked`.

It prints the tokens; a transmitter of the Shared Signals Framework would deliver them (RFC 8935). Needs flask,
standardwebhooks and PyJWT[crypto].

    WEBHOOK_SECRET=whsec_… SET_ISSUER=https://sessions.example.com SET_AUDIENCE=https://receiver.example.com \\
        SET_PRIVATE_KEY="$(cat key.pem)" flask --app examples.webhooks.security_events run --port 8002
"""

import os
from datetime import UTC, datetime
from typing import Any

import jwt
from flask import Flask, request
from flask.typing import ResponseReturnValue
from standardwebhooks import Webhook, WebhookVerificationError

SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

REASONS = {
    "logout": "The user signed out.",
    "revoked": "The user signed this device out from another one.",
    "admin": "An administrator ended the session.",
    "limit": "A newer sign-in went over the device limit.",
    "replaced": "The same device signed in again.",
    "idle": "The session was not used.",
    "expired": "The session reached its longest duration.",
}
"""For `reason_admin`: a text for each end reason."""

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 * 1_024

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
ISSUER, AUDIENCE = os.environ["SET_ISSUER"], os.environ["SET_AUDIENCE"]
PRIVATE_KEY = os.environ["SET_PRIVATE_KEY"]
"""An EC key (P-256) in PEM. Its public half belongs into the key set that the receiver of tokens reads."""


def claims_of(message: dict[str, Any], message_id: str, now: datetime) -> dict[str, Any]:
    """Return the claims of the Security Event Token for a message about an end.

    A repeated message gives the same `jti`, by which the token's receiver recognises it.
    """
    data = message["data"]
    reason = REASONS.get(data["reason"], data["reason"])
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "jti": f"session-event-{message_id}",
        "iat": int(now.timestamp()),
        # Both the session and its user (RFC 9493; SSF 1.0, complex subjects).
        "sub_id": {
            "format": "complex",
            "session": {"format": "opaque", "id": str(data["session_id"])},
            "user": {"format": "iss_sub", "iss": ISSUER, "sub": str(data["user_id"])},
        },
        "events": {
            SESSION_REVOKED: {
                "event_timestamp": int(datetime.fromisoformat(message["timestamp"]).timestamp()),
                "initiating_entity": data["initiating_entity"],
                "reason_admin": {"en": f"{reason} ({data['because']})" if data["because"] else reason},
            }
        },
    }


@app.post("/hooks/sessions")
def receive() -> ResponseReturnValue:
    """Take a message, and print a token for an end."""
    try:
        message = webhook.verify(request.get_data(), dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return "", 401
    if message["type"] == "session.ended":
        claims = claims_of(message, request.headers["webhook-id"], datetime.now(UTC))
        # RFC 8417 section 2.3: the type keeps these tokens apart from access tokens.
        print(jwt.encode(claims, PRIVATE_KEY, "ES256", {"typ": "secevent+jwt"}), flush=True)  # noqa: T201
    return "", 204
