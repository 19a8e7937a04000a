"""`SessionClient`, for threads: Flask, Django, gunicorn. One for a process; it survives a fork."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from session_client import calls, clock
from session_client.answers import ActiveSession, Answer, Yes
from session_client.caller import Caller, bearer_of, expiry_of, key_of
from session_client.calls import Call, Ended
from session_client.errors import Refused, ServiceUnavailable
from session_client.feed import PATH, forget_ended
from session_client.http_calls import REPEATABLE, answer_of, request_of
from session_client.http_threads import DeadlineTransport
from session_client.options import OnOutage, Options, options_of
from session_client.poller import Poller
from session_client.process import after_fork, at_exit
from session_client.remembered import Memory


class SessionClient:
    """Asks the service about sessions, remembers each yes while it counts, and carries the backend's own calls.

    Nothing is connected and no thread runs before the first call, so a client may be made before a fork. After one, the
    child begins with an empty memory, connections and a poller thread of its own.
    """

    def __init__(self, options: Options, transport: Callable[[], httpx.BaseTransport] | None = None) -> None:
        """Take the options; *transport* makes what sends requests, in place of real connections (`testing`)."""
        self.options = options
        self._make_transport = transport or (lambda: DeadlineTransport(options.url))
        self._begin()
        self._hooks = after_fork(self._after_fork), at_exit(self.close)

    @classmethod
    def from_environment(cls, **options: Any) -> "SessionClient":
        """Return a client with these options, and those of `options_of`."""
        return cls(Options(**{**options_of(), **options}))

    def _begin(self) -> None:
        """Begin with nothing: at first, and in the child of a fork."""
        self._memory = Memory(most=self.options.most_remembered, recheck_seconds=self.options.recheck_seconds)
        self._transport = self._make_transport()
        self._poller: Poller | None = None
        self._starting = threading.Lock()
        self._is_closed = False

    # Checks

    def check(self, caller: Caller, *, reading: bool = False, on_outage: OnOutage | None = None) -> ActiveSession:
        """Return the caller's active session.

        Args:
            caller: what the request says about its caller.
            reading: whether the request only reads; only then may an outage be bridged.
            on_outage: in place of the option of the same name.

        Raises:
            SessionEnded: the session has ended.
            TokenRefused: the token is missing or not valid, or has no session.
            ServiceUnavailable: neither is known.
        """
        key = key_of(caller)
        remembered = self._memory.find(key, clock.now())
        if remembered is not None:
            return remembered
        if self._poller is None:
            self.start()
        deadline = clock.now() + self.options.timeout_seconds
        try:
            yes, is_outdated = self._ask(caller, key, deadline)
            if is_outdated:
                yes, _ = self._ask(caller, key, deadline)
            return yes.session
        except Refused:
            self._memory.forget(key)
            raise
        except ServiceUnavailable:
            bridges = reading and (on_outage or self.options.on_outage) == "remembered"
            found = bridges and self._memory.find_in_outage(key, clock.now(), self.options.outage_seconds)
            if not found:
                raise
            return found

    def _ask(self, caller: Caller, key: bytes, deadline: float) -> tuple[Yes, bool]:
        """Return the yes of the service, and whether the session has ended while the answer was under way."""
        question = self._memory.begin(clock.now())
        yes = calls.yes_or_no(self._send(calls.validate(caller), deadline))
        outcome = self._memory.remember(question, key, yes, expiry_of(bearer_of(caller.authorization)))
        return yes, outcome == "ended"

    # Calls of the backend itself

    def create(self, caller: Caller, device: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Begin a session at a sign-in; return it as the service shows it, with the sessions that it `evicted`.

        Args:
            caller: with the new token (`Caller.with_token`).
            device: what the frontend says about its device: fields of `POST /sessions/create`.

        Raises:
            Refused: for example 409 `session_limit_reached`, 429 `sign_in_rate_exceeded`: do not return the token.
            ServiceUnavailable: the session may or may not exist: do not return the token.
        """
        created: dict[str, Any] = calls.done(self.forward(calls.create(caller, device)))
        return created

    def end(self, caller: Caller, session_id: int | None = None, *, everywhere: bool = False) -> Ended:
        """End the caller's own session, or the one of its user with this id; it can be repeated.

        With *everywhere*, return when no backend says yes any more.

        Raises:
            Refused: the service refused it.
            ServiceUnavailable: the session may or may not have ended.
        """
        return calls.ended(self.forward(calls.end(caller, session_id, everywhere)))

    def end_user(self, user_id: int | str, *, because: str | None = None, everywhere: bool = False) -> Ended:
        """End all sessions of a user, with the service's credentials; it can be repeated.

        *because* is told to the user: `password_changed`, `account_disabled`, `device_lost` or `security`.
        This process says no from then on, the others after one lease; with *everywhere*, all of them when it returns.

        Raises:
            Refused: the service refused it.
            ServiceUnavailable: the sessions may or may not have ended.
        """
        try:
            return calls.ended(self._call(calls.end_user(user_id, because, everywhere, self.options.basic)))
        finally:
            self._memory.lapse(clock.now())
            self._ask_feed_now()

    def list(self, user_id: int | str, *, include_inactive: bool = False) -> list[dict[str, Any]]:
        """Return a user's active sessions, with the service's credentials; with *include_inactive* ended ones, too.

        Raises:
            Refused: the service refused it.
            ServiceUnavailable: the service does not answer.
        """
        found: list[dict[str, Any]] = calls.done(
            self._call(calls.list_user(user_id, include_inactive, self.options.basic))
        )
        return found

    def forward(self, call: Call) -> Answer:
        """Make a call for its caller, and return the answer, of any status. What it ended is forgotten at once.

        Raises:
            ServiceUnavailable: no answer in time.
        """
        answer = self._call(call)
        if forget_ended(self._memory, call, answer, clock.now()):
            self._ask_feed_now()
        return answer

    def _call(self, call: Call) -> Answer:
        lease = self._poller.lease_seconds if self._poller is not None else 1.0
        extra = 2 * lease if call.waits_for_a_lease else 0
        return self._send(call, clock.now() + self.options.timeout_seconds + extra)

    def _send(self, call: Call, deadline: float) -> Answer:
        if self._is_closed:
            raise ServiceUnavailable("the client is closed")
        try:
            try:
                return self._exchange(call, deadline)
            except REPEATABLE:
                if call.method != "GET" or self._is_closed:
                    raise
                return self._exchange(call, deadline)
        except httpx.RequestError as error:
            raise ServiceUnavailable(f"{type(error).__name__}: {str(error)[:200]}") from error

    def _exchange(self, call: Call, deadline: float) -> Answer:
        left = max(deadline - clock.now(), 0.001)
        request = request_of(self.options.url, call, deadline, left, self.options.connect_seconds)
        response = self._transport.handle_request(request)
        return answer_of(response, b"".join(response.iter_raw()))

    # Life

    def start(self) -> None:
        """Begin to follow the feed, if answers are remembered. The first check does it, if nothing else has."""
        if not self.options.remembers or self._is_closed:
            return
        with self._starting:
            if self._poller is None and not self._is_closed:
                self._poller = Poller(self._memory, self._poll)
                self._poller.start()

    def _ask_feed_now(self) -> None:
        if self._poller is not None:
            self._poller.ask_now()

    def _poll(self, query: dict[str, str]) -> Answer:
        deadline = clock.now() + self.options.timeout_seconds
        return self._send(calls.feed(PATH, query, self.options.basic), deadline)

    @property
    def is_remembering(self) -> bool:
        """Whether the lease holds now: yeses are given from memory."""
        return self._memory.holds_lease(clock.now())

    def close(self) -> None:
        """Stop following the feed, end the thread and all connections; it can be repeated. Later calls fail."""
        with self._starting:
            self._is_closed, poller = True, self._poller
        self._memory.stop()
        if poller is not None:
            poller.stop(self._transport.shut if isinstance(self._transport, DeadlineTransport) else lambda: None)
        self._transport.close()

    def _after_fork(self) -> None:
        if isinstance(self._transport, DeadlineTransport):
            self._transport.abandon()
        self._begin()
