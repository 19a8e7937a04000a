"""Whether this process can serve requests."""

from dataclasses import dataclass
from datetime import datetime

from session_service.auth_server.jwks import VerificationKeys
from session_service.config import Settings
from session_service.database import readiness_queries
from session_service.database.models import SCHEMA_REVISION
from session_service.database.transaction import transaction
from session_service.deadline import at_most
from session_service.errors import DatabaseUnavailable
from session_service.limits import READINESS_DATABASE_SECONDS, READINESS_KEY_SECONDS
from session_service.server import draining

TOKENS_OUTLIVE_RETENTION = (
    "there are tokens that live longer than RETENTION_DAYS: once the purge has deleted an ended session, its token "
    "counts as one without a session"
)


@dataclass(frozen=True)
class Readiness:
    """Whether requests can be served: they can if nothing is `missing`. Both lists are for operators."""

    missing: list[str]
    """Reasons why requests cannot be served."""
    warnings: list[str]
    """Problems that do not prevent service but should be corrected."""


def readiness(keys: VerificationKeys, settings: Settings, *, now: datetime) -> Readiness:
    """Check the database, its schema, the keys and the drain. An unavailable database is an answer, not an error."""
    missing = ["the service is about to stop"] if draining.is_under_way() else []
    warnings = list(settings.warnings)
    try:
        with at_most(READINESS_DATABASE_SECONDS), transaction():
            revision = readiness_queries.schema_revision()
            is_current = revision is not None and revision >= SCHEMA_REVISION
            # A newer schema is accepted: during an upgrade, the previous release runs on the new schema.
            if not is_current:
                needed = f"needed is {SCHEMA_REVISION}: run the migrations"
                missing.append(f"the database schema is at {revision or 'nothing'}, {needed}")
            elif readiness_queries.has_token_beyond(now + settings.retention):
                warnings.append(TOKENS_OUTLIVE_RETENTION)
    except DatabaseUnavailable:
        missing.append("the database does not answer")
    if not keys.is_loaded(READINESS_KEY_SECONDS):
        missing.append("no key of the auth server is loaded")
    return Readiness(missing, warnings)
