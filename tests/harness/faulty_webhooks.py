"""The service with a fault that the author of a deliverer could make: what delivers must be shown to lose events by it.

The position moves past an event before the receiver has answered: at most once instead of at least once.
"""

from typing import Any

from session_service.app import create_app
from session_service.database import webhook_queries
from session_service.database.transaction import transaction
from session_service.records import SessionEvent
from session_service.webhooks.delivery import Delivery

_call = Delivery._call


def _move_first(self: Delivery, event: SessionEvent, *rest: Any) -> Any:
    with transaction(writes=True):
        webhook_queries.mark_skipped(self.endpoint.name, self.holder, (event.xact, event.id))
    return _call(self, event, *rest)


setattr(Delivery, "_call", _move_first)  # noqa: B010 - a plain assignment is an error to the type checker

app = create_app()
