"""The service against its own description: generated requests, good and bad, from callers of each kind (over WSGI).

No 5xx, no status and no shape that is not described, good requests let in and bad ones refused. `--schema-cases=100000`
tries more than the default.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import seed as hypothesis_seed
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.harness.options import Numbers
from tests.harness.reports import note
from tests.harness.support import CHROME, MakeApp, basic, make_token

CREDENTIALS = {"backend": "a-secret-of-the-backend"}
BASIC = basic("backend", CREDENTIALS["backend"])["Authorization"]
USERS = count(1_000)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    positive_data_acceptance,
]


def user() -> str:
    return f"Bearer {make_token(next(USERS))}"


CALLERS: dict[str, Callable[[], str | None]] = {
    "nobody": lambda: None,
    "user": user,
    "admin": lambda: f"Bearer {make_token(next(USERS), role='admin')}",
    "service": lambda: BASIC,
}

pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    # The page's files are left open by the transport that brings requests here.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("caller", CALLERS)
def test_generated_requests_are_answered_as_described(make_app: MakeApp, caller: str, numbers: Numbers) -> None:
    app = make_app(SERVICE_CREDENTIALS=CREDENTIALS, UNKNOWN_SESSION_POLICY="adopt")
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    # The callers bring their credentials; and what a query has that nobody described is ignored, as an old client's.
    schema.config.generation.update(with_security_parameters=False, allow_extra_parameters=False)
    wanted = numbers.schema_cases // len(CALLERS)
    # A position of the feed may be well-formed and of another database.
    schema.config.checks.positive_data_acceptance.expected_statuses.append("410")
    # More items than an array may have can be more bytes than a body may have.
    schema.config.checks.negative_data_rejection.expected_statuses.append("413")
    kinds = [(found.ok(), mode) for found in schema.get_all_operations() for mode in GenerationMode]
    seen: Counter[int] = Counter()

    seed = 0
    while kinds and seen.total() < wanted:
        each = (wanted - seen.total()) // len(kinds) + 1
        # Those of which there are no more than a few are tried once.
        kinds = [kind for kind in kinds if try_cases(*kind, CALLERS[caller], (each, seed), seen)]
        seed += 1

    note(f"{seen.total()} generated requests by {caller}: {dict(sorted(seen.items()))}")
    assert seen.total() >= wanted


def try_cases(
    operation: Any,
    mode: GenerationMode,
    authorization: Callable[[], str | None],
    plan: tuple[int, int],
    seen: Counter[int],
) -> bool:
    """Try as many cases as the plan says; return whether there were that many."""
    before = seen.total()

    @hypothesis_settings(
        max_examples=plan[0],
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis_seed(plan[1])
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        credentials = authorization()
        case.headers = {**(case.headers or {}), "User-Agent": CHROME}
        if credentials:
            case.headers["Authorization"] = credentials
        response = case.call()
        seen[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    with suppress(Unsatisfiable):  # nothing about it can be wrong
        run()
    return seen.total() - before >= plan[0]
