"""What the guarded views share."""

from typing import cast

from flask import current_app
from werkzeug.local import LocalProxy

from session_service import errors
from session_service.service import SessionService

GUARDED = (
    errors.TokenMissing,
    errors.TokenInvalid,
    errors.TokenExpired,
    errors.SessionEnded,
    errors.BodyTooLarge,
    errors.InternalError,
    errors.DatabaseUnavailable,
    errors.AuthServerUnavailable,
)
"""What every endpoint behind a guard may answer."""

ADOPTING = (errors.LimitRefusesAdoption, errors.RateRefusesAdoption)
"""What an endpoint may answer besides where it gives a token its session at first sight."""

service = cast(SessionService, LocalProxy(lambda: current_app.extensions["session_service"]))
"""The use cases of the application that serves this request."""
