"""Requests that nobody means well with, one a row, each with its reason: for a client, and as bytes for a socket."""

import base64
import gzip
from typing import Any

from flask import Flask
from sqlalchemy import text

from session_service.database.engine import db
from session_service.database.models import UserSession
from tests.harness.support import CHROME, basic, make_token

CREDENTIALS = {"backend": "a-secret-of-the-backend"}
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
DEEP = 100_000
Sent = dict[str, Any]

Row = tuple[str, Sent, tuple[int, str]]
"""The reason, the request, and what it is answered."""


def create(data: bytes | str, content_type: str | None = JSON, **more: Any) -> Sent:
    return {"method": "POST", "path": "/sessions/create", "data": data, "content_type": content_type, **more}


def get(path: str, **more: Any) -> Sent:
    return {"method": "GET", "path": path, **more}


def field(value: str, name: str = "browser") -> bytes:
    return b'{"%s": %s}' % (name.encode(), value.encode())


BAD_JSON = (400, "invalid_json")
BAD_FIELD = (422, "validation_failed")
BAD_TYPE = (415, "unsupported_media_type")
TOO_LARGE = (413, "body_too_large")
NO_SESSION = (404, "session_not_found")
NO_PATH = (404, "not_found")
NO_METHOD = (405, "method_not_allowed")
NO_TOKEN = (401, "token_missing")
BAD_TOKEN = (401, "token_invalid")

