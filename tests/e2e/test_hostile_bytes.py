"""Hostile bytes over raw sockets to a real gunicorn, as no client library sends them: 4xx, and nothing changes."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.harness.hostile import RAW, TOKEN, tables
from tests.harness.processes import address_of, exchange


@pytest.mark.parametrize("name", RAW)
def test_hostile_bytes_are_refused_and_change_nothing(
    app: Flask, database_url: str, start_service: Callable[[str], str], name: str
) -> None:
    _, sent, statuses = RAW[name]
    address, before = address_of(start_service(database_url)), tables(app)

    answer = exchange(address, sent)

    line = answer.partition(b"\r\n")[0].split()
    assert line[0] in {b"HTTP/1.1", b"HTTP/1.0"}, answer[:200]
    assert int(line[1]) in statuses, answer[:300]
    assert b"Content-Type: application/problem+json" in answer
    assert tables(app) == before
    assert TOKEN.encode() not in answer
    assert b"Traceback" not in answer
    assert b"gunicorn/" not in answer
    assert exchange(address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200 ")
