"""The rules of remembering, each on both sides of its boundary."""

from dataclasses import replace

import pytest

from session_client.answers import ActiveSession, Yes
from session_client.remembered import MOST_KNOWN_ENDS, Entry, Memory, counts_in_outage, limit_of

LEASE, RECHECK = 1.0, 60.0
KEY, OTHER = b"key", b"other"
JUST_UNDER = 1e-6
SESSION = ActiveSession(74, 1)
YES = Yes(SESSION, answered_at=1_000.0, limits=(9_000.0, 8_000.0))
EXP = 7_000


def following(begun_at: float = 0.0, lease: float = LEASE, **options: int) -> Memory:
    """Return a memory whose feed was asked completely, the last time at *begun_at*."""
    memory = Memory(recheck_seconds=RECHECK, **options)
    memory.start()
    memory.extend(begun_at, lease)
    return memory


def remember(memory: Memory, key: bytes = KEY, yes: Yes = YES, at: float = 0.0) -> str:
    return memory.remember(memory.begin(at), key, yes, EXP)


def test_a_yes_counts_for_the_same_caller_and_for_no_other() -> None:
    memory = following()

    assert remember(memory) == "remembered"

    assert memory.find(KEY, 0.5) == SESSION
    assert memory.find(OTHER, 0.5) is None


def test_the_lease_counts_from_the_beginning_of_the_last_complete_question() -> None:
    memory = following()
    remember(memory)

    memory.extend(5.0, LEASE)  # its answer may have arrived any time later

    assert memory.find(KEY, 6.0 - JUST_UNDER) == SESSION
    assert memory.find(KEY, 6.0) is None


def test_without_a_lease_nothing_counts_and_a_lease_of_0_is_none() -> None:
    without = Memory()
    without.start()
    remember(without)
    none = following(begun_at=5.0, lease=0.0)
    remember(none, at=5.0)

    assert without.find(KEY, 0.0) is None
    assert none.find(KEY, 5.0) is None


def test_a_shorter_lease_counts_at_once() -> None:
    memory = following(begun_at=0.0, lease=10.0)
    remember(memory)

    memory.extend(1.0, 0.5)

    assert memory.find(KEY, 1.5 - JUST_UNDER) == SESSION
    assert memory.find(KEY, 1.5) is None


def test_a_yes_is_asked_for_again_after_recheck_seconds_from_the_beginning_of_its_question() -> None:
    memory = following(begun_at=0.0, lease=1_000.0)

    remember(memory, at=10.0)

    assert memory.find(KEY, 70.0 - JUST_UNDER) == SESSION
    assert memory.find(KEY, 70.0) is None


@pytest.mark.parametrize(
    ("yes", "exp", "limit"),
    [
        (YES, 1_020, 119.0),
        (YES, 7_000_000_000_000, 7_099.0),
        (replace(YES, limits=(1_020.0, 8_000.0)), EXP, 119.0),
        (replace(YES, limits=(8_000.0, 1_020.0)), EXP, 119.0),
        (replace(YES, limits=(8_000.0,)), 9_000, 7_099.0),
    ],
    ids=["exp", "far exp", "expires_at", "idle_expires_at", "no idle timeout"],
)
def test_the_earliest_limit_counts_by_the_clock_of_the_service(yes: Yes, exp: int, limit: float) -> None:
    """The question began at 100 of our clock; the answer was made within the second after 1,000 of the service's."""
    assert limit_of(yes, exp, begun_at=100.0) == limit
    # Never later than the true limit, however late within that second the answer was made.
    true_limit = 100.0 + min(exp, *(yes.limits or ())) - (1_000.0 + 1)
    assert limit <= true_limit


def test_a_yes_counts_until_a_limit_of_its_token_or_session() -> None:
    memory = following(begun_at=100.0, lease=1_000.0)

    memory.remember(memory.begin(100.0), KEY, YES, exp=1_021)

    assert memory.find(KEY, 120.0 - JUST_UNDER) == SESSION
    assert memory.find(KEY, 120.0) is None


@pytest.mark.parametrize(
    ("yes", "exp"),
    [(YES, None), (replace(YES, limits=None), EXP), (replace(YES, answered_at=None), EXP)],
    ids=["no exp", "no limits", "no date"],
)
def test_a_yes_with_an_unknown_limit_is_not_remembered(yes: Yes, exp: int | None) -> None:
    memory = following()

    assert memory.remember(memory.begin(0.0), KEY, yes, exp) == "not remembered"
    assert len(memory) == 0


def test_a_yes_without_a_session_is_not_remembered_because_no_event_would_end_it() -> None:
    assert remember(following(), yes=replace(YES, session=ActiveSession(74, None))) == "not remembered"


def test_a_question_begun_before_the_first_position_was_known_is_not_remembered() -> None:
    memory = Memory()
    before = memory.begin(0.0)
    memory.start()
    memory.extend(0.0, LEASE)

    assert memory.remember(before, KEY, YES, EXP) == "not remembered"
    assert memory.remember(memory.begin(0.1), KEY, YES, EXP) == "remembered"


