"""A real auth server for tests, on a loopback port: it publishes keys, knows roles, counts calls, fails on demand."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from time import sleep
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.harness.support import FAR_AWAY

KINDS: dict[str, tuple[Callable[[], Any], Any]] = {
    "RS256": (lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
}


@dataclass(frozen=True)
class SigningKey:
    """A key pair with a name."""

    kid: str | None
    algorithm: str = "ES256"
    private: Any = None

    @classmethod
    def make(cls, kid: str | None, algorithm: str = "ES256") -> "SigningKey":
        return cls(kid, algorithm, KINDS[algorithm][0]())

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as it is published."""
        published = KINDS[self.algorithm][1].to_jwk(self.private.public_key(), as_dict=True)
        named = {"kid": self.kid} if self.kid is not None else {}
        return {**published, "use": "sig", "alg": self.algorithm, **named}

    def sign(self, user_id: int = 74, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return an access token."""
        named = {"kid": self.kid} if self.kid is not None else {}
        payload = {"sub": str(user_id), "exp": FAR_AWAY, **claims}
        return jwt.encode(payload, self.private, algorithm=self.algorithm, headers={**named, **(headers or {})})


@dataclass
class AuthServer:
    """What the server answers, and what it was asked."""

    url: str
    keys: list[SigningKey] = field(default_factory=list)
    roles: dict[str, Any] = field(default_factory=dict)
    """What `/me` answers, by token."""
    answer_keys: Callable[[BaseHTTPRequestHandler], bool] | None = None
    """Answers instead of the key set; false to go on with it."""
    answer_me: Callable[[BaseHTTPRequestHandler], bool] | None = None
    asked: Counter[str] = field(default_factory=Counter)
    released: threading.Event = field(default_factory=threading.Event)
    """Ends all hanging."""

    @property
    def key_set_url(self) -> str:
        return f"{self.url}/keys"

    @property
    def me_url(self) -> str:
        return f"{self.url}/me"


def send(handler: BaseHTTPRequestHandler, body: bytes | str | object, status: int = 200, **headers: str) -> bool:
    """Answer with *body*: bytes as they are, a text in UTF-8, anything else as JSON."""
    data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(data)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)
    return True


def hang(server: AuthServer) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Return an answer that does not come; once `released` is set, the connection is closed instead."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        server.released.wait()
        return hang_up(handler)

    return answer


def hang_up(handler: BaseHTTPRequestHandler) -> bool:
    """Close the connection instead of answering."""
    handler.connection.shutdown(SHUT_RDWR)
    handler.close_connection = True
    return True


def trickle(server: AuthServer, *, in_headers: bool) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Return an answer that comes byte by byte, until `released` is set; then the connection is closed."""

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if in_headers:
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        else:
            handler.send_response(200)
            handler.end_headers()
        while not server.released.is_set():
            handler.wfile.write(b" ")
            handler.wfile.flush()
            sleep(0.1)
        return hang_up(handler)

    return answer


@contextmanager
def auth_server() -> Iterator[AuthServer]:
    """Run an auth server until the caller is done."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.asked[self.path] += 1
            try:
                self.answer()
            except OSError:
                self.close_connection = True  # whoever asked is gone

        def answer(self) -> None:
            if self.path == "/keys":
                if not (server.answer_keys and server.answer_keys(self)):
                    send(self, {"keys": [key.jwk for key in server.keys]})
            elif self.path == "/me":
                if not (server.answer_me and server.answer_me(self)):
                    token = self.headers["Authorization"].removeprefix("Bearer ")
                    user = {"id": 74, "password": "$2b$12$an-example-of-a-hash", "role": server.roles.get(token)}
                    send(self, user)
            else:
                send(self, "elsewhere", 404)

        def log_message(self, *_args: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server = AuthServer(f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            http.shutdown()
            thread.join()
