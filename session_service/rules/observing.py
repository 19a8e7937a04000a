"""What `enforce` would have done so far, while the service only observes: nobody was evicted, nobody refused."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Literal, NamedTuple

from session_service.records import SignInState, StoredSession

WouldRefuse = Literal["session_ended", "session_unknown", "session_limit_reached", "sign_in_rate_exceeded"]
"""The codes with which `enforce` refuses a call for a session's sake."""


class ObservedEnd(NamedTuple):
    """A session that would have been evicted, or would not have been created: a row of `observed_ends`."""

    at: datetime
    """When it would have been evicted, or when it was created nevertheless."""
    code: WouldRefuse
    """`session_ended` if it would have been evicted; otherwise the code of the sign-in that would have been refused."""
    is_evicted: bool

    @property
    def is_unborn(self) -> bool:
        """Whether the token would have no session: its sign-in would have been refused, and it had none before."""
        return not self.is_evicted and self.code != "session_ended"


def as_enforced(state: SignInState, marks: Mapping[int, ObservedEnd]) -> SignInState:
    """Return *state* as it would be if `enforce` had applied all along.

    Args:
        marks: of the user's sessions, by their id.
    """
    refused_at = Counter(mark.at for mark in marks.values() if not mark.is_evicted)
    created_at = []
    for at in state.created_at:
        if refused_at[at]:
            refused_at[at] -= 1
        else:
            created_at.append(at)
    token_sessions = [_as_enforced(one, marks.get(one.id)) for one in state.token_sessions]
    return replace(
        state,
        token_sessions=[one for one in token_sessions if one],
        created_at=created_at,
        unended=[one for one in state.unended if one.id not in marks],
    )


def _as_enforced(session: StoredSession, mark: ObservedEnd | None) -> StoredSession | None:
    if mark is None:
        return session
    return None if mark.is_unborn else session._replace(ended_at=mark.at, end_reason="limit")
