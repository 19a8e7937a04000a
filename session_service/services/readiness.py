"""Whether this process can serve requests."""

from session_service.auth_server.jwks import VerificationKeys
from session_service.database import session_queries
from session_service.database.models import SCHEMA_REVISION
from session_service.database.transaction import transaction
from session_service.deadline import at_most
from session_service.errors import DatabaseUnavailable
from session_service.limits import READINESS_DATABASE_SECONDS, READINESS_KEY_SECONDS
from session_service.server import draining


def what_is_missing(keys: VerificationKeys) -> list[str]:
    """Return what keeps the service from working, in words for operators; empty if nothing does."""
    missing = ["the service is about to stop"] if draining.is_under_way() else []
    missing += _missing_of_database()
    return missing if keys.is_loaded(READINESS_KEY_SECONDS) else [*missing, "no key of the auth server is loaded"]


def _missing_of_database() -> list[str]:
    """Return what the database lacks. A schema newer than this code is fine: the previous release runs on it, too."""
    try:
        with at_most(READINESS_DATABASE_SECONDS), transaction():
            revision = session_queries.schema_revision()
    except DatabaseUnavailable:
        return ["the database does not answer"]
    if revision is None or revision < SCHEMA_REVISION:
        return [f"the database schema is at {revision or 'nothing'}, needed is {SCHEMA_REVISION}: run the migrations"]
    return []
