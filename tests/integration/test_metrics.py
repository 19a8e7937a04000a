"""What is counted, and that no label tells who it was; over several workers see `test_outages`."""

import re
from collections.abc import Mapping
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from session_service.app import create_app
from session_service.clock import utcnow
from session_service.services.purge import purge
from tests.harness.support import IPHONE, MakeApp, make_token, settings, sign_in_with

Samples = Mapping[str, float]
LABELS = {"route", "method", "status", "code", "outcome", "reason", "policy", "what", "version", "source", "le"}


def read(client: FlaskClient) -> dict[str, float]:
    """Return every sample by its name and labels, as they are written."""
    lines = client.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def grown(before: Samples, after: Samples) -> dict[str, float]:
    """Return by how much what is counted has grown."""
    counted = {
        name: value - before.get(name, 0) for name, value in after.items() if re.search(r"_(total|count)\b", name)
    }
    return {name.removeprefix("session_service_"): value for name, value in counted.items() if value}


def test_what_happens_is_counted(make_app: MakeApp) -> None:
    client = make_app(MAX_SESSIONS_PER_USER=1).test_client()
    sign_in = sign_in_with(client)
    before = read(client)

    first = sign_in(74)
    second = sign_in(74, user_agent=IPHONE)
    first.get("/sessions/validate")
    second.get("/sessions/validate")
    client.get("/sessions/validate", headers={"Authorization": "Bearer x"})
    client.get("/sessions/validate", headers={"Authorization": f"Bearer {make_token(exp=1)}"})
    client.get("/sessions/validate", headers={"Authorization": f"Bearer {make_token(key='x' * 32)}"})
    client.get("/sessions/validate", headers={"Authorization": f"Bearer {make_token(True)}"})
    client.get("/sessions/validate", headers={"Authorization": f"Bearer {make_token(nbf=4_000_000_000)}"})
    client.get("/sessions/validate")
    client.options("/sessions/validate")
    client.post("/sessions/create", headers=first.headers)
    second.delete("/sessions/logout")

    now = grown(before, read(client))
    # Two sign-ins and one that is refused, two activities, one sign-out. Reads are not counted, and nobody
    # had to wait for a connection.
    assert now.pop("database_transaction_seconds_count") == 6
    requests = {name: value for name, value in now.items() if name.startswith("request_seconds_count")}
    assert requests['request_seconds_count{method="POST",route="/sessions/create",status="201"}'] == 2
    assert requests['request_seconds_count{method="GET",route="/sessions/validate",status="401"}'] == 7
    # A thread of another test's key set may still be at work in this process.
    ours = {name: value for name, value in now.items() if not name.startswith(("key_fetches", "auth_server_calls"))}
    assert {name: value for name, value in ours.items() if name not in requests} == {
        'sign_ins_total{outcome="created"}': 2,
        'sign_ins_total{outcome="session_ended"}': 1,
        'sessions_ended_total{reason="limit"}': 1,
        'sessions_ended_total{reason="logout"}': 1,
        'limit_hits_total{policy="evict_oldest"}': 1,
        'validations_total{outcome="active"}': 1,
        'validations_total{outcome="session_ended"}': 1,
        'validations_total{outcome="token_invalid"}': 4,
        'validations_total{outcome="token_expired"}': 1,
        'validations_total{outcome="token_missing"}': 1,
        'tokens_refused_total{reason="malformed"}': 1,
        'tokens_refused_total{reason="expired"}': 1,
        'tokens_refused_total{reason="signature"}': 1,
        'tokens_refused_total{reason="claims"}': 1,
        'tokens_refused_total{reason="not_yet_valid"}': 1,
        'tokens_refused_total{reason="missing"}': 1,
    }


