"""Two workers behind the gateway, and connections that are used again: both say the same of every device."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from time import monotonic

import pytest
from urllib3 import BaseHTTPResponse

from tests.harness.gateway import LIMIT, Device, Gateway, problem_code
from tests.harness.support import ANDROID, CHROME, EDGE, FIREFOX, IPHONE, make_token

REFRESHED = count(1)


def answers_of_both_workers(
    devices: Sequence[Device], method: str, path: str, *, seconds: float = 20
) -> list[BaseHTTPResponse]:
    """Return answers to the same call from *devices*, made side by side until each of the workers gave some."""
    responses: list[BaseHTTPResponse] = []
    deadline = monotonic() + seconds
    with ThreadPoolExecutor(8) as pool:
        while monotonic() < deadline:
            # Side by side, for one after the other the gateway would use one connection, and that is one worker's.
            responses += pool.map(lambda device: device.call(method, path), [*devices] * 8)
            if len(devices[0].gateway.workers_of(responses)) == 2:
                return responses
    raise AssertionError(f"one worker gave all {len(responses)} answers within {seconds} s")


def test_devices_that_sign_in_at_once_are_listed_alike_by_both_workers(gateway: Gateway) -> None:
    agents = (CHROME, EDGE, IPHONE, FIREFOX, ANDROID)
    devices = [
        Device(gateway, make_token(74, n=number), f"127.0.0.{10 + number}", agent)
        for number, agent in enumerate(agents)
    ]

    with ThreadPoolExecutor(len(devices)) as pool:
        created = [session["id"] for session in pool.map(Device.sign_in, devices)]

    newest = sorted(created, reverse=True)[:LIMIT]
    remaining = [device for device, session_id in zip(devices, created, strict=True) if session_id in newest]
    answers = answers_of_both_workers(remaining, "GET", "/sessions/my-sessions")
    assert {tuple(sorted((session["id"] for session in one.json()), reverse=True)) for one in answers} == {
        tuple(newest)
    }


def test_no_worker_admits_a_device_once_its_end_is_acknowledged(gateway: Gateway) -> None:
    laptop = Device(gateway, make_token(74, n=1), user_agent=CHROME)
    phone = Device(gateway, make_token(74, n=2), user_agent=IPHONE)
    lost = phone.sign_in()
    laptop.sign_in()
    answers = answers_of_both_workers([phone], "GET", "/sessions/my-sessions")
    assert {one.status for one in answers} == {200}

    ended = laptop.call("DELETE", f"/sessions/session/{lost['id']}")

    assert ended.json() == {"success": True, "message": "Session closed successfully"}
    answers = answers_of_both_workers([phone], "GET", "/sessions/my-sessions")
    assert {(one.status, problem_code(one)) for one in answers} == {(401, "session_ended")}


def test_head_gives_the_headers_of_get_and_no_body(gateway: Gateway) -> None:
    device = Device(gateway, make_token(74))
    session = device.sign_in()

    answers = [device.call(method, f"/sessions/session/{session['id']}") for method in ("GET", "HEAD")]

    assert [answer.status for answer in answers] == [200, 200]
    assert [len(answer.data) for answer in answers] == [int(answers[0].headers["Content-Length"]), 0]
    for name in ("Content-Type", "Content-Length", "Cache-Control", "Access-Control-Allow-Origin"):
        assert answers[0].headers[name] == answers[1].headers[name]


def test_head_without_a_token_is_refused_without_a_body(gateway: Gateway) -> None:
    response = Device(gateway).call("HEAD", "/sessions/my-sessions")

    assert (response.status, response.data) == (401, b"")
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("kilobytes", [17, 60, 120, 900])
@pytest.mark.parametrize(
    ("token", "status", "code"),
    [(make_token(75), 413, "body_too_large"), (None, 401, "token_missing")],
    ids=["413", "401"],
)
def test_a_refused_body_does_not_fail_the_next_callers_call(
    gateway: Gateway, kilobytes: int, token: str | None, status: int, code: str
) -> None:
    """The gateway uses its connection to a worker again, so the next caller meets what the last one left there."""
    bystander = Device(gateway, make_token(74))
    session = bystander.sign_in()

    for _ in range(10):
        refused = Device(gateway, token).call(
            "POST", "/sessions/create", body=b"x" * kilobytes * 1_000, headers={"Content-Type": "application/json"}
        )
        assert (refused.status, problem_code(refused)) == (status, code)
        touched = bystander.call("POST", "/sessions/update-activity")
        assert (touched.status, touched.json()["id"]) == (200, session["id"])


def refreshed(device: Device) -> Device:
    """Return the same device with a token that its auth server refreshed: new text of the same shape."""
    return replace(device, token=make_token(74, refreshed=next(REFRESHED)))


def current(device: Device) -> int | str | None:
    """Return which session both workers say that a device is signed in with, or the code with which both refuse it."""
    answers = answers_of_both_workers([device], "GET", "/sessions/validate")
    (said,) = {one.headers.get("X-Session-Code") or int(one.headers["X-Session-Id"]) for one in answers}
    return said


def ended(device: Device) -> dict[int, str]:
    """Return why sessions of the user's have ended."""
    listed = device.call("GET", "/sessions/my-sessions?include_inactive=true")
    assert listed.status == 200, listed.data
    return {one["id"]: one["end_reason"] for one in listed.json() if not one["is_active"]}


