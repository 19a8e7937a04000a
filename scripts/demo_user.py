"""Makes the user whom `make run` shows in a browser, with four devices and some history; prints the user's token.

A process of its own: the server's metrics need that its first process has not loaded the service.
"""

import os
from dataclasses import replace
from datetime import datetime, timedelta

from session_service.app import create_app
from session_service.auth_server.example_token import example_token
from session_service.clock import utcnow
from session_service.components import components
from session_service.config import Settings
from session_service.records import Client, Principal
from session_service.services import personal_data

DEMO_USER_ID = "75"
_CHROME = "Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
WINDOWS, LINUX = _CHROME % "Windows NT 10.0; Win64; x64", _CHROME % "X11; Linux x86_64"
PIXEL = (_CHROME % "Linux; Android 14; Pixel 8").replace(" Safari", " Mobile Safari")
_APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {_APPLE} Mobile/15E148 Safari/604.1"
IPAD = f"Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) {_APPLE} Mobile/15E148 Safari/604.1"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"

DEVICES: tuple[tuple[float, str, str, str | None], ...] = (
    (150, FIREFOX, "198.51.100.9", "logout"),
    (120, WINDOWS, "203.0.113.7", "revoked"),
    (98, IPAD, "203.0.113.7", "admin"),
    (75, WINDOWS, "198.51.100.23", None),
    (52, PIXEL, "192.0.2.44", None),
    (9, IPHONE, "203.0.113.7", None),
    (0, LINUX, "127.0.0.1", None),
)
"""Hours ago, user agent, address, and how the session ended. The last one is the browser that opens the page."""


def make_demo_user(settings: Settings, *, now: datetime, lasts: timedelta) -> str:
    """Erase the demo user and sign the user in on all `DEVICES`; return the last one's token."""
    # As many devices as the story needs, whatever the settings allow to others.
    app = create_app(replace(settings, MAX_SESSIONS_PER_USER=len(DEVICES), MAX_SIGN_INS_PER_MINUTE=0))
    encoded = ""
    with app.app_context():
        personal_data.erase(DEMO_USER_ID, now=now)
        for number, (hours, user_agent, address, way) in enumerate(DEVICES):
            # A token is a text of its own because it expires at another second.
            its_life = lasts + timedelta(seconds=number)
            encoded = example_token(settings, DEMO_USER_ID, role=None, lasts=its_life, now=now)
            began_at = now - timedelta(hours=hours)
            session_id = sign_in(encoded, Client(user_agent, address), now=now, began_at=began_at)
            if way:
                end(session_id, way, began_at + timedelta(hours=6))
    return encoded


def sign_in(encoded: str, client: Client, *, now: datetime, began_at: datetime) -> int:
    """Open a session for a token that is valid at *now*; return its id."""
    user, token = Principal(user_id=DEMO_USER_ID), components().tokens.verify(encoded, now)
    return components().sign_in.create_session({}, by=user, token=token, client=client, now=began_at)["id"]


def end(session_id: int, way: str, at: datetime) -> None:
    """End a session by itself (`logout`), by its user (`revoked`) or by an admin."""
    by = Principal(user_id="1", is_admin=True) if way == "admin" else Principal(user_id=DEMO_USER_ID)
    current_id = session_id if way == "logout" else None
    components().sessions.delete_session(session_id, by=by, now=at, current_id=current_id)


if __name__ == "__main__":
    made = make_demo_user(Settings.from_environ(os.environ), now=utcnow(), lasts=timedelta(hours=12))
    print(made)
