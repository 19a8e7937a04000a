"""How a session is created: by a sign-in, or by adoption when a token without a session is first seen.

Both lock the user, read, plan (`policy.plan_sign_in`), and write, in one transaction.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from session_service import metrics
from session_service.config import Settings
from session_service.database import session_queries
from session_service.database.transaction import transaction
from session_service.errors import (
    LimitRefusesAdoption,
    RateRefusesAdoption,
    SessionEnded,
    SessionLimitReached,
    SignInRateExceeded,
)
from session_service.records import (
    Client,
    CreationReason,
    DescribedDevice,
    End,
    Principal,
    SignInLimits,
    SignInPlan,
    SignInState,
    StoredSession,
    Token,
)
from session_service.rules import addresses, devices, policy
from session_service.services import current_session
from session_service.services.answers import CreatedSession
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
        self, claimed: Mapping[str, str | None], *, by: Principal, token: Token, client: Client, now: datetime
    ) -> CreatedSession:
        """Create a session for a token that was just issued; sessions that must make room end in the same transaction.

        Args:
            claimed: what the client says of its device, the fields of `SessionCreate`; only shown, never trusted.
            by: the user who signs in; becomes `ended_by` of the sessions that end.
            token: the new session remembers it.
            client: what was observed of the caller; limits and comparisons use this.
            now: becomes `created_at`, unless the user's newest session is later, and `ended_at` of those that end.

        Raises:
            SessionEnded: all sessions of this token have ended; a new token is needed.
            SignInRateExceeded: too many sign-ins within a minute; nothing was ended.
            SessionLimitReached: the policy is `reject` and the limit is reached; nothing was ended.
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
        self, token: Token, claimed: Mapping[str, str | None] | None, by: Principal, client: Client, now: datetime
    ) -> tuple[StoredSession, list[session_queries.EndedLater]]:
        """Create a session with the commit of the transaction; return it and the sessions that the limit ends.

        Nothing is *claimed* in an adoption.
        """
        reason: CreationReason = "adopted" if claimed is None else "sign_in"
        columns = describe_device(claimed or {}, client, self._settings)
        device = current_session.observe(client, self._settings, fingerprint=columns["device_fingerprint"])
        state = session_queries.lock_and_read_state(token, device, max(self._limits.max_per_minute, 1))
        plan = self._settled_plan(token.user_id, state, now)
        created = StoredSession(
            id=state.next_id,
            sid=token.sid,
            user_id=token.user_id,
            created_at=plan.begins_at,
            last_activity=plan.begins_at,
            expires_at=plan.begins_at + self._settings.lifetime,
            **columns,
        )
        session_queries.insert_session(created, reason, by.name)
        idle = self._settings.idle
        for one in plan.replaced:
            session_queries.mark_ended_at_commit(one, End("replaced", by.name, now, created.id), idle)
        limit = End("limit", by.name, now, created.id)
        evicted = [session_queries.mark_ended_at_commit(one, limit, idle) for one in plan.evicted]
        session_queries.remember_opener(token, created.id, now=now, idle=idle)
        return created, evicted

    def _settled_plan(self, user_id: str, state: SignInState, now: datetime) -> SignInPlan:
        """Plan, and record the sessions that timed out, so that an activity write under way cannot revive them.

        One that was used since it was read has not ended, so the active sessions are read and planned again.
        """
        plan = self._plan(state, now)
        if plan.timed_out:
            for session, end in plan.timed_out:
                session_queries.mark_timed_out(session, end, now)
            active = session_queries.list_active(user_id, now, self._settings.idle)
            plan = self._plan(replace(state, unended=active), now)
        if plan.evicted:
            metrics.limit_hits.labels(self._limits.policy).inc()
        return plan

    def _plan(self, state: SignInState, now: datetime) -> SignInPlan:
        plan = policy.plan_sign_in(state, now, self._limits)
        if plan.refusal:
            self._refuse(plan, state, now)
        return plan

    def _refuse(self, plan: SignInPlan, state: SignInState, now: datetime) -> NoReturn:
        code, retry_after = plan.refusal or ("", None)
        if code == "session_ended":
            raise current_session.ended_error(state.token_sessions[0], self._settings, now)
        if code == "sign_in_rate_exceeded":
            raise SignInRateExceeded(retry_after=retry_after)
        metrics.limit_hits.labels(self._limits.policy).inc()
        raise SessionLimitReached


@contextmanager
def _refusals_counted() -> Iterator[None]:
    """Count refused sign-ins; the others are counted when their event is published."""
    try:
        yield
    except (SessionEnded, SessionLimitReached, SignInRateExceeded) as error:
        metrics.sign_ins.labels(error.code).inc()
        raise


def describe_device(claimed: Mapping[str, str | None], client: Client, settings: Settings) -> DescribedDevice:
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
