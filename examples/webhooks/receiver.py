"""A receiver that mails "new sign-in on your account". It prints the mail instead of sending it.

Needs flask and standardwebhooks. The secret is the endpoint's, from the service's file:

    WEBHOOK_SECRET=whsec_… flask --app examples.webhooks.receiver run --port 8001
"""

import os
import sqlite3
from contextlib import closing
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue
from standardwebhooks import Webhook, WebhookVerificationError

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 * 1_024

# During a rotation, give this receiver the new secret while messages are signed with both.
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
DATABASE = os.environ.get("RECEIVER_DATABASE", "webhooks.sqlite3")


def database() -> sqlite3.Connection:
    """Return a connection to the table of messages that have been dealt with."""
    connection = sqlite3.connect(DATABASE, timeout=5)
    # Ids are kept for longer than a message may be repeated: a replay goes back EVENT_RETENTION_DAYS.
    connection.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP)")
    connection.execute("DELETE FROM seen WHERE at < datetime('now', '-30 days')")
    return connection


@app.post("/hooks/sessions")
def receive() -> ResponseReturnValue:
    """Take a message. Any 2xx means that it need not be sent again."""
    try:
        # The bytes as they came: JSON that was parsed and written again has another signature.
        message = webhook.verify(request.get_data(), dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return "", 401
    # The id and what is done for it are one transaction: after a crash in between, the message comes again.
    with closing(database()) as connection, connection:
        added = connection.execute("INSERT OR IGNORE INTO seen (id) VALUES (?)", (request.headers["webhook-id"],))
        if added.rowcount and message["type"] == "session.created" and message["data"]["new_device"]:
            send_mail(message)
    return "", 204


def send_mail(message: dict[str, Any]) -> None:
    """Print a mail. A real one goes into a queue here, in the same transaction."""
    data, session = message["data"], message["data"]["session"] or {}
    print(  # noqa: T201
        f"To: the user {data['user_id']}\n"
        "Subject: New sign-in on your account\n\n"
        f"{data['device_name']}, on {message['timestamp']}, from {session.get('ip_address') or 'an unknown address'}.\n"
        "If that was not you, sign that device out and change your password.",
        flush=True,
    )
