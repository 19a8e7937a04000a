"""The receivers of `examples/webhooks`: real servers, and messages of a real deliverer."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import jwt
import urllib3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from standardwebhooks import Webhook

from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT
from tests.harness.processes import free_port, wait_until
from tests.harness.support import MakeApp, sign_in_with
from tests.harness.webhook_loads import deliverer
from tests.harness.webhooks import OLD_SECRET, WEBHOOK_SECRET, write_file

REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"


class Running:
    """A receiver as a process; what it prints is in a file."""

    def __init__(self, url: str, output: Path) -> None:
        self.url, self._output = url, output

    @property
    def printed(self) -> str:
        return self._output.read_text()

    def post(self, body: bytes, headers: dict[str, str]) -> int:
        with urllib3.PoolManager() as http:
            return http.request("POST", self.url, body=body, headers=headers).status


@contextmanager
def example(name: str, folder: Path, **environment: str) -> Iterator[Running]:
    port, output = free_port(), folder / f"{name}.txt"
    command = [sys.executable, "-m", "flask", "--app", f"examples.webhooks.{name}", "run", "--port", str(port)]
    given = environment_with(WEBHOOK_SECRET=WEBHOOK_SECRET, RECEIVER_DATABASE=str(folder / "seen"), **environment)
    running = Running(f"http://127.0.0.1:{port}/hooks/sessions", output)
    with (
        output.open("w") as written,
        subprocess.Popen(command, cwd=PROJECT, env=given, stdout=written, stderr=subprocess.DEVNULL) as process,
    ):
        try:
            wait_until(lambda: answers(running), "the receiver answers", seconds=30)
            yield running
        finally:
            process.kill()


def answers(running: Running) -> bool:
    try:
        return running.post(b"", {}) == 401
    except urllib3.exceptions.HTTPError:
        return False


def signed(body: bytes, message_id: str, secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, now, body.decode()),
    }


def endpoint(running: Running) -> dict[str, object]:
    return {"name": "mail", "url": running.url, "secret": WEBHOOK_SECRET, "allow_private": True}


def wait_for_metric(app: Flask, line: str) -> None:
    client = app.test_client()
    wait_until(lambda: line in client.get("/metrics").text, line)


def test_a_new_device_gives_one_mail(make_app: MakeApp, database_url: str, tmp_path: Path) -> None:
    app = make_app()
    with example("receiver", tmp_path) as receiver:
        file = write_file(tmp_path, endpoint(receiver))
        with deliverer(database_url, file):
            wait_for_metric(app, 'session_service_webhook_parked{endpoint="mail"} 0.0')
            sign_in = sign_in_with(app.test_client())
            first = sign_in()
            sign_in()  # the same device again
            wait_for_metric(app, 'deliveries_total{endpoint="mail",outcome="delivered"} 3.0')
        replayed = app.test_cli_runner().invoke(args=["webhooks", "replay", "--since", first.session["created_at"]])
        with deliverer(database_url, file):
            wait_for_metric(app, 'deliveries_total{endpoint="mail",outcome="delivered"} 6.0')
        printed = receiver.printed

    assert replayed.output == "endpoints that begin again: mail\n"
    mails = [line for line in printed.splitlines() if line.startswith("To:")]
    assert mails == ["To: the user 74"]
    assert "Chrome on Windows 10, on " in printed
    assert "from 203.0.113.7." in printed


def test_the_receiver_refuses_what_is_not_signed(tmp_path: Path) -> None:
    data = {"new_device": True, "user_id": 1, "device_name": "x", "session": None}
    body = json.dumps({"type": "session.created", "timestamp": "then", "data": data}).encode()
    good = signed(body, "1")
    with example("receiver", tmp_path) as receiver:
        assert receiver.post(body, {}) == 401
        assert receiver.post(body, signed(body, "1", OLD_SECRET)) == 401
        assert receiver.post(body + b" ", good) == 401
        assert receiver.post(body, {**good, "webhook-id": "2"}) == 401
        assert receiver.post(body, {**good, "webhook-timestamp": "1"}) == 401
        assert receiver.post(body, {**good, "webhook-signature": "rubbish"}) == 401
        assert "To:" not in receiver.printed

        assert [receiver.post(body, good), receiver.post(body, good)] == [204, 204]
        assert receiver.printed.count("To:") == 1


def test_an_end_becomes_a_security_event_token(make_app: MakeApp, database_url: str, tmp_path: Path) -> None:
    app, key = make_app(), ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    names = {"SET_ISSUER": "https://sessions.example.com", "SET_AUDIENCE": "https://receiver.example.com"}
    with example("security_events", tmp_path, SET_PRIVATE_KEY=pem, **names) as receiver:
        file = write_file(tmp_path, endpoint(receiver))
        with deliverer(database_url, file):
            wait_for_metric(app, 'session_service_webhook_parked{endpoint="mail"} 0.0')
            device = sign_in_with(app.test_client())()
            device.delete("/sessions/logout")
            wait_for_metric(app, 'deliveries_total{endpoint="mail",outcome="delivered"} 2.0')
        (token,) = [line for line in receiver.printed.splitlines() if line.startswith("ey")]

    assert jwt.get_unverified_header(token)["typ"] == "secevent+jwt"
    claims = jwt.decode(token, key.public_key(), ["ES256"], audience=names["SET_AUDIENCE"], issuer=names["SET_ISSUER"])
    # RFC 8417 section 2.2: these, and no `exp` that would make it look like an access token.
    assert claims.keys() == {"iss", "aud", "jti", "iat", "sub_id", "events"}
    event = claims["events"][REVOKED]
    assert event["initiating_entity"] == "user"
    assert event["reason_admin"] == {"en": "The user signed out."}
    assert abs(event["event_timestamp"] - datetime.now(UTC).timestamp()) < 120
    assert claims["sub_id"]["session"] == {"format": "opaque", "id": str(device.id)}
    assert claims["sub_id"]["user"] == {"format": "iss_sub", "iss": names["SET_ISSUER"], "sub": "74"}
