"""The caller of a request: its key, its token's `exp`, and the address that the service is told."""

import base64
import json

import pytest

from session_client.caller import Caller, bearer_of, expiry_of, forwarded_for, key_of
from session_client.web import caller_of_environ, caller_of_scope, hops_of

CALLER = Caller("Bearer abc", "Firefox", "192.0.2.1")


def token(payload: object) -> str:
    return "e30." + base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=").decode() + ".sig"


def test_the_key_is_of_token_user_agent_and_forwarded_for() -> None:
    others = [
        CALLER._replace(authorization="Bearer abd"),
        CALLER._replace(authorization=None),
        CALLER._replace(user_agent="Chrome"),
        CALLER._replace(user_agent=None),
        CALLER._replace(user_agent=""),
        CALLER._replace(forwarded_for="192.0.2.2"),
        CALLER._replace(forwarded_for=None),
        CALLER._replace(forwarded_for=""),
        # The same characters, divided otherwise.
        Caller("Bearer abcF", "irefox", "192.0.2.1"),
        Caller("Bearer abc", "Firefox1", "92.0.2.1"),
        Caller("None", None, None),
        Caller(None, "None", None),
    ]

    keys = {key_of(one) for one in [CALLER, *others]}

    assert len(keys) == len(others) + 1
    assert key_of(Caller(*CALLER)) == key_of(CALLER)
    assert key_of(CALLER._replace(platform_version="15")) == key_of(CALLER)
    assert b"abc" not in key_of(CALLER)
    assert len(key_of(CALLER._replace(user_agent="\ud800"))) == 32


@pytest.mark.parametrize(
    ("authorization", "found"),
    [("Bearer x.y", "x.y"), ("bearer  x ", "x"), ("Basic x", ""), ("x", ""), ("", ""), (None, "")],
)
def test_a_bearer_token_is_found(authorization: str | None, found: str) -> None:
    assert bearer_of(authorization) == found


def test_the_exp_of_a_token_is_read_as_an_integer() -> None:
    assert expiry_of(token({"exp": 1_700_000_000})) == 1_700_000_000
    assert expiry_of(token({"exp": 131_327_049_600})) == 131_327_049_600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c",
        "a.é.c",
        token([]),
        token({}),
        token({"exp": None}),
        token({"exp": True}),
        token({"exp": "1"}),
        token({"exp": 1.5}),
        token({"exp": 1, "x": "y" * 5_000}),
        "e30." + base64.urlsafe_b64encode(b"[" * 3_000).decode() + ".sig",
    ],
)
def test_an_exp_that_cannot_be_read_is_none(text: str) -> None:
    assert expiry_of(text) is None


@pytest.mark.parametrize(
    ("peer", "header", "hops", "sent"),
    [
        ("192.0.2.9", None, 0, "192.0.2.9"),
        ("192.0.2.9", "203.0.113.1", 0, "192.0.2.9"),
        ("10.0.0.1", "203.0.113.1", 1, "203.0.113.1"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.1", 1, "203.0.113.1"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.1, 10.0.0.2", 2, "203.0.113.1, 10.0.0.2"),
        ("10.0.0.1", "203.0.113.1", 2, "10.0.0.1, 10.0.0.1"),
        ("10.0.0.1", None, 1, "10.0.0.1"),
        ("10.0.0.1", "", 1, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.1, ", 1, "10.0.0.1"),
        ("", None, 0, None),
        (None, "203.0.113.1", 0, None),
        (None, "203.0.113.1", 1, "203.0.113.1"),
    ],
)
def test_what_a_browser_sends_is_never_told_as_its_address(
    peer: str | None, header: str | None, hops: int, sent: str | None
) -> None:
    assert forwarded_for(peer, header, hops) == sent


def test_the_caller_of_a_wsgi_and_of_an_asgi_request_is_the_same() -> None:
    environ = {
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_AUTHORIZATION": "Bearer abc",
        "HTTP_USER_AGENT": "Firefox",
        "HTTP_X_FORWARDED_FOR": "6.6.6.6",
        "HTTP_SEC_CH_UA_PLATFORM_VERSION": '"15.0.0"',
    }
    headers = [
        (b"authorization", b"Bearer abc"),
        (b"user-agent", b"Firefox"),
        (b"x-forwarded-for", b"6.6.6.6"),
        (b"sec-ch-ua-platform-version", b'"15.0.0"'),
        (b"cookie", b"x"),
    ]

    found = caller_of_environ(environ, 0)

    assert found == caller_of_scope(headers, "192.0.2.1", 0) == CALLER._replace(platform_version='"15.0.0"')
    assert caller_of_scope([*headers, (b"x-forwarded-for", b"7.7.7.7")], "192.0.2.1", 1).forwarded_for == "7.7.7.7"
    assert caller_of_scope([], None, 0) == Caller(None, None, None)
    assert Caller(None, None, None).headers == {}


def test_headers_are_sent_without_characters_that_no_header_may_have() -> None:
    caller = CALLER._replace(user_agent=" Fire\r\nX-Forwarded-For: 6.6.6.6\x00fox\xe9 ")

    assert caller.headers["User-Agent"] == "Fire X-Forwarded-For: 6.6.6.6 fox\xe9"
    assert caller.with_token("new").headers["Authorization"] == "Bearer new"


@pytest.mark.parametrize(("text", "hops"), [("", 0), ("0", 0), ("2", 2)])
def test_the_number_of_gateways_is_read_from_the_environment(text: str, hops: int) -> None:
    assert hops_of({"BEHIND_GATEWAY": text}) == hops


@pytest.mark.parametrize("text", ["true", "-1", "10", " 1", "\u0661"])
def test_another_number_of_gateways_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="BEHIND_GATEWAY"):
        hops_of({"BEHIND_GATEWAY": text})
