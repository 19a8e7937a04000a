"""What the benchmarks stand on is right; how fast anything is, no test judges."""

from itertools import repeat

import pytest

from benchmarks.load import UnexpectedAnswer, request, send
from benchmarks.processor import seconds_of
from benchmarks.servers import gunicorn
from tests.harness.support import SECRET

# Rows


# Processor time


# Load


def test_requests_are_answered_over_connections_that_stay_open_until_there_are_no_more() -> None:
    message = request("GET", "/sessions/validate", "any", "any")
    with gunicorn("benchmarks.bare:app", "sqlite:////nowhere", SECRET) as bare:
        sent = send(bare.address, iter([message] * 50), expected=200, seconds=20, connections=4)
        assert sent.requests == 50
        assert seconds_of(bare.pid) > 0

        with pytest.raises(UnexpectedAnswer, match=r"expected 204, got: HTTP/1\.1 200"):
            send(bare.address, repeat(message), expected=204, seconds=20)


# The report
