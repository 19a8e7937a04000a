"""The keys that tokens are verified with: from the settings, or from a JWK Set that is fetched and refreshed.

Each process fetches the set in a thread of its own, so a request with a token of a known key never waits for it.
Unknown keys, however many, cause one call in `COOL_DOWN_SECONDS` at most.
"""

import logging
from threading import Condition, Thread
from time import monotonic
from typing import Protocol
from weakref import ref

from session_service import metrics
from session_service.auth_server.http_client import AuthServerClient
from session_service.auth_server.keys import Key, KeyProblem, parse_key_set, public_key, shared_secret
from session_service.config import Settings
from session_service.errors import AuthServerUnavailable
from session_service.limits import FIRST_KEY_SECONDS, KEY_WAITERS

REFRESH_SECONDS = 300.0
"""How long a key stays trusted that the auth server has removed, while it answers."""

COOL_DOWN_SECONDS = 5.0
"""Least time between two calls."""

MAX_BYTES = 256 * 1024

_log = logging.getLogger(__name__)


class VerificationKeys(Protocol):
    """The keys that tokens are verified with."""

    generation: int
    """Changes with the keys: tokens that were verified before are verified again."""
    have_names: bool
    """Whether the header of a token says which of them has signed it."""

    def find(self, kid: str | None) -> tuple[Key, ...]:
        """Return the keys that may have signed a token whose header names *kid*.

        Raises:
            AuthServerUnavailable: there never was any key.
        """

    def is_loaded(self, wait: float) -> bool:
        """Return whether there is a key; wait up to *wait* seconds for one."""


def verification_keys(settings: Settings) -> VerificationKeys:
    """Return the keys that *settings* name."""
    if settings.JWT_JWKS_URL is not None:
        return JwksKeys(settings.JWT_JWKS_URL, AuthServerClient())
    if settings.JWT_PUBLIC_KEY is not None:
        return StaticKeys((public_key(settings.JWT_PUBLIC_KEY),))
    secrets = (settings.JWT_SECRET_KEY, settings.JWT_PREVIOUS_SECRET_KEY)
    return StaticKeys(tuple(shared_secret(secret) for secret in secrets if secret is not None))


class StaticKeys:
    """Keys of the settings. They have no names, so each is tried."""

    generation = 0
    have_names = False

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys

    def find(self, _kid: str | None) -> tuple[Key, ...]:
        """Return all keys."""
        return self._keys

    def is_loaded(self, _wait: float) -> bool:
        """Return True: the settings were checked at start."""
        return True


class JwksKeys:
    """The keys of a JWK Set at a URL. The last good set is kept if a later fetch fails."""

    have_names = True

    def __init__(self, url: str, auth_server: AuthServerClient) -> None:
        self.generation = 0
        self._url, self._auth_server = url, auth_server
        self._keys: tuple[Key, ...] = ()
        self._changed = Condition()
        self._calls, self._last_call, self._last_was_good = 0, -COOL_DOWN_SECONDS, True
        self._is_calling, self._is_wanted, self._waiting = False, True, 0
        self._thread: Thread | None = None

    def find(self, kid: str | None) -> tuple[Key, ...]:
        """Return the keys named *kid*, or all for a token that names none (RFC 7515 section 4.1.4).

        An unknown name causes a fetch, unless the last one was a moment ago. This thread waits for it, unless the
        last call failed or `KEY_WAITERS` threads wait already: a slow auth server must not occupy all threads.

        Raises:
            AuthServerUnavailable: there never was any key.
        """
        self._start_thread()
        found = self._named(kid)
        if found:
            return found
        with self._changed:
            # Without any key, no request can be served anyway.
            may_wait = not self._keys or self._waiting < KEY_WAITERS
            if may_wait and (self._last_was_good or not self._calls):
                self._wait_for_call(FIRST_KEY_SECONDS)
            else:
                self._ask_for_call()
        if not self._keys:
            raise AuthServerUnavailable(retry_after=int(COOL_DOWN_SECONDS))
        return self._named(kid)

    def is_loaded(self, wait: float) -> bool:
        """Return whether there is a key; wait up to *wait* seconds for one."""
        self._start_thread()
        with self._changed:
            if not self._keys:
                self._wait_for_call(wait)
            return bool(self._keys)

    def _named(self, kid: str | None) -> tuple[Key, ...]:
        keys = self._keys
        return keys if kid is None else tuple(key for key in keys if key.kid == kid)

    def _wait_for_call(self, seconds: float) -> None:
        """Wait for the call that is under way or due now; return at once if there is none."""
        self._ask_for_call()
        if self._is_calling or self._is_wanted:
            calls = self._calls
            self._waiting += 1
            self._changed.wait_for(lambda: self._calls > calls, seconds)
            self._waiting -= 1

    def _ask_for_call(self) -> None:
        if not self._is_calling and monotonic() >= self._last_call + COOL_DOWN_SECONDS:
            self._is_wanted = True
            self._changed.notify_all()

    def _start_thread(self) -> None:
        """Start this process's fetching thread if it does not run; threads do not survive a fork."""
        if self._thread is None or not self._thread.is_alive():
            with self._changed:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = Thread(target=_keep_fresh, args=(ref(self), self._changed), daemon=True)
                    self._thread.start()
                    # Here, not before the fork: until a fetch succeeds, the age of the keys counts from now.
                    metrics.keys_fetched.labels("jwks").set_to_current_time()

    def seconds_to_next_call(self) -> float:
        """Return the seconds until the next fetch. The caller holds the condition."""
        pause = REFRESH_SECONDS if self._last_was_good else COOL_DOWN_SECONDS
        return 0 if self._is_wanted else max(self._last_call + pause - monotonic(), 0)

    def fetch(self) -> None:
        """Fetch the set; keep the present keys if that fails. One thread at a time calls this."""
        with self._changed:
            self._is_calling, self._is_wanted, self._last_call = True, False, monotonic()
        keys: tuple[Key, ...] = ()
        try:
            keys = self._fetch_keys()
        except KeyProblem as problem:
            _log.warning("the key set cannot be used, the previous keys stay: it %s", problem)
        except AuthServerUnavailable as error:
            _log.warning("the key set was not fetched, the previous keys stay: %s", type(error.__cause__).__name__)
        finally:
            with self._changed:
                metrics.key_fetches.labels("good" if keys else "failed").inc()
                if keys:
                    metrics.keys_fetched.labels("jwks").set_to_current_time()
                if keys and keys != self._keys:
                    self._keys, self.generation = keys, self.generation + 1
                self._calls, self._is_calling, self._last_was_good = self._calls + 1, False, bool(keys)
                self._changed.notify_all()

    def _fetch_keys(self) -> tuple[Key, ...]:
        answer = self._auth_server.get(self._url, most_bytes=MAX_BYTES)
        if answer.status != 200 or answer.body is None:
            raise KeyProblem(f"answered {answer.status}" if answer.status != 200 else "is too large")
        return parse_key_set(answer.body)


def _keep_fresh(reference: "ref[JwksKeys]", changed: Condition) -> None:
    """Fetch a key set when it is due or wanted, until nothing else refers to it."""
    while True:
        with changed:
            keys = reference()
            if keys is None:
                return
            seconds = keys.seconds_to_next_call()
            del keys
            if seconds:
                changed.wait(seconds)
                continue
        keys = reference()
        if keys is not None:
            keys.fetch()
        del keys