def test_when_the_position_is_gone_everything_begins_anew_answers_under_way_included() -> None:
    memory = following()
    remember(memory)
    under_way = memory.begin(0.1)

    memory.stop()
    assert memory.find(KEY, 0.2) is None
    assert remember(memory, at=0.2) == "not remembered"
    memory.start()
    memory.extend(0.2, LEASE)

    assert memory.remember(under_way, KEY, YES, EXP) == "not remembered"
    assert memory.find(KEY, 0.3) is None
    assert remember(memory, at=0.3) == "remembered"


def test_an_event_forgets_every_caller_of_its_session_and_no_other() -> None:
    memory = following()
    remember(memory)
    remember(memory, b"the same session, another address")
    remember(memory, OTHER, replace(YES, session=ActiveSession(74, 2)))

    memory.end(1)
    memory.end(99)

    assert memory.find(KEY, 0.5) is None
    assert memory.find(b"the same session, another address", 0.5) is None
    assert memory.find(OTHER, 0.5) == ActiveSession(74, 2)


def test_an_event_that_arrives_while_the_answer_is_under_way_wins() -> None:
    memory = following()
    question = memory.begin(0.1)

    memory.end(1)

    assert memory.remember(question, KEY, YES, EXP) == "ended"
    assert memory.find(KEY, 0.2) is None


def test_an_event_from_before_the_question_does_not_count_against_its_answer() -> None:
    """Its end is older than the answer: the service has said yes for another reason, for example another id."""
    memory = following()
    memory.end(1)

    assert memory.remember(memory.begin(0.1), KEY, YES, EXP) == "remembered"


def test_the_known_ends_are_bounded_and_a_question_from_before_them_is_not_remembered() -> None:
    memory = following()
    before = memory.begin(0.1)
    memory.end(10)
    after = memory.begin(0.1)

    for number in range(MOST_KNOWN_ENDS):
        memory.end(100 + number)

    assert memory.remember(before, KEY, YES, EXP) == "not remembered"
    assert memory.remember(after, KEY, YES, EXP) == "remembered"


def test_the_least_recently_used_answers_give_way() -> None:
    memory = following(most=2)
    remember(memory, b"1")
    remember(memory, b"2", replace(YES, session=ActiveSession(74, 2)))
    assert memory.find(b"1", 0.5)

    remember(memory, b"3", replace(YES, session=ActiveSession(74, 3)))

    assert [memory.find(key, 0.5) is not None for key in (b"1", b"2", b"3")] == [True, False, True]
    assert len(memory) == 2
    memory.end(2)
    memory.end(1)
    assert len(memory) == 1


def test_a_caller_whose_session_changes_is_ended_with_the_new_one_only() -> None:
    memory = following()
    remember(memory)
    remember(memory, yes=replace(YES, session=ActiveSession(74, 2)))

    memory.end(1)
    assert memory.find(KEY, 0.5) == ActiveSession(74, 2)
    memory.end(2)
    assert memory.find(KEY, 0.5) is None


def test_after_a_no_nothing_is_left_to_bridge_an_outage() -> None:
    memory = following()
    remember(memory)

    memory.forget(KEY)
    memory.forget(OTHER)

    assert memory.find(KEY, 0.5) is None
    assert memory.find_in_outage(KEY, 0.5, 1_000.0) is None


def test_a_lapsed_lease_is_extended_only_by_a_question_that_began_later() -> None:
    memory = following()
    remember(memory)

    memory.lapse(0.5)
    assert memory.find(KEY, 0.5) is None
    memory.extend(0.5 - JUST_UNDER, LEASE)  # it was under way
    assert memory.find(KEY, 0.5) is None
    memory.extend(0.5, LEASE)

    assert memory.find(KEY, 0.6) == SESSION


@pytest.mark.parametrize(
    ("lease_until", "recheck_at", "limit", "until"),
    [(1.0, 60.0, 1_000.0, 301.0), (1_000.0, 60.0, 1_000.0, 360.0), (1.0, 60.0, 20.0, 20.0)],
    ids=["from the lease", "from the recheck", "never past a limit"],
)
def test_an_outage_is_bridged_for_outage_seconds(
    lease_until: float, recheck_at: float, limit: float, until: float
) -> None:
    entry = Entry(SESSION, recheck_at, limit)

    assert counts_in_outage(entry, lease_until, until - JUST_UNDER, 300.0)
    assert not counts_in_outage(entry, lease_until, until, 300.0)


def test_an_end_that_was_told_before_the_outage_is_not_bridged() -> None:
    memory = following()
    remember(memory)
    assert memory.find_in_outage(KEY, 5.0, 300.0) == SESSION

    memory.end(1)

    assert memory.find_in_outage(KEY, 5.0, 300.0) is None
