"""A receiver of webhooks with faults, and the file that names it."""

import json
import random
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks import Webhook, WebhookVerificationError

from session_service.clock import utcnow

WEBHOOK_SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0wMDAx"
OLD_SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0cy0wMDAw"

FAULTS = ("500", "404", "302", "silence", "close", "half an answer", "drip", "no HTTP")
"""What a receiver may do instead of taking a message."""

PATIENCE = 0.5
"""Seconds for a call to an endpoint of the tests."""


@dataclass
class Attempt:
    """A message that arrived, and what became of it."""

    endpoint: str
    headers: dict[str, str]
    body: bytes
    fault: str | None
    began_at: float
    ended_at: float | None = None
    """When the sender's connection was closed, or the answer was complete."""

    @property
    def id(self) -> int:
        return int(self.headers["webhook-id"])

    @property
    def message(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        try:
            Webhook(secret).verify(self.body, self.headers)
        except WebhookVerificationError:
            return False
        return True


@dataclass
class Receiver:
    """A server that takes messages at `/NAME`, and notes all of them."""

    url: str
    attempts: list[Attempt] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What to do to the next messages of an endpoint, by name; then they are taken."""
    fault_rate: dict[str, float] = field(default_factory=dict)
    kinds: Sequence[str] = FAULTS
    unsigned: list[int] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    """Ends the fault `late`, which is an answer that comes late."""
    elsewhere: list[str] = field(default_factory=list)
    """Paths that were called by whoever follows redirects."""

    def next_fault(self, endpoint: str) -> str | None:
        if self.faults[endpoint]:
            return self.faults[endpoint].pop(0) or None
        if random.random() < self.fault_rate.get(endpoint, 0):
            return random.choice(self.kinds)
        return None

    def taken(self, endpoint: str) -> list[Attempt]:
        """Return the messages of an endpoint that were answered with 200."""
        return [one for one in list(self.attempts) if one.endpoint == endpoint and one.fault is None]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        endpoint = self.path.strip("/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver = self.server.receiver
        if self.path.startswith("/private"):
            receiver.elsewhere.append(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            fault = receiver.next_fault(endpoint)
            attempt = Attempt(endpoint, headers, body, fault, monotonic())
            if "webhook-id" in headers and not attempt.is_signed_with(WEBHOOK_SECRET):
                receiver.unsigned.append(attempt.id)
            receiver.attempts.append(attempt)
        try:
            with suppress(OSError):
                self._answer(fault)
        finally:
            attempt.ended_at = monotonic()

    def _answer(self, fault: str | None) -> None:
        self.close_connection = True
        match fault:
            case "silence":
                self._until_the_sender_gives_up()
            case "late":
                self.server.receiver.go_on.wait(30)
                self._answer(None)
            case "close":
                self.connection.shutdown(socket.SHUT_RDWR)
            case "half an answer":
                self.wfile.write(b"HTTP/1.1 20")
            case "no HTTP":
                self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            case "drip":
                for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 1_000:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    sleep(0.05)
            case "endless":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
                while True:
                    self.wfile.write(b"x" * 65_536)
            case "302":
                self.send_response(302)
                self.send_header("Location", f"{self.server.receiver.url}/private")
                self.end_headers()
            case _:
                self.send_response(int(fault or "200"))
                self.send_header("Content-Length", "0")
                self.end_headers()

    def _until_the_sender_gives_up(self) -> None:
        self.connection.settimeout(30)
        while self.connection.recv(1):
            pass

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class's parameter
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    receiver: Receiver
    lock: threading.Lock
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: senders are killed."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver on loopback."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        server.lock = threading.Lock()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.receiver
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def tls_server(folder: Path) -> Iterator[tuple[int, str]]:
    """Answer over TLS as `localhost`, with a certificate of its own; give the port and the certificate's path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(utcnow() - timedelta(days=1))
        .not_valid_after(utcnow() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.receiver, server.lock = Receiver(""), threading.Lock()
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port, str(pem)
        finally:
            server.shutdown()
            thread.join()


def entry(receiver: Receiver, name: str, **more: Any) -> dict[str, Any]:
    """Return an endpoint of the file, at the receiver."""
    patient = {"allow_private": True, "timeout_seconds": PATIENCE, "retry_seconds": [0.05] * 20}
    return {"name": name, "url": f"{receiver.url}/{name}", "secret": WEBHOOK_SECRET, **patient, **more}


def write_file(folder: Path, *endpoints: Mapping[str, Any]) -> str:
    """Write a file of endpoints; return its path."""
    path = folder / "webhooks.json"
    path.write_text(json.dumps({"endpoints": endpoints}))
    return str(path)