BODIES: dict[str, Row] = {
    "cut off": ("a parser that guesses the rest", create("{"), BAD_JSON),
    "an array": ("code that takes any JSON for an object", create("[]"), BAD_FIELD),
    "a text": ("the same", create('"browser"'), BAD_FIELD),
    "a number": ("the same", create("1"), BAD_FIELD),
    "false": ("falsy values that pass for no body", create("false"), BAD_FIELD),
    "NaN": ("RFC 8259 6: no number, and nobody's database takes it", create(field("NaN")), BAD_JSON),
    "Infinity": ("RFC 8259 6", create(field("-Infinity")), BAD_JSON),
    "1e999": ("infinity in other words", create(field("1e999")), BAD_FIELD),
    "a name twice": ("RFC 7493 2.3: two parsers, two meanings", create('{"browser": "a", "browser": "b"}'), BAD_JSON),
    "a name twice, escaped": ("the same behind an escape", create('{"browser": "a", "brow\\u0073er": "b"}'), BAD_JSON),
    "brackets, deep": ("CWE-674: recursion", create("[" * (DEEP // 10)), BAD_JSON),
    "brackets, deep and closed": ("CWE-674", create("[" * 8_000 + "]" * 8_000), BAD_JSON),
    "objects, deep": ("CWE-674", create('{"a":' * 3_000), BAD_JSON),
    "100,000 brackets": ("larger than is read at all", create("[" * DEEP), TOO_LARGE),
    "NUL": ("PostgreSQL holds no NUL in a text", create(field('"a\\u0000b"')), BAD_FIELD),
    "a lone surrogate": ("no UTF-8 for it, in either database", create(field('"\\ud800"')), BAD_FIELD),
    "a lone surrogate for a name": ("the same, in the error's own body", create('{"\\udfff": 1}'), BAD_JSON),
    "NUL for a name": ("the same", create('{"\\u0000": 1}'), BAD_JSON),
    "no UTF-8": ("RFC 8259 8.1", create(b'{"browser": "\xff"}'), BAD_JSON),
    "overlong UTF-8": ("CVE-2000-0884's trick", create(b'{"browser": "\xc0\xaf"}'), BAD_JSON),
    "UTF-16": ("RFC 8259 8.1", create('{"browser": "a"}'.encode("utf-16"), f"{JSON}; charset=utf-16"), BAD_JSON),
    "a byte order mark": ("RFC 8259 8.1", create(b"\xef\xbb\xbf{}"), BAD_JSON),
    "gzip": ("CWE-409: a bomb", create(gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}), BAD_JSON),
    "5,000 digits": ("CVE-2020-10735: quadratic conversion", create(field("9" * 5_000)), BAD_JSON),
    "a comment": ("JSON5 is no JSON", create("{/**/}"), BAD_JSON),
    "something after it": ("two documents", create("{}{}"), BAD_JSON),
    "a number for a text": ("types are not converted", create(field("5")), BAD_FIELD),
    "a list for a text": ("the same", create(field('["a"]')), BAD_FIELD),
    "an object for a text": ("NoSQL's kind of injection", create(field('{"$gt": ""}')), BAD_FIELD),
    "true for a text": ("the same", create(field("true")), BAD_FIELD),
    "256 characters": ("texts have 255", create(field('"' + "x" * 256 + '"')), BAD_FIELD),
    "an unknown field": ("mass assignment, CWE-915", create(field("1", "user_id")), BAD_FIELD),
    "a column": ("mass assignment", create(field('"2100-01-01"', "expires_at")), BAD_FIELD),
    "__proto__": ("prototype pollution further on", create(field("{}", "__proto__")), BAD_FIELD),
    "16 kB and a byte": ("the limit", create(b" " * 16_385), TOO_LARGE),
    "16 MB": ("CWE-770", create(b" " * 16 * 1024 * 1024), TOO_LARGE),
    "plain text": ("a simple request of any page (Fetch standard)", create("{}", "text/plain"), BAD_TYPE),
    "a form": ("CSRF's favourite", create("browser=a", FORM), BAD_TYPE),
    "multipart": ("another parser's trouble", create("--x--", "multipart/form-data; boundary=x"), BAD_TYPE),
    "no type": ("nothing is guessed", create("{}", None), BAD_TYPE),
    "nearly JSON": ("a prefix is no match", create("{}", "application/jsonp"), BAD_TYPE),
    "a body where none is read": (
        "13 kB more than anybody has to say",
        {"method": "DELETE", "path": "/sessions/logout", "data": b"x" * 17_000},
        TOO_LARGE,
    ),
}

IDS = {
    "zero": "0",
    "negative": "-1",
    "2^63": str(2**63),
    "2^63-1": str(2**63 - 1),
    "2^64": str(2**64),
    "5,000 digits": "9" * 5_000,
    "a float": "1.0",
    "an exponent": "1e0",
    "hexadecimal": "0x1",
    "a plus": "+1",
    "a leading zero": "01",
    "a blank": "%201",
    "a line break": "1%0a",
    "Arabic digits": "%D9%A1",
    "fullwidth digits": "%EF%BC%91",
    "a superscript": "%C2%B9",
    "NUL": "1%00",
    "SQL": "1%20OR%201=1",
    "a template": "%7B%7B7*7%7D%7D",
    "no UTF-8": "%ff",
}

QUERIES = {
    "yes": "include_inactive=yes",
    "on": "include_inactive=on",
    "2": "include_inactive=2",
    "nothing": "include_inactive=",
    "null": "include_inactive=null",
    "a blank": "include_inactive=%20true",
    "NUL": "include_inactive=true%00",
    "twice": "include_inactive=true&include_inactive=true",
    "twice, escaped": "include_inactive=true&include%5Finactive=false",
}

OTHERS: dict[str, Row] = {
    "a slash twice": ("a gateway that matches by prefix", get("//sessions/my-sessions"), NO_PATH),
    "a slash at the end": ("two names for one thing", get("/sessions/my-sessions/"), NO_PATH),
    "capitals": ("the same", get("/Sessions/my-sessions"), NO_PATH),
    "dots": ("CWE-22", get("/sessions/../sessions/my-sessions"), NO_PATH),
    "escaped dots": ("CWE-22", get("/docs/%2e%2e%2fapp.py"), NO_PATH),
    "dots to a file": ("CWE-22", get("/docs/../../../../etc/passwd"), NO_PATH),
    "a backslash": ("CWE-22 elsewhere", get("/docs/..%5capp.py"), NO_PATH),
    "NUL in the path": ("CWE-158", get("/docs/docs.js%00.html"), NO_PATH),
    "a matrix parameter": ("ignored by some gateways", get("/sessions/my-sessions;x=1"), NO_PATH),
    "8 kB of path": ("CWE-770", get("/" + "x" * 8_000), NO_PATH),
    "the framework's files": ("Flask's default folder", get("/static/docs.html"), NO_PATH),
    "PUT": ("no such method here", {"method": "PUT", "path": "/sessions/my-sessions"}, NO_METHOD),
    "TRACE": ("cross-site tracing", {"method": "TRACE", "path": "/sessions/my-sessions"}, NO_METHOD),
    "a method of its own": ("a table that is indexed by it", {"method": "FOO", "path": "/healthz"}, NO_METHOD),
    "a method by header": (
        "X-HTTP-Method-Override",
        get("/sessions/logout", headers={"X-HTTP-Method-Override": "DELETE"}),
        NO_METHOD,
    ),
    "9 kB of token": (
        "CWE-770",
        get("/sessions/my-sessions", headers={"Authorization": "Bearer " + "x" * 9_000}),
        BAD_TOKEN,
    ),
    "a token of brackets": (
        "CWE-674, in the header of a token",
        get(
            "/sessions/my-sessions",
            headers={"Authorization": f"Bearer {base64.urlsafe_b64encode(b'[' * 2_900).decode()}.e30.e30"},
        ),
        BAD_TOKEN,
    ),
    "a token in the query": (
        "it would be in every log on the way",
        get(f"/sessions/my-sessions?token={make_token()}&access_token={make_token()}", headers={"Authorization": ""}),
        NO_TOKEN,
    ),
    "a token in a cookie": (
        "CSRF",
        get("/sessions/my-sessions", headers={"Authorization": "", "Cookie": f"access_token_cookie={make_token()}"}),
        NO_TOKEN,
    ),
    "a token in a form": (
        "RFC 6750 2.2",
        create(f"access_token={make_token()}", FORM, headers={"Authorization": ""}),
        NO_TOKEN,
    ),
    "letters beyond ASCII for Basic": (
        "a decoder that raises something of its own",
        {"method": "POST", "path": "/sessions/introspect", "headers": {"Authorization": "Basic \xe9\xe9"}},
        (401, "service_required"),
    ),
    "a NUL in Basic": (
        "a database that is asked for it",
        get("/sessions/user/74", headers=basic("a\0", "b\0")),
        (401, "service_required"),
    ),
    "a name without a secret": (
        "an empty secret that equals an absent one",
        get("/sessions/user/74", headers=basic("nobody", "")),
        (401, "service_required"),
    ),
}

TABLE: dict[str, Row] = {
    **{f"body: {name}": row for name, row in BODIES.items()},
    **{f"session id: {name}": ("no id", get(f"/sessions/session/{one}"), NO_SESSION) for name, one in IDS.items()},
    **{
        f"end of session id: {name}": ("no id", {"method": "DELETE", "path": f"/sessions/session/{one}"}, NO_SESSION)
        for name, one in IDS.items()
    },
    **{
        f"user id: {name}": ("no id", get(f"/sessions/user/{one}"), BAD_FIELD)
        for name, one in IDS.items()
        if name != "2^63-1"
    },
    **{
        f"query: {name}": ("no switch", get(f"/sessions/my-sessions?{one}"), BAD_FIELD) for name, one in QUERIES.items()
    },
    **OTHERS,
}

TOKEN = make_token(74, role="admin")
HEAD = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\nUser-Agent: {CHROME}\r\nContent-Type: {JSON}\r\n"
POST = f"POST /sessions/create HTTP/1.1\r\n{HEAD}"
GET = f"GET /sessions/my-sessions HTTP/1.1\r\n{HEAD}"

RAW: dict[str, tuple[str, str, set[int]]] = {
    "no HTTP at all": ("a port scanner", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
    "only line breaks": ("a parser that waits", "\r\n\r\n\r\n", {400}),
    "an unknown version": ("RFC 9112 2.3", "GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n", {400}),
    "HTTP/0.9": ("no headers, no length", "GET /healthz\r\n", {400}),
    "a method of odd letters": ("RFC 9110 5.6.2", "GE\x00T /healthz HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "a request line of 9 kB": ("CWE-770", f"GET /{'x' * 9_000} HTTP/1.1\r\nHost: x\r\n\r\n", {400, 414}),
    "a header of 9 kB": ("CWE-770", f"{GET}X: {'x' * 9_000}\r\n\r\n", {400, 431}),
    "a token of 9 kB": (
        "CWE-770",
        f"GET /sessions/validate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {'x' * 9_000}\r\n\r\n",
        {400, 431},
    ),
    "too many headers": ("CWE-770", GET + "".join(f"X-{n}: 1\r\n" for n in range(200)) + "\r\n", {400, 431}),
    "a blank before the colon": ("RFC 9112 5.1: smuggling", f"{GET}Content-Length : 5\r\n\r\n", {400}),
    "a header that goes on": ("RFC 9112 5.2: obs-fold", f"{GET}X: a\r\n b\r\n\r\n", {400}),
    "a NUL in a header": ("RFC 9110 5.5", f"{GET}X: a\x00b\r\n\r\n", {400}),
    "a bare carriage return": ("RFC 9112 2.2: smuggling", f"{GET}X: a\rb\r\n\r\n", {400}),
    "a header without a name": ("RFC 9112 5", f"{GET}: x\r\n\r\n", {400}),
    "a length that is no number": ("RFC 9112 6.3", f"{POST}Content-Length: abc\r\n\r\n", {400}),
    "a negative length": ("RFC 9112 6.3", f"{POST}Content-Length: -1\r\n\r\n{{}}", {400}),
    "a length with a plus": ("RFC 9112 6.3: smuggling", f"{POST}Content-Length: +2\r\n\r\n{{}}", {400}),
    "a length of 5,000 digits": ("CVE-2020-10735", f"{POST}Content-Length: {'9' * 5_000}\r\n\r\n{{}}", {400, 413}),
    "two lengths": ("RFC 9112 6.3: smuggling", f"{POST}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}} ", {400}),
    "a length and chunks": (
        "RFC 9112 6.1: smuggling",
        f"{POST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
        {400},
    ),
    "chunked, twice": (
        "RFC 9112 6.1",
        f"{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        {400},
    ),
    "chunked in disguise": ("smuggling", f"{POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", {400}),
    "a chunk size that is no number": (
        "RFC 9112 7.1",
        f"{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n",
        {400},
    ),
    "an unknown transfer coding": ("RFC 9112 6.1 has 501 for it", f"{POST}Transfer-Encoding: x\r\n\r\n", {400}),
    "a token for a transfer coding": ("it would be in the log", f"{POST}Transfer-Encoding: {TOKEN}\r\n\r\n", {400}),
    "a header without a colon": (
        "the token in it would be in the log",
        f"GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {TOKEN}\r\n\r\n",
        {400},
    ),
    "a terminal's escape for a method": ("CWE-150: in the log", "G\x1b[31mET / HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    "an expectation": ("RFC 9110 10.1.1", f"{POST}Expect: the-unexpected\r\nContent-Length: 2\r\n\r\n{{}}", {417}),
    "a token in the query of a broken request": (
        "it would be in the log",
        f"GET /?token={TOKEN} HTTP/7\r\n\r\n",
        {400},
    ),
    "a negative chunk": ("RFC 9112 7.1", f"{POST}Transfer-Encoding: chunked\r\n\r\n-2\r\n{{}}\r\n0\r\n\r\n", {400}),
    "chunks that end early": ("lying lengths", f"{POST}Transfer-Encoding: chunked\r\n\r\nff\r\n{{}}", {400}),
    "no last chunk": ("lying lengths", f"{POST}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n", {400}),
    "a length that is too long": ("lying lengths", f"{POST}Content-Length: 900\r\n\r\n{{}}", {400}),
    "chunks over 16 kB": (
        "a limit that looks at the announced length alone",
        f"{POST}Transfer-Encoding: chunked\r\n\r\n5000\r\n{'x' * 0x5000}\r\n0\r\n\r\n",
        {413},
    ),
    "16 MB announced": ("CWE-770", f"{POST}Content-Length: {16 * 1024 * 1024}\r\n\r\n", {413}),
    "CONNECT": ("a proxy it is not", "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404, 405}),
    "another host's address": ("RFC 9112 3.2.2", f"GET http://example.com/nowhere HTTP/1.1\r\n{HEAD}\r\n", {400, 404}),
    "an underscore for a dash": (
        "CGI's names: X_Forwarded_For as X-Forwarded-For",
        "GET /sessions/validate HTTP/1.1\r\nHost: x\r\nAuthorization_: Bearer x\r\nX_Forwarded_For: 1.1.1.1\r\n\r\n",
        {400, 401},
    ),
}


def tables(app: Flask) -> list[Any]:
    """Return all that is on record, but for when it was used."""
    columns = ", ".join(column.name for column in UserSession.__table__.columns if column.name != "last_activity")
    with app.app_context():
        return [
            list(db.session.execute(text(statement)))
            for statement in (
                f"SELECT {columns} FROM sessions ORDER BY id",
                "SELECT token_key, session_id FROM session_tokens ORDER BY session_id, token_key",
                "SELECT user_id FROM session_owners ORDER BY user_id",
            )
        ]
