"""USE CASE: may this process be sent requests?"""

from session_service import store
from session_service.errors import DatabaseUnavailable
from session_service.models import SCHEMA_REVISION
from session_service.transaction import transaction


def what_is_missing() -> list[str]:
    """Return what keeps the service from working, in words for operators; empty if nothing does.

    A schema that is newer than this code is fine: the release before an upgrade still runs on it.
    """
    try:
        with transaction():
            revision = store.schema_revision()
    except DatabaseUnavailable:
        return ["the database does not answer"]
    if revision is None or revision < SCHEMA_REVISION:
        return [f"the database schema is at {revision or 'nothing'}, needed is {SCHEMA_REVISION}: run the migrations"]
    return []