FINGERPRINT = {"device_fingerprint": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA"}


def test_two_sign_ins_in_one_second_share_a_token_and_each_signs_out_itself(gateway: Gateway) -> None:
    token = make_token(74)
    desk, phone = Device(gateway, token), Device(gateway, token, "127.0.0.2", IPHONE)
    at_desk, on_phone = desk.sign_in(FINGERPRINT)["id"], phone.sign_in(FINGERPRINT)["id"]
    assert (current(desk), current(phone)) == (at_desk, on_phone)

    assert phone.call("DELETE", "/sessions/logout").status == 200

    assert (current(desk), current(phone)) == (at_desk, "session_ended")
    assert ended(desk) == {on_phone: "logout"}


def test_a_refreshed_token_is_the_same_device_and_signs_it_out(gateway: Gateway) -> None:
    phone, desk = Device(gateway, make_token(74, n=1), user_agent=IPHONE), Device(gateway, make_token(74, n=2))
    on_phone, at_desk = phone.sign_in(FINGERPRINT)["id"], desk.sign_in(FINGERPRINT)["id"]
    later = refreshed(phone)
    assert current(later) == on_phone

    assert later.call("DELETE", "/sessions/logout").status == 200
    assert later.call("DELETE", "/sessions/logout").status == 200

    assert (current(phone), current(later), current(desk)) == ("session_ended", "session_ended", at_desk)
    assert ended(desk) == {on_phone: "logout"}


@pytest.mark.parametrize("spelling", ["bearer {}", "Bearer   {}", "Bearer {}=", "Bearer {} "])
def test_a_token_of_an_ended_session_is_refused_however_it_is_spelt(gateway: Gateway, spelling: str) -> None:
    desk, phone = Device(gateway, make_token(74, n=1)), Device(gateway, make_token(74, n=2), user_agent=IPHONE)
    on_phone = phone.sign_in()["id"]
    desk.sign_in()
    assert desk.call("DELETE", f"/sessions/session/{on_phone}").status == 200

    answer = phone.call("GET", "/sessions/my-sessions", headers={"Authorization": spelling.format(phone.token)})

    assert answer.status == 401


def test_every_browser_sends_one_fingerprint_and_each_is_told_by_its_user_agent(gateway: Gateway) -> None:
    browsers = [
        Device(gateway, make_token(74, n=n), user_agent=agent) for n, agent in enumerate((CHROME, EDGE, FIREFOX))
    ]
    ids = [browser.sign_in(FINGERPRINT)["id"] for browser in browsers]
    later = [refreshed(browser) for browser in browsers]

    assert [current(browser) for browser in later] == ids
    assert later[1].call("DELETE", "/sessions/logout").status == 200
    assert ended(later[0]) == {ids[1]: "logout"}


def test_a_phone_changes_its_address_between_calls(gateway: Gateway) -> None:
    phone = Device(gateway, make_token(74, n=1), "127.0.0.2", IPHONE)
    Device(gateway, make_token(74, n=2)).sign_in(FINGERPRINT)
    session_id = phone.sign_in(FINGERPRINT)["id"]
    later = refreshed(replace(phone, address="127.0.0.3"))

    assert current(later) == session_id
    assert current(replace(later, address="127.0.0.4")) == session_id


def test_a_browser_updates_itself(gateway: Gateway) -> None:
    desk = Device(gateway, make_token(74))
    session_id = desk.sign_in(FINGERPRINT)["id"]

    assert current(refreshed(replace(desk, user_agent=CHROME.replace("131.0", "142.0")))) == session_id


def test_home_is_thrown_out_and_the_office_is_not_though_it_is_the_same_browser(gateway: Gateway) -> None:
    home = Device(gateway, make_token(74, n=1), "127.0.0.2")
    office = Device(gateway, make_token(74, n=2), "127.0.0.3")
    at_home, at_office = home.sign_in(FINGERPRINT)["id"], office.sign_in(FINGERPRINT)["id"]
    assert office.call("DELETE", f"/sessions/session/{at_home}").status == 200

    assert current(refreshed(home)) == current(home) == "session_ended"
    assert current(refreshed(office)) == current(office) == at_office
    assert refreshed(home).call("DELETE", "/sessions/logout").status == 200
    assert ended(office) == {at_home: "revoked"}

    again = refreshed(home)
    new = again.sign_in(FINGERPRINT)["id"]
    assert current(again) == current(refreshed(home)) == new
    assert current(home) == "session_ended"


def test_the_wrong_device_is_never_signed_out_when_the_right_one_can_be_told(gateway: Gateway) -> None:
    home = Device(gateway, make_token(74, n=1), "127.0.0.2")
    office = Device(gateway, make_token(74, n=2), "127.0.0.3")
    at_home, at_office = home.sign_in(FINGERPRINT)["id"], office.sign_in(FINGERPRINT)["id"]

    assert refreshed(home).call("DELETE", "/sessions/logout").status == 200

    assert ended(office) == {at_home: "logout"}
    assert current(refreshed(office)) == at_office


def test_of_two_identical_browsers_behind_one_address_the_last_active_is_taken(gateway: Gateway) -> None:
    """Nothing that they send differs once their tokens are refreshed; only their fingerprints did, at the sign-in."""
    one, other = (Device(gateway, make_token(74, n=n)) for n in (1, 2))
    first = one.sign_in({"device_fingerprint": "one"})["id"]
    second = other.sign_in({"device_fingerprint": "other"})["id"]
    assert one.call("POST", "/sessions/update-activity").status == 200

    assert current(refreshed(other)) == first
    assert (current(one), current(other)) == (first, second)


def test_without_a_token_nothing_is_signed_out(gateway: Gateway) -> None:
    desk = Device(gateway, make_token(74))
    session_id = desk.sign_in()["id"]

    assert replace(desk, token=None).call("DELETE", "/sessions/logout").status == 401
    assert current(desk) == session_id
