"""One user's sessions against a model in memory: whatever is done in whatever order, both say the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import ClassVar, get_args

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from session_service.auth_server.user_directory import UserDirectory
from session_service.database import session_queries
from session_service.database.transaction import transaction
from session_service.errors import SessionEnded, SessionLimitReached
from session_service.records import Client, EndReason, LimitPolicy, Principal, StoredSession, Token
from session_service.services.answers import CreatedSession
from session_service.services.purge import purge
from session_service.services.sessions import SessionService
from session_service.services.sign_in import SignIn
from tests.harness.options import FULL, Numbers
from tests.harness.reports import note
from tests.harness.support import CHROME, FIREFOX, IPHONE

NOON = datetime(2026, 2, 8, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
LIMIT, IDLE, LIFETIME, RETENTION = 3, timedelta(minutes=60), timedelta(minutes=75), timedelta(days=1)
AGENTS = (CHROME, FIREFOX, IPHONE, "curl/8.5.0")
PLACES = ("203.0.113.7", "198.51.100.1")
PLANS = (2, 4)
"""Limits of tokens that a claim gives one."""
ROOT = Principal(user_id="1", is_admin=True)

_users = count(1_000_000)


@dataclass
class Known:
    """What the model remembers of one session."""

    id: int
    agent: str
    place: str
    fingerprint: str | None
    created_at: datetime
    last_activity: datetime
    token: Token
    ended_at: datetime | None = None
    reason: str | None = None

    def end_at(self, now: datetime) -> tuple[datetime, str] | None:
        """Return when and why it ended, as the contract has it."""
        if self.ended_at is not None and self.reason is not None:
            return self.ended_at, self.reason
        idle, expired = self.last_activity + IDLE, self.created_at + LIFETIME
        if now >= min(idle, expired):
            return (expired, "expired") if expired <= idle else (idle, "idle")
        return None


class OneUser(RuleBasedStateMachine):
    """Creates, touches, ends, time passing and purges of one user."""

    service: SessionService
    limit_policy: LimitPolicy
    steps = refused = 0
    seen: ClassVar[set[str | None]] = set()
    """The reasons met so far: a model that never meets one says nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.user = Principal(user_id=str(next(_users)))
        self.tokens = count(1)
        self.known: list[Known] = []

    @property
    def user_id(self) -> str:
        return str(self.user.user_id)

    def active(self) -> list[Known]:
        return [one for one in self.known if one.end_at(self.now) is None]

    def pick(self, which: int) -> Known:
        return self.known[which % len(self.known)]

    @rule(
        agent=st.sampled_from(AGENTS),
        place=st.sampled_from(PLACES),
        fingerprint=st.sampled_from((None, "f")),
        limit=st.sampled_from((None, None, *PLANS)),
    )
    def create(self, agent: str, place: str, fingerprint: str | None, limit: int | None) -> None:
        self.sign_in(agent, place, fingerprint, self.new_token(limit))

    @precondition(lambda self: self.known)
    @rule(which=st.integers(0, 99))
    def create_again(self, which: int) -> None:
        """Call `create` once more with a token that a session was created with, from the same device."""
        one = self.pick(which)
        of_token = [other for other in self.known if other.token == one.token]
        ends = [other.end_at(self.now) for other in of_token]
        newest = ends[-1]
        if None in ends or (newest is not None and newest[1] == "replaced"):
            self.sign_in(one.agent, one.place, one.fingerprint, one.token)
        else:
            OneUser.steps, OneUser.refused = OneUser.steps + 1, OneUser.refused + 1
            with pytest.raises(SessionEnded):
                self.create_session(one.agent, one.place, one.fingerprint, one.token)

    @precondition(lambda self: len(self.known) < 40)  # lists show the newest 100 ended ones
    @rule(agents=st.permutations(AGENTS), place=st.sampled_from(PLACES))
    def all_devices_sign_in(self, agents: list[str], place: str) -> None:
        """One more than there are places for: single sign-ins with all that is between them seldom come to that."""
        for agent in agents:
            self.sign_in(agent, place, "f")

    @precondition(lambda self: self.known)
    @rule(agent=st.sampled_from(AGENTS), place=st.sampled_from(PLACES), which=st.sets(st.integers(0, 99), max_size=3))
    def create_instead(self, agent: str, place: str, which: set[int]) -> None:
        """Sign in, and choose sessions that end for it: active ones, ended ones, the device's own."""
        self.sign_in(agent, place, None, chosen=[self.pick(one) for one in which])

    def new_token(self, limit: int | None = None) -> Token:
        key, exp = next(self.tokens).to_bytes(32, "big"), NOON + timedelta(days=999)
        return Token(self.user_id, None, key, 0, exp, is_admin=False, max_sessions=limit)

    def sign_in(
        self,
        agent: str,
        place: str,
        fingerprint: str | None,
        token: Token | None = None,
        chosen: Sequence[Known] = (),
    ) -> None:
        OneUser.steps += 1
        token = token or self.new_token()
        before = [(one, one.ended_at, one.reason) for one in self.known]
        for one in chosen:
            if one.end_at(self.now) is None:
                one.ended_at, one.reason = self.now, "revoked"
        evicted = self.make_way(agent, place, fingerprint, token.max_sessions or LIMIT)
        if evicted and self.limit_policy == "reject":
            for one, ended_at, reason in before:  # nothing has happened
                one.ended_at, one.reason = ended_at, reason
            OneUser.refused += 1
            with pytest.raises(SessionLimitReached) as refused:
                self.create_session(agent, place, fingerprint, token, chosen)
            assert [one["id"] for one in refused.value.members["sessions"]] == self.active_ids()
            return

        created = self.create_session(agent, place, fingerprint, token, chosen)

        assert sorted(one["id"] for one in created["evicted"]) == sorted(one.id for one in evicted)
        assert all(created["id"] > one.id for one in self.known)
        self.known.append(Known(created["id"], agent, place, fingerprint, self.now, self.now, token))

    def active_ids(self) -> list[int]:
        ordered = sorted(self.active(), key=lambda one: (one.last_activity, one.id), reverse=True)
        return [one.id for one in ordered]

    def create_session(
        self, agent: str, place: str, fingerprint: str | None, token: Token, chosen: Sequence[Known] = ()
    ) -> CreatedSession:
        claimed = {"device_fingerprint": fingerprint, "end": [one.id for one in chosen]}
        return SignIn(self.service.settings).create_session(
            claimed, by=self.user, token=token, client=Client(agent, place), now=self.now
        )

    def make_way(self, agent: str, place: str, fingerprint: str | None, limit: int) -> list[Known]:
        """End in the model whoever a newcomer replaces or evicts; return the evicted."""
        nameless = fingerprint is None and agent.startswith("curl")
        for one in self.active():
            if (one.agent, one.place, one.fingerprint) == (agent, place, fingerprint) and not nameless:
                one.ended_at, one.reason = self.now, "replaced"
        evicted = []
        while len(rest := self.active()) >= limit:
            alike = [one for one in rest if (one.agent, one.fingerprint) == (agent, fingerprint)] or rest
            idlest = self.limit_policy == "evict_idle"
            gone = min(alike, key=lambda one: (one.last_activity if idlest else NOON, one.id))
            gone.ended_at, gone.reason = self.now, "limit"
            evicted.append(gone)
        return evicted

    @precondition(lambda self: self.known)
    @rule(which=st.integers(0, 99))
    def touch(self, which: int) -> None:
        OneUser.steps += 1
        self.use(self.pick(which))

    @precondition(lambda self: self.active())
    @rule(which=st.integers(0, 99))
    def is_used_to_its_last_instant(self, which: int) -> None:
        OneUser.steps += 1
        one = self.active()[which % len(self.active())]
        while one.end_at(self.now) is None:
            self.now += IDLE / 3
            self.use(one)

    def use(self, one: Known) -> None:
        """Touch a session, as its device would."""
        with transaction():
            stored: StoredSession | None = session_queries.get(one.id)
        assert stored is not None
        if one.end_at(self.now) is None:
            self.service.update_session_activity(stored, by=self.user, token=one.token, now=self.now)
            one.last_activity = max(one.last_activity, self.now)
        else:
            with pytest.raises(SessionEnded):
                self.service.update_session_activity(stored, by=self.user, token=one.token, now=self.now)

    @precondition(lambda self: self.known)
    @rule(which=st.integers(0, 99), by_admin=st.booleans(), is_current=st.booleans(), only_active=st.booleans())
    def end(self, which: int, by_admin: bool, is_current: bool, only_active: bool) -> None:
        OneUser.steps += 1
        among = (only_active and self.active()) or self.known
        one = among[which % len(among)]
        self.service.delete_session(
            one.id, by=ROOT if by_admin else self.user, now=self.now, current_id=one.id if is_current else None
        )
        if one.end_at(self.now) is None:
            one.ended_at, one.reason = self.now, "admin" if by_admin else "logout" if is_current else "revoked"

    @rule(current=st.one_of(st.none(), st.integers(0, 99)), exclude=st.booleans())
    def logout_all(self, current: int | None, exclude: bool) -> None:
        OneUser.steps += 1
        mine = self.pick(current) if current is not None and self.known else None
        exclude = exclude and mine is not None
        before = self.active()
        end = self.service.delete_other_sessions if exclude else self.service.delete_user_sessions
        closed = end(self.user_id, by=self.user, now=self.now, current_id=mine.id if mine else None)
        ended = [one for one in before if not (exclude and one is mine)]
        for one in ended:
            one.ended_at, one.reason = self.now, "logout" if one is mine else "revoked"
        assert closed == len(ended)

    @rule(minutes=st.sampled_from((0, 1, 2, 5, 10, 20, 59, 61, 299, 1_500)))
    def time_passes(self, minutes: int) -> None:
        OneUser.steps += 1
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.active())
    @rule(which=st.integers(0, 99), ticks=st.sampled_from((-1, 0, 1)), absolute=st.booleans())
    def time_comes_to_a_boundary(self, which: int, ticks: int, absolute: bool) -> None:
        OneUser.steps += 1
        one = self.active()[which % len(self.active())]
        boundary = one.created_at + LIFETIME if absolute else one.last_activity + IDLE
        self.now = max(self.now, boundary + ticks * TICK)

    @rule(batch=st.integers(1, 3))
    def purge(self, batch: int) -> None:
        OneUser.steps += 1
        for _ in purge(self.service.settings, now=self.now, batch=batch * 500):
            pass
        kept = []
        for one in self.known:
            end = one.end_at(self.now)
            if end is None or end[0] > self.now - RETENTION:
                kept.append(one)
        self.known = kept

    @invariant()
    def both_say_the_same(self) -> None:
        listed = self.service.get_user_sessions(self.user_id, by=self.user, now=self.now, include_inactive=True)
        said = {one["id"]: (one["ended_at"], one["end_reason"]) for one in listed}
        expected = {one.id: one.end_at(self.now) or (None, None) for one in self.known}
        OneUser.seen.update(reason for _, reason in expected.values())

        assert said == expected
        assert [one["is_active"] for one in listed] == [one["ended_at"] is None for one in listed]
        assert self.service.get_session_count(self.user_id, now=self.now) == len(self.active()) <= max(PLANS)


