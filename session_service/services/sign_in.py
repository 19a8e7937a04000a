"""How a session is created: by a sign-in, or by adoption when a token without a session is first seen.

Both lock the user, read, plan (`policy.plan_sign_in`), and write, in one transaction.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from sys import maxsize
from typing import Any

from session_service import metrics
from session_service.config import Settings
from session_service.database import session_queries
from session_service.database.transaction import transaction
from session_service.errors import (
    LimitRefusesAdoption,
    RateRefusesAdoption,
    SessionEnded,
    SessionLimitReached,
    SessionNotFound,
    SessionServiceError,
    SignInRateExceeded,
)
from session_service.limits import MAX_ACTIVE_LISTED
from session_service.records import (
    Client,
    CreationReason,
    DescribedDevice,
    End,
    Principal,
    SignInLimits,
    SignInPlan,
    SignInRefusal,
    SignInState,
    StoredSession,
    Token,
)
from session_service.rules import addresses, devices, policy
from session_service.services import current_session
from session_service.services.answers import CreatedSession
from session_service.services.observing import observe_sign_in
from session_service.services.session_view import present


class SignIn:
    """Creates sessions by the settings of one application."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = SignInLimits(
            max_sessions=settings.MAX_SESSIONS_PER_USER,
            policy=settings.SESSION_LIMIT_POLICY,
            max_per_minute=settings.MAX_SIGN_INS_PER_MINUTE,
            idle=settings.idle,
        )

    def create_session(
        self, claimed: Mapping[str, Any], *, by: Principal, token: Token, client: Client, now: datetime
    ) -> CreatedSession:
        """Create a session for a token that was just issued; sessions that must make room end in the same transaction.

        Args:
            claimed: the fields of `SessionCreate`. What the client says of its device is only shown, never trusted. The
                sessions in `end`, the user's own, end as `revoked` to make room; one that has ended stays as it is.
            by: the user who signs in; becomes `ended_by` of the sessions that end.
            token: the new session remembers it.
            client: what was observed of the caller; limits and comparisons use this.
            now: becomes `created_at`, unless the user's newest session is later, and `ended_at` of those that end.

        Raises:
            SessionNotFound: one in `end` is unknown, or somebody else's; nothing was ended.
            SessionEnded: all sessions of this token have ended; a new token is needed.
            SignInRateExceeded: too many sign-ins within a minute; nothing was ended.
            SessionLimitReached: the policy is `reject` and the limit is reached; nothing was ended. Its member
                `sessions` has the user's active sessions, as `get_user_sessions` returns them.
        """
        with _refusals_counted(), transaction(writes=True):
            created, evicted = self._create(token, claimed, by, client, now)
        view = present(created, self._settings, by=by, now=now, current_id=created.id)
        ended = [one.session for one in evicted]
        return {**view, "evicted": [present(one, self._settings, by=by, now=now) for one in ended if one]}

    def adopt_session(self, *, by: Principal, token: Token, client: Client, now: datetime) -> StoredSession:
        """Return the session of a token that had none: a new one, unless a concurrent request has created it.

        Raises:
            SessionEnded: a concurrent request created it, and it has ended since.
            LimitRefusesAdoption, RateRefusesAdoption: what would refuse a sign-in refuses this, too.
        """
        try:
            with _refusals_counted(), transaction(writes=True):
                session_queries.lock_or_add_owner(token.user_id)
                session = current_session.find_and_remember(token, client, self._settings, now)
                return session or self._create(token, None, by, client, now)[0]
        except SessionLimitReached as error:
            raise LimitRefusesAdoption from error
        except SignInRateExceeded as error:
            raise RateRefusesAdoption(retry_after=error.retry_after) from error

    def _create(
        self, token: Token, claimed: Mapping[str, Any] | None, by: Principal, client: Client, now: datetime
    ) -> tuple[StoredSession, list[session_queries.EndedLater]]:
        """Create a session with the commit of the transaction; return it and the sessions that the limit ends.

        Nothing is *claimed* in an adoption.
        """
        reason: CreationReason = "adopted" if claimed is None else "sign_in"
        claimed = claimed or {}
        columns = describe_device(claimed, client, self._settings)
        device = current_session.observe(client, self._settings, fingerprint=columns["device_fingerprint"])
        recent = MAX_ACTIVE_LISTED if self._settings.observes else self._limits.max_per_minute
        state = session_queries.lock_and_read_state(token, device, max(recent, 1))
        if claimed.get("end"):
            state = replace(state, chosen_ids=_own(claimed["end"], state, token.user_id))
        plan = self._settled_plan(token, state, by, now)
        created = StoredSession(
            id=state.next_id,
            sid=token.sid,
            user_id=token.user_id,
            created_at=plan.begins_at,
            last_activity=plan.begins_at,
            expires_at=plan.begins_at + self._settings.lifetime,
            **columns,
        )
        session_queries.insert_session(created, token, reason, by.name)
        if self._settings.observes:
            plan = observe_sign_in(plan, state, self._limits_of(token), token.user_id, now)
        idle = self._settings.idle
        for one in plan.revoked:
            session_queries.mark_ended_at_commit(one, End("revoked", by.name, now), idle)
        for one in plan.replaced:
            session_queries.mark_ended_at_commit(one, End("replaced", by.name, now, created.id), idle)
        limit = End("limit", by.name, now, created.id)
        evicted = [session_queries.mark_ended_at_commit(one, limit, idle) for one in plan.evicted]
        return created, evicted

    def _settled_plan(self, token: Token, state: SignInState, by: Principal, now: datetime) -> SignInPlan:
        """Plan, and record the sessions that timed out, so that an activity write under way cannot revive them.

        One that was used since it was read has not ended, so the active sessions are read and planned again.
        """
        limits = self._limits_of(token)
        if self._settings.observes:
            limits, state = replace(limits, max_sessions=maxsize, max_per_minute=0), replace(state, token_sessions=())
        plan = policy.plan_sign_in(state, now, limits)
        if plan.timed_out:
            for session, end in plan.timed_out:
                session_queries.mark_timed_out(session, end, now)
            state = replace(state, unended=session_queries.list_active(token.user_id, now, limits.idle))
            plan = policy.plan_sign_in(state, now, limits)
        if plan.exceeds_limit:
            metrics.of(metrics.limit_hits, limits.policy).inc()
        if plan.refusal:
            raise self._refused(plan.refusal, token, state, by, now)
        return plan

    def _limits_of(self, token: Token) -> SignInLimits:
        allowed = self._settings.max_sessions(token)
        is_usual = allowed == self._limits.max_sessions  # a copy takes longer than the plan
        return self._limits if is_usual else replace(self._limits, max_sessions=allowed)

    def _refused(
        self, refusal: SignInRefusal, token: Token, state: SignInState, by: Principal, now: datetime
    ) -> SessionServiceError:
        match refusal.code:
            case "session_ended":
                allowed = self._settings.max_sessions(token)
                return current_session.ended_error(state.token_sessions[0], self._settings, now, allowed=allowed)
            case "sign_in_rate_exceeded":
                return SignInRateExceeded(retry_after=refusal.retry_after)
        active = session_queries.list_active(token.user_id, now, self._settings.idle)
        return SessionLimitReached(sessions=[present(one, self._settings, by=by, now=now) for one in active])


