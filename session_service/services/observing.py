"""`SESSION_ENFORCEMENT=observe`: what `enforce` would refuse or end is told and remembered, and does not happen.

What would have ended is remembered in `observed_ends`, because it decides what `enforce` would do with later calls.
`enforce` does not read that table.
"""

from dataclasses import replace
from datetime import datetime

from session_service import observed
from session_service.config import Settings
from session_service.database import observing_queries
from session_service.database.transaction import transaction
from session_service.records import SignInLimits, SignInPlan, SignInState, StoredSession, Token
from session_service.rules import policy
from session_service.rules.observing import ObservedEnd, as_enforced


def observe_sign_in(
    plan: SignInPlan, state: SignInState, limits: SignInLimits, user_id: str, now: datetime
) -> SignInPlan:
    """Return what a sign-in does that is to be created whatever the *limits* say.

    To be called after the session was inserted, in its transaction, which holds the user's lock.

    Args:
        plan: without a refusal and without evictions.
    """
    verdict = policy.plan_sign_in(as_enforced(state, observing_queries.list_of_user(user_id)), now, limits)
    if verdict.refusal:
        code = verdict.refusal.code
        observed.would_refuse(code, user_id, state.next_id)
        observing_queries.mark_at_commit(state.next_id, ObservedEnd(plan.begins_at, code, is_evicted=False))
        return replace(plan, replaced=[], revoked=[])
    if verdict.evicted:
        observed.would_evict([one.id for one in verdict.evicted], user_id)
    for one in verdict.evicted:
        observing_queries.mark_at_commit(one.id, ObservedEnd(now, "session_ended", is_evicted=True))
    return plan


def observe_session(session: StoredSession, settings: Settings, *, has_ended: bool) -> None:
    """Tell if a call that belongs to *session* would have been refused. To be called within a transaction."""
    end = observing_queries.get(session.id)
    if end and end.is_unborn:
        if settings.UNKNOWN_SESSION_POLICY == "adopt":
            observed.would_refuse(end.code, session.user_id, session.id)
    elif end or has_ended:
        observed.would_refuse("session_ended", session.user_id, session.id)


def observe_token(session_id: int | None, token: Token, settings: Settings) -> None:
    """Tell if a token would have been refused because it would have no session."""
    if settings.UNKNOWN_SESSION_POLICY == "reject" and (session_id is None or _is_unborn(session_id)):
        observed.would_refuse("session_unknown", token.user_id, session_id)


def _is_unborn(session_id: int) -> bool:
    with transaction():
        end = observing_queries.get(session_id)
    return end is not None and end.is_unborn