def run_model(service: SessionService, limit_policy: LimitPolicy, examples: int, limit: int = LIMIT) -> None:
    """Run the machine against the service with the model's own rules, or with another *limit*."""
    changed = replace(
        service.settings,
        MAX_SESSIONS_PER_USER=limit,
        SESSION_LIMIT_POLICY=limit_policy,
        SESSION_IDLE_SECONDS=int(IDLE.total_seconds()),
        SESSION_LIFETIME_SECONDS=int(LIFETIME.total_seconds()),
        RETENTION_DAYS=RETENTION.days,
    )
    OneUser.service = SessionService(changed, UserDirectory(changed))
    OneUser.limit_policy, OneUser.steps, OneUser.refused = limit_policy, 0, 0
    OneUser.seen.clear()
    run_state_machine_as_test(
        OneUser,
        settings=hypothesis_settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),
            # The same sequences on every machine: fifty random ones do not always come to every reason.
            derandomize=True,
            report_multiple_bugs=False,
            print_blob=False,
            database=None,
        ),
    )


@pytest.mark.parametrize("limit_policy", get_args(LimitPolicy))
def test_the_service_and_the_model_agree(service: SessionService, limit_policy: LimitPolicy, numbers: Numbers) -> None:
    run_model(service, limit_policy, numbers.model_examples)

    note(f"the model agreed for {OneUser.steps} steps")
    assert OneUser.steps >= 40 * numbers.model_examples
    assert OneUser.refused >= 0.4 * numbers.model_examples
    # Fewer sequences than that do not always come to every reason.
    if numbers.model_examples >= FULL.model_examples:
        expected = set(get_args(EndReason)) - ({"limit"} if limit_policy == "reject" else set())
        assert OneUser.seen >= expected


def test_the_model_notices_a_service_that_lets_one_session_too_many_in(service: SessionService) -> None:
    with pytest.raises(AssertionError):
        run_model(service, "evict_oldest", examples=50, limit=LIMIT + 1)
