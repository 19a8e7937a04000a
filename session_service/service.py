"""USE CASES: what happens to sessions. Each is one transaction; the rules are in `policy`, the SQL in `store`."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from session_service import current, policy, store
from session_service.config import Settings
from session_service.directory import UserDirectory
from session_service.errors import (
    CurrentSessionUnknown,
    NoCurrentSession,
    SessionLimitReached,
    SessionNotFound,
    SignInRateExceeded,
)
from session_service.presenter import present
from session_service.records import (
    Client,
    CreatedSession,
    End,
    Newcomer,
    Principal,
    SessionView,
    StoredSession,
    Token,
)
from session_service.sign_in import describe_sign_in
from session_service.transaction import transaction


class SessionService:
    """The sessions of all users, by the settings of one service."""

    def __init__(self, settings: Settings, directory: UserDirectory) -> None:
        self.settings = settings
        self._directory = directory

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
        newcomer, columns = describe_sign_in(claimed, client, self.settings.TRUSTED_PROXY_HOPS)
        with transaction(writes=True):
            store.add_owner(token.user_id)
            store.lock_owner(token.user_id)
            self._refuse_thrown_out(token, now)
            created_at = self._refuse_flood(token.user_id, now)
            active = self._active_for_good(token.user_id, now)
            created = store.insert_session(
                user_id=token.user_id,
                sid=token.sid,
                created_at=created_at,
                last_activity=created_at,
                expires_at=created_at + self.settings.lifetime,
                **columns,
            )
            replaced = [one for one in active if policy.is_same_device(one, newcomer)]
            self._end(replaced, End("replaced", by.name, now, created.id))
            others = [one for one in active if one not in replaced]
            evicted = self.enforce_max_sessions(others, newcomer, End("limit", by.name, now, created.id))
            store.remember_token(token, created.id)
        view = present(created, self.settings, by=by, now=now, current_id=created.id)
        return {**view, "evicted": [present(one, self.settings, by=by, now=now) for one in evicted]}

    def enforce_max_sessions(self, active: list[StoredSession], newcomer: Newcomer, end: End) -> list[StoredSession]:
        """End whoever of *active* must give way to *newcomer*, and return them; to be called with the owner locked.

        Raises:
            SessionLimitReached: somebody would have to, and the policy is `reject`.
        """
        limit, limit_policy = self.settings.MAX_SESSIONS_PER_USER, self.settings.SESSION_LIMIT_POLICY
        evicted = policy.whom_to_evict(active, newcomer, limit, limit_policy)
        if evicted and limit_policy == "reject":
            raise SessionLimitReached
        return self._end(evicted, end)

    def get_user_sessions(
        self,
        user_id: str,
        *,
        by: Principal,
        now: datetime,
        include_inactive: bool = False,
        current_id: int | None = None,
    ) -> list[SessionView]:
        """Return the user's active sessions, the last active first; with *include_inactive* the newest 100 ended too.

        Raises:
            UserNotFound: we hold no session of this user, and the user directory, if there is one, knows no such user.
            AuthServerUnavailable: the directory had to be asked and gave no answer.
        """
        idle = self.settings.idle
        with transaction():
            # A session that ends between the two statements is in both: what the later one saw counts.
            found = {session.id: session for session in store.list_active(user_id, now, idle)}
            if include_inactive:
                found |= {session.id: session for session in store.list_ended(user_id, now, idle)}
            is_known = bool(found) or user_id == by.user_id or store.has_any(user_id)
        if not is_known:
            self._directory.require_user(user_id, by)
        last_active_first = sorted(found.values(), key=lambda one: (one.last_activity, one.id), reverse=True)
        return [present(one, self.settings, by=by, now=now, current_id=current_id) for one in last_active_first]

    def get_session(
        self, session_id: int, *, by: Principal, now: datetime, current_id: int | None = None
    ) -> SessionView:
        """Return one session of the caller's own, or anybody's to an admin.

        Raises:
            SessionNotFound: unknown, or somebody else's; the caller must not learn which.
        """
        with transaction():
            session = self._visible(session_id, by)
        return present(session, self.settings, by=by, now=now, current_id=current_id)

    def get_session_count(self, user_id: str, *, now: datetime) -> int:
        """Return on how many devices the user is signed in."""
        with transaction():
            return store.count_active(user_id, now, self.settings.idle)

    def delete_session(self, session_id: int, *, by: Principal, now: datetime, current_id: int | None = None) -> None:
        """End a session that its owner or an admin asked to end; repeating it is not an error and changes nothing.

        Raises:
            SessionNotFound: unknown, or somebody else's; the caller must not learn which.
        """
        with transaction(writes=True):
            session = self._visible(session_id, by)
            reason = policy.reason_of(by, session.user_id, is_current=session.id == current_id)
            store.mark_ended(session.id, End(reason, by.name, now), self.settings.idle)

    def logout(self, session: StoredSession | None, *, by: Principal, now: datetime) -> None:
        """End the caller's current session; one that has ended already stays as it is.

        Raises:
            NoCurrentSession: it cannot be told which one that is.
        """
        if session is None:
            raise NoCurrentSession
        self.delete_session(session.id, by=by, now=now, current_id=session.id)

    def delete_user_sessions(
        self,
        user_id: str,
        *,
        by: Principal,
        now: datetime,
        current_id: int | None = None,
        exclude_current: bool = False,
    ) -> int:
        """End all of a user's active sessions; return how many this call ended.

        Args:
            current_id: the caller's own session, where it is told; it ends as `logout`, the others as `revoked`.
            exclude_current: leave that one as it is.

        Raises:
            CurrentSessionUnknown: it is to be left, and it cannot be told which one it is; nothing was ended.
        """
        if exclude_current and current_id is None:
            raise CurrentSessionUnknown
        is_own = by.user_id == user_id
        idle, others = self.settings.idle, End(policy.reason_of(by, user_id, is_current=False), by.name, now)
        with transaction(writes=True):
            store.lock_owner(user_id)
            closed = store.mark_all_ended(user_id, others, idle, except_id=current_id if is_own else None)
            if is_own and current_id is not None and not exclude_current:
                closed += store.mark_ended(current_id, End("logout", by.name, now), idle) is not None
        return closed

    def update_session_activity(self, session: StoredSession | None, *, by: Principal, now: datetime) -> SessionView:
        """Write the current session's activity at once, and return the session.

        Raises:
            NoCurrentSession: it cannot be told which one that is.
            SessionEnded: it ended in the meantime.
        """
        if session is None:
            raise NoCurrentSession
        with transaction(writes=True):
            store.mark_activity(session.id, now=now, idle=self.settings.idle, interval=timedelta(0))
            touched = store.get(session.id) or session
            current.refuse_ended(touched, self.settings, now)
        return present(touched, self.settings, by=by, now=now, current_id=session.id)

    def _refuse_thrown_out(self, token: Token, now: datetime) -> None:
        sessions = current.sessions_of(token)
        if not policy.may_sign_in_again(sessions, now, self.settings.idle):
            current.refuse_ended(sessions[0], self.settings, now)

    def _refuse_flood(self, user_id: str, now: datetime) -> datetime:
        """Refuse a sign-in too many; return when the new session begins."""
        limit = self.settings.MAX_SIGN_INS_PER_MINUTE
        recent = store.list_created_at(user_id, max(limit, 1))
        begins_at = policy.begins_at(now, recent[0] if recent else None)
        wait = policy.sign_in_wait(recent, limit, begins_at)
        if wait:
            raise SignInRateExceeded(retry_after=wait)
        return begins_at

    def _active_for_good(self, user_id: str, now: datetime) -> list[StoredSession]:
        """Return the user's active sessions, and put on record the ends of those that ran out.

        Those do not count any more, so nothing may bring them back: not even a touch that is older than *now* and
        still waits somewhere.
        """
        idle = self.settings.idle
        still_open = store.list_open(user_id)
        ends = [(session, end) for session in still_open if (end := policy.ran_out(session, now, idle))]
        for session, end in ends:
            store.mark_ran_out(session, end)
        # One that was used since it was read has not ended, so those that ran out are looked at again.
        return store.list_active(user_id, now, idle) if ends else still_open

    def _end(self, sessions: list[StoredSession], end: End) -> list[StoredSession]:
        """End *sessions*; return those that this call ended, as they are now."""
        ended = [store.mark_ended(one.id, end, self.settings.idle) for one in sessions]
        return [one for one in ended if one]

    def _visible(self, session_id: int, by: Principal) -> StoredSession:
        session = store.get(session_id)
        if session is None or not (by.is_admin or by.service or by.user_id == session.user_id):
            raise SessionNotFound
        return session