def _own(chosen_ids: Collection[int], state: SignInState, user_id: str) -> Collection[int]:
    """Return *chosen_ids* if all of these sessions are the user's own, those that have ended included.

    Raises:
        SessionNotFound: one is unknown, or somebody else's.
    """
    for session_id in set(chosen_ids) - {one.id for one in state.unended}:
        session = session_queries.get(session_id)
        if session is None or session.user_id != user_id:
            raise SessionNotFound
    return chosen_ids


@contextmanager
def _refusals_counted() -> Iterator[None]:
    """Count refused sign-ins; the others are counted when their event is published."""
    try:
        yield
    except (SessionEnded, SessionLimitReached, SignInRateExceeded) as error:
        metrics.sign_ins.labels(error.code).inc()
        raise


def describe_device(claimed: Mapping[str, Any], client: Client, settings: Settings) -> DescribedDevice:
    """Return what is stored of the device of a sign-in.

    Args:
        claimed: what the client says of itself, the fields of `SessionCreate`. It is shown where nothing better is
            known; only the fingerprint is compared, and only together with the observed device and network.
        client: what was observed.
        settings: with `MASK_ADDRESSES` only networks are stored.
    """
    device = devices.describe(
        client.user_agent,
        platform_version=client.platform_version,
        device_name=claimed.get("device_name"),
        device_type=claimed.get("device_type"),
        browser=claimed.get("browser"),
    )
    address, source = addresses.shown_address(client.address, claimed.get("ip_address"), settings.TRUSTED_PROXY_HOPS)
    return DescribedDevice(
        device_fingerprint=claimed.get("device_fingerprint") or None,
        device_key=device.key,
        device_name=device.name,
        device_type=device.type,
        browser=device.browser,
        os=device.os,
        ip_address=addresses.mask(address) if settings.MASK_ADDRESSES else address,
        ip_source=source,
        network=addresses.network_of(client.address, masked=settings.MASK_ADDRESSES),
    )
