"""What happens to sessions after they were created. Each use case is one transaction; the rules are in `policy`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from session_service.auth_server.user_directory import UserDirectory
from session_service.config import Settings
from session_service.database import session_queries
from session_service.database.transaction import transaction
from session_service.errors import CurrentSessionUnknown, NoCurrentSession, SessionNotFound, SessionUnknown
from session_service.records import Because, End, Principal, StoredSession, Token, UnendedSession
from session_service.rules import policy, session_matching
from session_service.services import current_session
from session_service.services.answers import Introspection, Liveness, SessionView
from session_service.services.observing import observe_session, observe_token
from session_service.services.session_view import present, shown_user_id


class SessionService:
    """The sessions of all users, by the settings of one application. `sign_in` creates them."""

    def __init__(self, settings: Settings, user_directory: UserDirectory) -> None:
        self.settings = settings
        self._user_directory = user_directory

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

        The caller's own session comes first: this call is its last activity, even if that is not written each time.

        Raises:
            UserNotFound: there is no session of this user, and the user directory, if any, does not know the user.
            AuthServerUnavailable: the directory had to be asked and gave no usable answer.
        """
        idle = self.settings.idle
        with transaction():
            # A session that ends between the two statements is in both: the later one counts.
            found = {session.id: session for session in session_queries.list_active(user_id, now, idle)}
            if include_inactive:
                found |= {session.id: session for session in session_queries.list_ended(user_id, now, idle)}
            is_known = bool(found) or user_id == by.user_id or session_queries.has_any(user_id)
        if not is_known:
            self._user_directory.require_user(user_id, by)
        return self.present_list(found.values(), by=by, now=now, current_id=current_id)

    def present_list(
        self, found: Iterable[StoredSession], *, by: Principal, now: datetime, current_id: int | None
    ) -> list[SessionView]:
        """Return the views of sessions of one user, the caller's own first, then the last active."""
        in_order = sorted(found, key=lambda one: (one.id == current_id, one.last_activity, one.id), reverse=True)
        return [present(one, self.settings, by=by, now=now, current_id=current_id) for one in in_order]

    def get_session(
        self, session_id: int, *, by: Principal, now: datetime, current_id: int | None = None
    ) -> SessionView:
        """Return one session of the caller's own, or anybody's to an admin.

        Raises:
            SessionNotFound: unknown, or somebody else's; the caller must not learn which.
            AuthServerUnavailable: only the auth server knows whether the caller is an admin; it gave no usable answer.
        """
        session, by = self._find_visible(session_id, by)
        return present(session, self.settings, by=by, now=now, current_id=current_id)

    def get_session_count(self, user_id: str, *, now: datetime) -> int:
        """Return on how many devices the user is signed in."""
        with transaction():
            return session_queries.count_active(user_id, now, self.settings.idle)

    def delete_session(self, session_id: int, *, by: Principal, now: datetime, current_id: int | None = None) -> None:
        """End a session that its owner or an admin asked to end; repeating it is not an error and changes nothing.

        Raises:
            SessionNotFound: unknown, or somebody else's; the caller must not learn which.
            AuthServerUnavailable: only the auth server knows whether the caller is an admin; it gave no usable answer.
        """
        session, by = self._find_visible(session_id, by)
        reason = policy.reason_of(by, session.user_id, is_current=session.id == current_id)
        with transaction(writes=True):
            # The write is one statement; the lock is for a request that is about to remember a token for this session.
            session_queries.lock_owner(session.user_id)
            session_queries.mark_ended(session.id, End(reason, by.name, now), self.settings.idle)

    def logout(self, session: StoredSession | None, *, by: Principal, now: datetime) -> None:
        """End the caller's current session; one that has ended already stays as it is.

        Raises:
            NoCurrentSession: the caller has none.
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
        because: Because | None = None,
    ) -> int:
        """End all of a user's active sessions; return how many this call ended.

        Args:
            current_id: the caller's own session, if known; of the caller's own sessions it ends as `logout`.
            because: what an admin or a service gives as the cause; ignored for the caller's own sessions.
        """
        reason = policy.reason_of(by, user_id, is_current=False)
        end = End(reason, by.name, now, because=because if reason == "admin" else None)
        current = current_id if by.user_id == user_id else None
        with transaction(writes=True):
            closed = self._end_all_but(user_id, current, end)
            if current is not None:
                closed += session_queries.mark_ended(current, End("logout", by.name, now), self.settings.idle)
        return closed

    def delete_other_sessions(self, user_id: str, *, by: Principal, now: datetime, current_id: int | None) -> int:
        """End all active sessions of the caller but the current one; return how many this call ended.

        Raises:
            CurrentSessionUnknown: the current one is not known; nothing was ended.
        """
        if current_id is None:
            raise CurrentSessionUnknown
        with transaction(writes=True):
            return self._end_all_but(user_id, current_id, End("revoked", by.name, now))

    def _end_all_but(self, user_id: str, kept_id: int | None, end: End) -> int:
        session_queries.lock_owner(user_id)
        return session_queries.mark_all_ended(user_id, end, self.settings.idle, except_id=kept_id)

    def update_session_activity(
        self, session: StoredSession | None, *, by: Principal, token: Token, now: datetime
    ) -> SessionView:
        """Write the current session's activity at once, and return the session.

        Raises:
            NoCurrentSession: the caller has none.
            SessionEnded: it ended meanwhile.
        """
        if session is None:
            raise NoCurrentSession
        with transaction(writes=True):
            session_queries.mark_activity(session.id, now=now, idle=self.settings.idle, interval=timedelta(0))
            touched = session_queries.get(session.id) or session
            current_session.refuse_ended(touched, self.settings, now, allowed=self.settings.max_sessions(token))
        return present(touched, self.settings, by=by, now=now, current_id=session.id)

    def validate(
        self, session: StoredSession | UnendedSession | None, *, token: Token, lacking: Sequence[str] = ()
    ) -> Liveness:
        """Return the answer for a token whose session is active, or which has none; the guard has refused ended ones.

        Args:
            session: the token's; None if it has none.
            lacking: which of the headers that a device is recognised by were missing.

        Raises:
            SessionUnknown: it has none, and `UNKNOWN_SESSION_POLICY` is not `allow`.
        """
        if self.settings.observes:
            observe_token(session.id if session else None, token, self.settings)
        elif session is None and self.settings.UNKNOWN_SESSION_POLICY != "allow":
            hint = (
                f" The request came without {' and '.join(lacking)}: send on what the caller sent." if lacking else ""
            )
            raise SessionUnknown(SessionUnknown.detail + hint)
        return Liveness(
            active=True,
            session_id=session.id if session else None,
            user_id=shown_user_id(token.user_id, self.settings),
            expires_at=session.expires_at if session else None,
            idle_expires_at=policy.idle_expires_at(session, self.settings.idle) if session else None,
        )

    def introspect(self, token: Token | None, *, now: datetime) -> Introspection:
        """Return whether *token* may be used, for a service that received it (RFC 7662); changes nothing.

        The user's device is not observed, so only the `sid` claim or the token itself tells the session.

        Args:
            token: None for a text that is not a valid token; the answer is the same as for an ended session.
        """
        if token is None:
            return {"active": False}
        with transaction():
            session = session_matching.pick_for_token(
                session_queries.list_by_token(token), None, now, self.settings.idle
            )
            has_ended = session is not None and not policy.is_active(session, now, self.settings.idle)
            if session and self.settings.observes:
                observe_session(session, self.settings, has_ended=has_ended)
        if self.settings.observes:
            observe_token(session.id if session else None, token, self.settings)
        elif has_ended or (session is None and self.settings.UNKNOWN_SESSION_POLICY == "reject"):
            return {"active": False}
        answer = Introspection(
            active=True, sub=token.user_id, exp=token.exp, session_id=session.id if session else None
        )
        return answer if token.sid is None else {**answer, "sid": token.sid}

    def as_admin(self, by: Principal) -> Principal:
        """Return *by*, marked as an admin if the auth server says so.

        Raises:
            AuthServerUnavailable: it had to be asked, and gave no usable answer.
        """
        is_known = by.is_admin or by.user_id is None
        return by if is_known else replace(by, is_admin=self._user_directory.is_admin(by))

    def _find_visible(self, session_id: int, by: Principal) -> tuple[StoredSession, Principal]:
        """Return a session that *by* may see, and *by* as the auth server knows the user."""
        with transaction():
            session = session_queries.get(session_id)
        if session is None or session.user_id != by.user_id:
            # Also for an unknown id: the time that the answer takes must not tell it from somebody else's session.
            by = self.as_admin(by)
        if session is None or not (by.is_admin or by.service or by.user_id == session.user_id):
            raise SessionNotFound
        return session, by
