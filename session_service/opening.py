"""USE CASES: how a session opens: by a sign-in, or because a token is seen for the first time.

Whoever has to give way ends in the same transaction, under the lock of the user whose sessions they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from session_service import current, metrics, policy, store
from session_service.config import Settings
from session_service.errors import (
    LimitRefusesAdoption,
    RateRefusesAdoption,
    SessionEnded,
    SessionLimitReached,
    SignInRateExceeded,
)
from session_service.presenter import present
from session_service.records import (
    Client,
    CreatedSession,
    End,
    LifeChange,
    Newcomer,
    OpeningReason,
    Principal,
    StoredSession,
    Survey,
    Token,
)
from session_service.sign_in import describe_sign_in
from session_service.transaction import tell_when_on_record, transaction


class SessionOpening:
    """How sessions open, by the settings of one service."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def create_session(
        self, claimed: Mapping[str, str | None], *, by: Principal, token: Token, client: Client, now: datetime
    ) -> CreatedSession:
        """Open a session for a token that was just issued; whoever has to give way ends in the same transaction.

        Args:
            claimed: what the client says of its device, the fields of `SessionCreate`; never trusted as an identity.
            by: the user who signs in; becomes `ended_by` of those who give way.
            token: the session remembers it.
            client: what can be seen of the caller; limits and sameness go by this.
            now: becomes `created_at`, unless others came first while this one waited, and `ended_at` of those who
                give way.

        Raises:
            SessionEnded: this token's session was ended by somebody else; a new token is needed.
            SignInRateExceeded: too many sign-ins within a minute; nothing was ended.
            SessionLimitReached: the policy is `reject` and the limit is reached; nothing was ended.
        """
        with _counted(), transaction(writes=True):
            survey = self._survey(token)
            self._refuse_thrown_out(survey, now)
            created, evicted = self._open(survey, claimed, by, client, now)
        view = present(created, self.settings, by=by, now=now, current_id=created.id)
        return {**view, "evicted": [present(one, self.settings, by=by, now=now) for one in evicted]}

    def adopt_session(self, *, by: Principal, token: Token, client: Client, now: datetime) -> StoredSession:
        """Return the session of a token that had none a moment ago: a new one, unless another call was faster.

        Raises:
            SessionEnded: another call was faster, and that session has ended already.
            LimitRefusesAdoption, RateRefusesAdoption: what would refuse a sign-in refuses this too.
        """
        try:
            with _counted(), transaction(writes=True):
                store.lock_or_add_owner(token.user_id)
                session = current.settle(token, client, self.settings, now)
                return session or self._open(self._survey(token), None, by, client, now)[0]
        except SessionLimitReached as error:
            raise LimitRefusesAdoption from error
        except SignInRateExceeded as error:
            raise RateRefusesAdoption(retry_after=error.retry_after) from error

    def enforce_max_sessions(self, active: list[StoredSession], newcomer: Newcomer, end: End) -> list[StoredSession]:
        """End whoever of *active* must give way to *newcomer*, and return them; to be called with the owner locked.

        Raises:
            SessionLimitReached: somebody would have to, and the policy is `reject`.
        """
        limit, limit_policy = self.settings.MAX_SESSIONS_PER_USER, self.settings.SESSION_LIMIT_POLICY
        evicted = policy.whom_to_evict(active, newcomer, limit, limit_policy)
        if evicted:
            metrics.limit_hits.labels(limit_policy).inc()
        if evicted and limit_policy == "reject":
            raise SessionLimitReached
        return self._end(evicted, end)

    def _survey(self, token: Token) -> Survey:
        """Lock the owner, and return how things are."""
        return store.lock_and_survey(token, max(self.settings.MAX_SIGN_INS_PER_MINUTE, 1))

    def _open(
        self,
        survey: Survey,
        claimed: Mapping[str, str | None] | None,
        by: Principal,
        client: Client,
        now: datetime,
    ) -> tuple[StoredSession, list[StoredSession]]:
        """Open a session, with the owner locked; return it and those that gave way to it.

        Nothing is *claimed* where nobody signs in, and a token is just seen for the first time.
        """
        token = survey.token
        newcomer, columns = describe_sign_in(claimed or {}, client, self.settings)
        created_at = self._refuse_flood(survey.created_at, now)
        active = self._active_for_good(token.user_id, survey.still_open, now)
        created = store.insert_session(
            user_id=token.user_id,
            sid=token.sid,
            created_at=created_at,
            last_activity=created_at,
            expires_at=created_at + self.settings.lifetime,
            **columns,
        )
        reason: OpeningReason = "adopted" if claimed is None else "sign_in"
        tell_when_on_record(LifeChange("created", created.id, created.user_id, reason, by.name))
        replaced = [one for one in active if policy.is_same_device(one, newcomer)]
        self._end(replaced, End("replaced", by.name, now, created.id))
        others = [one for one in active if one not in replaced]
        evicted = self.enforce_max_sessions(others, newcomer, End("limit", by.name, now, created.id))
        store.remember_token(token, created.id, now=now, idle=self.settings.idle, is_opener=True)
        return created, evicted

    def _refuse_thrown_out(self, survey: Survey, now: datetime) -> None:
        if not policy.may_sign_in_again(survey.of_token, now, self.settings.idle):
            current.refuse_ended(survey.of_token[0], self.settings, now)

    def _refuse_flood(self, recent: Sequence[datetime], now: datetime) -> datetime:
        """Refuse a sign-in too many; return when the new session begins."""
        limit = self.settings.MAX_SIGN_INS_PER_MINUTE
        begins_at = policy.begins_at(now, recent[0] if recent else None)
        wait = policy.sign_in_wait(recent, limit, begins_at)
        if wait:
            raise SignInRateExceeded(retry_after=wait)
        return begins_at

    def _active_for_good(self, user_id: str, still_open: list[StoredSession], now: datetime) -> list[StoredSession]:
        """Return the user's active sessions, and put on record the ends of those that ran out.

        Those do not count any more, so nothing may bring them back: not even a touch that is older than *now* and
        still waits somewhere.
        """
        idle = self.settings.idle
        ends = [(session, end) for session in still_open if (end := policy.ran_out(session, now, idle))]
        for session, end in ends:
            store.mark_ran_out(session, end)
        # One that was used since it was read has not ended, so those that ran out are looked at again.
        return store.list_active(user_id, now, idle) if ends else still_open

    def _end(self, sessions: list[StoredSession], end: End) -> list[StoredSession]:
        """End *sessions*; return those that this call ended, as they are now."""
        ended = [store.mark_ended(one.id, end, self.settings.idle) for one in sessions]
        return [one for one in ended if one]


@contextmanager
def _counted() -> Iterator[None]:
    """Count a sign-in that is refused; one that is not is counted once it is on record."""
    try:
        yield
    except (SessionEnded, SessionLimitReached, SignInRateExceeded) as error:
        metrics.sign_ins.labels(error.code).inc()
        raise
