"""A pytest plugin: the options of this project, and the numbers of generated inputs that they stand for."""

from dataclasses import dataclass, replace
from typing import Any

import hypothesis
import pytest


@dataclass(frozen=True)
class Numbers:
    """How much of what is generated is tried."""

    schema_cases: int
    """Requests that are generated from the OpenAPI document, over all callers."""
    model_examples: int
    """Sequences of up to 50 steps for the model of one user's sessions."""
    forced_end_examples: int
    """Sequences of calls by a device whose session somebody else ended."""
    token_edits: int
    """Random edits of one token."""
    raced_events: int
    """Events that processes write while others read the feed."""
    raced_ends: int
    """Ends while readers that remember are asked all the time."""
    purged_sessions: int
    """Sessions that two purges at once delete beside live traffic."""
    webhook_events: int
    """Events that are delivered while deliverers are killed."""
    examples: int
    """Inputs of every other property."""


FULL = Numbers(
    schema_cases=8_000,
    model_examples=50,
    forced_end_examples=40,
    token_edits=100_000,
    raced_events=4_000,
    raced_ends=6_000,
    purged_sessions=60_000,
    webhook_events=1_500,
    examples=100,
)
QUICK = Numbers(
    schema_cases=600,
    model_examples=5,
    forced_end_examples=5,
    token_edits=2_000,
    raced_events=800,
    raced_ends=2_000,
    purged_sessions=10_000,
    webhook_events=150,
    examples=20,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption(
        "--quick", action="store_true", help="small numbers of generated inputs; commits do not wait for the disk"
    )
    parser.addoption("--screenshots", action="store_true", help="write the pictures of docs/images anew")
    parser.addoption("--schema-cases", type=int, help="requests that are generated from the OpenAPI document")
    parser.addoption("--webhook-events", type=int, help="events that are delivered while deliverers are killed")
    parser.addoption("--raced-events", type=int, help="events that processes write while others read the feed")
    parser.addoption("--raced-ends", type=int, help="ends while readers that remember are asked")
    parser.addoption("--purged-sessions", type=int, help="sessions that two purges at once delete")
    parser.addoption("--model-examples", type=int, help="sequences of up to 50 steps for the model")


def pytest_configure(config: pytest.Config) -> None:
    """Set what holds for all properties: how long one takes depends on the machine, and nothing follows from it."""
    is_quick = config.getoption("--quick")
    hypothesis.settings.register_profile(
        "tests",
        max_examples=_numbers(config).examples,
        deadline=None,
        derandomize=is_quick,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("tests")


def _numbers(config: pytest.Config) -> Numbers:
    given: dict[str, Any] = {
        name: config.getoption(name)
        for name in (
            "schema_cases",
            "model_examples",
            "webhook_events",
            "raced_events",
            "raced_ends",
            "purged_sessions",
        )
    }
    return replace(
        QUICK if config.getoption("--quick") else FULL,
        **{name: number for name, number in given.items() if number is not None},
    )


@pytest.fixture(scope="session")
def numbers(pytestconfig: pytest.Config) -> Numbers:
    """Return how much of what is generated is tried in this run."""
    return _numbers(pytestconfig)
