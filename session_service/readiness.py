"""USE CASE: may this process be sent requests?"""

from session_service import draining, store
from session_service.deadline import at_most
from session_service.errors import DatabaseUnavailable
from session_service.key_source import KeySource
from session_service.models import SCHEMA_REVISION
from session_service.transaction import transaction

SECONDS_FOR_THE_DATABASE = 0.4
SECONDS_FOR_A_KEY = 0.4
"""A process that has just started may not have fetched any yet. Both together stay well under a second."""


def what_is_missing(keys: KeySource) -> list[str]:
    """Return what keeps the service from working, in words for operators; empty if nothing does."""
    missing = ["the service is about to stop"] if draining.is_under_way() else []
    missing += _missing_of_database()
    return missing if keys.is_loaded(SECONDS_FOR_A_KEY) else [*missing, "no key of the auth server is loaded"]


def _missing_of_database() -> list[str]:
    """Return what the database lacks; a schema that is newer than this code is fine: the release before it runs on."""
    try:
        with at_most(SECONDS_FOR_THE_DATABASE), transaction():
            revision = store.schema_revision()
    except DatabaseUnavailable:
        return ["the database does not answer"]
    if revision is None or revision < SCHEMA_REVISION:
        return [f"the database schema is at {revision or 'nothing'}, needed is {SCHEMA_REVISION}: run the migrations"]
    return []