@pytest.mark.parametrize(
    ("rules", "agents", "counted"),
    [
        ({"SESSION_LIMIT_POLICY": "reject"}, ["Firefox", IPHONE], {
            'sign_ins_total{outcome="session_limit_reached"}': 1, 'limit_hits_total{policy="reject"}': 1}),
        ({"MAX_SIGN_INS_PER_MINUTE": 1}, ["Firefox", IPHONE], {'sign_ins_total{outcome="sign_in_rate_exceeded"}': 1}),
    ],
    ids=["limit", "flood"],
)  # fmt: skip
def test_refused_sign_ins_are_counted(
    make_app: MakeApp, rules: dict[str, object], agents: list[str], counted: Samples
) -> None:
    client = make_app(MAX_SESSIONS_PER_USER=1, **rules).test_client()
    before = read(client)

    for agent in agents:
        headers = {"Authorization": f"Bearer {make_token(74, n=agent)}", "User-Agent": agent}
        client.post("/sessions/create", headers=headers)

    now = grown(before, read(client))
    assert now['sign_ins_total{outcome="created"}'] == 1
    assert counted.items() <= now.items()


def test_adopted_sessions_are_counted_as_such(make_app: MakeApp) -> None:
    client = make_app(UNKNOWN_SESSION_POLICY="adopt").test_client()
    before = read(client)

    client.get("/sessions/validate", headers={"Authorization": f"Bearer {make_token(74)}"})

    now = grown(before, read(client))
    assert (now['sign_ins_total{outcome="adopted"}'], now['validations_total{outcome="active"}']) == (1, 1)


def test_the_purge_is_told_of_by_the_database(app: Flask) -> None:
    client = app.test_client()
    sign_in_with(client)(74)
    before = read(client)

    with app.app_context():
        *_, _done = purge(settings(), now=utcnow() + timedelta(days=8), batch=10)

    now = read(client)
    assert grown(before, now).items() >= {"purge_runs_total": 1, 'purged_total{what="ends"}': 1}.items()
    assert now["session_service_purge_last_run_timestamp_seconds"] == pytest.approx(
        (utcnow() + timedelta(days=8)).timestamp(), abs=60
    )


def test_sessions_that_commands_end_are_counted_in_the_database(app: Flask) -> None:
    client, run = app.test_client(), app.test_cli_runner().invoke
    devices = [sign_in_with(client)(user_id) for user_id in (74, 75, 76, 77)]
    before = read(client)

    assert run(args=["sessions", "end", "--user", "75"]).exit_code == 0
    for _ in range(2):  # a repeat ends nothing
        assert run(args=["sessions", "end", "--session", str(devices[3].id)]).exit_code == 0
    with time_machine.travel(utcnow() + timedelta(days=8)):
        assert run(args=["sessions", "purge"]).exit_code == 0

    now = grown(before, read(client))
    assert {name: value for name, value in now.items() if name.startswith("command_")} == {
        'command_sessions_ended_total{reason="admin"}': 2,
        'command_sessions_ended_total{reason="idle"}': 2,
    }
    assert read(client)['session_service_command_sessions_ended_total{reason="logout"}'] == 0


def test_no_label_holds_what_a_client_chose(make_app: MakeApp) -> None:
    client = make_app().test_client()
    device = sign_in_with(client)(74_747_474)
    known = {name for name in read(client) if "request_seconds" not in name}

    client.open("/sessions/user/74747474?x=74747474", method="BREW", headers=device.headers)
    device.get(f"/sessions/session/{device.id}")
    device.get("/74747474")

    samples = read(client)
    assert "74747474" not in "".join(samples)
    assert {label for name in samples for label in re.findall(r'(\w+)="', name)} <= LABELS
    assert 'session_service_request_seconds_count{method="other",route="none",status="405"}' in samples
    assert {name for name in samples if "request_seconds" not in name} == known


def test_without_a_database_the_rest_is_told() -> None:
    app = create_app(settings(DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing"))

    answer = app.test_client().get("/metrics")

    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    assert "session_service_info" in answer.text
    assert "purge_runs" not in answer.text
