"""What `app.create_app` builds for one application, as a typed value that views and commands read."""

from dataclasses import dataclass
from typing import cast

from flask import current_app

from session_service.auth_server.tokens import TokenVerifier
from session_service.auth_server.user_directory import UserDirectory
from session_service.config import Settings
from session_service.services.everywhere import Everywhere
from session_service.services.feed import Feed
from session_service.services.sessions import SessionService
from session_service.services.sign_in import SignIn

NAME = "session_service"
"""Where Flask keeps it, in `app.extensions`."""


@dataclass(frozen=True, slots=True)
class Components:
    """One application's settings, and the objects that were made by them."""

    settings: Settings
    tokens: TokenVerifier
    user_directory: UserDirectory
    sign_in: SignIn
    sessions: SessionService
    feed: Feed
    everywhere: Everywhere


def components() -> Components:
    """Return the components of the application that serves this request or command."""
    return cast(Components, current_app.extensions[NAME])
