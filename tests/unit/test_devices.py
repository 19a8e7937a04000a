"""What a user agent tells of a device, and what a request body may add to it."""

import re

import pytest

from session_service.rules.devices import Device, describe, parse_user_agent
from session_service.rules.identifiers import MAX_TEXT_LENGTH
from tests.harness.user_agents import (
    CFNETWORK,
    CHROME,
    EDGE,
    GALAXY,
    HTTPX,
    IPHONE,
    LINUX,
    MAC_SAFARI,
    NOTHING,
    UNSEEN,
    WEBVIEW,
)

# The key: the same device after an update, another one for any other.


# The body: it adds what the header does not tell, and never gains over it.


def test_the_header_beats_whatever_the_body_claims() -> None:
    claimed = describe(EDGE, device_name="Office laptop", device_type="tablet", browser="Chrome")

    assert claimed == parse_user_agent(EDGE)
    assert (claimed.name, claimed.type, claimed.browser) == ("Edge on Windows 10", "web", "Edge")


def test_a_user_agent_in_the_body_does_not_beat_the_one_in_the_header() -> None:
    assert describe(EDGE, device_name=IPHONE) == parse_user_agent(EDGE)


@pytest.mark.parametrize("header", [None, "", HTTPX, "okhttp/4.12.0", "asdf", "MockStream/2.3.1"])
def test_the_body_fills_in_what_no_header_tells(header: str | None) -> None:
    device = describe(header, device_name="Office laptop", device_type="Desktop", browser="Firefox")

    assert (device.name, device.type, device.browser, device.os) == ("Office laptop", "web", "Firefox", None)
    assert (device.key, device.names_software) == (parse_user_agent(header).key, False)


@pytest.mark.parametrize(
    ("agent", "name", "kind"),
    [
        pytest.param(CHROME, "Chrome on Windows 10", "web", id="Chrome"),
        # The frontend's 100 characters end before Edg: nothing is left that tells it from Chrome.
        pytest.param(EDGE, "Chrome on Windows 10", "web", id="Edge"),
        pytest.param(IPHONE, "Safari on iPhone", "mobile", id="iPhone"),
        pytest.param(MAC_SAFARI, "Safari on macOS", "web", id="Safari"),
        pytest.param(GALAXY, "Chrome on Samsung SM-G991B", "mobile", id="Android, cut before Mobile"),
        pytest.param(WEBVIEW, "Pixel 8", "mobile", id="Android, cut before any browser"),
        pytest.param(IPHONE.replace("Version/18.1.1", "CriOS/131.0"), "iPhone", "mobile", id="iPhone, cut in CriOS"),
    ],
)
def test_a_device_name_that_is_a_user_agent_is_read_though_it_was_cut(agent: str, name: str, kind: str) -> None:
    device = describe(HTTPX, device_name=agent[:100])

    assert (device.name, device.type) == (name, kind)
    assert (device.key, device.names_software) == ("python-httpx||", False)


@pytest.mark.parametrize("agent", [CHROME, IPHONE, WEBVIEW, CFNETWORK], ids=["Chrome", "iPhone", "WebView", "app"])
def test_a_user_agent_in_the_body_is_never_shown_raw_wherever_it_was_cut(agent: str) -> None:
    for length in range(len("MockStream/1"), len(agent) + 1):
        device = describe(HTTPX, device_name=agent[:length])

        assert not re.search(r"/|Mozilla|Gecko|Build", f"{device.name} {device.browser} {device.os}")
        assert device.type != "tablet"


def test_a_cut_user_agent_leaves_the_browser_to_the_body() -> None:
    assert describe(HTTPX, device_name=WEBVIEW[:100], browser="Chrome").name == "Chrome on Pixel 8"
    assert describe(HTTPX, device_name=CHROME[:100], browser="Firefox").name == "Chrome on Windows 10"
    assert describe(HTTPX, device_name=CHROME[:40], browser="Firefox").name == "Firefox on Windows 10"


def test_an_app_in_the_body_is_read_too_if_its_name_has_a_space() -> None:
    assert (
        describe(HTTPX, device_name="iOS Example/1.0 (build:1; iOS 13.0.0) Alamofire/5.0").name == "iOS Example on iOS"
    )
    assert describe(HTTPX, device_name="My App/2 (Android 14) okhttp/4.12.0").name == "My App on Android"


def test_a_library_named_twice_is_still_only_a_library() -> None:
    assert describe(HTTPX, device_name="Dart/3.5 (dart:io)").name == "Dart"
    assert describe(None, device_name="curl/8.5.0") == Device("curl", "unknown", "curl", None, "", False)


def test_a_browser_in_the_body_is_plain_words_or_nothing() -> None:
    assert describe(HTTPX, browser="Firefox").name == "Firefox"
    assert describe(HTTPX, browser=CHROME).browser == "python-httpx"
    assert describe(LINUX, browser="Firefox").name == "Firefox on Linux"
    assert describe(LINUX, device_name=CHROME, browser="Firefox").name == "Chrome on Linux"


@pytest.mark.parametrize(
    ("claimed", "kind"),
    [
        ("web", "web"),
        ("WEB", "web"),
        ("Desktop", "web"),
        ("pc", "web"),
        (" laptop\n", "web"),
        ("mobile", "mobile"),
        ("Smartphone", "mobile"),
        ("ios", "mobile"),
        ("Android", "mobile"),
        ("tablet", "tablet"),
        ("iPad", "tablet"),
        ("bot", "bot"),
        ("unknown", "unknown"),
        ("toaster", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        ("web; DROP TABLE", "unknown"),
    ],
)
def test_a_device_type_counts_if_it_is_a_word_for_one(claimed: str | None, kind: str) -> None:
    assert describe(HTTPX, device_type=claimed).type == kind


def test_an_app_that_does_not_tell_phone_from_tablet_may_be_told_by_the_body() -> None:
    assert describe(CFNETWORK).type == "mobile"
    assert describe(CFNETWORK, device_type="tablet") == Device(
        "MockStream on iOS", "tablet", "MockStream", "iOS", "MockStream|iOS|", True
    )
    assert describe(GALAXY, device_type="tablet").type == "mobile"


def test_a_name_is_one_line_of_what_can_be_seen() -> None:
    device = describe(HTTPX, device_name="  Office\r\nlap\u202etop\x00\u2028 2\ud800 ", browser="Fire\nfox\x1b[31m")

    assert (device.name, device.browser) == ("Office laptop 2", "Fire fox[31m")


@pytest.mark.parametrize("empty", [None, "", "  ", UNSEEN, "unknown", "Unknown Device", "undefined", "null", "N/A"])
def test_a_name_that_says_nothing_counts_as_absent(empty: str | None) -> None:
    assert describe(HTTPX, device_name=empty, browser=empty) == parse_user_agent(HTTPX)
    assert describe(None, device_name=empty, browser=empty) == NOTHING


def test_long_texts_are_cut() -> None:
    device = describe(CHROME[:40], device_name="n" * 300, browser="b" * 300)

    assert (device.name, device.browser) == ("b" * MAX_TEXT_LENGTH, "b" * MAX_TEXT_LENGTH)
    assert describe(None, device_name="n" * 300).name == "n" * MAX_TEXT_LENGTH
    assert describe(None, device_name="n" * (MAX_TEXT_LENGTH - 1) + " n").name == "n" * (MAX_TEXT_LENGTH - 1)


@pytest.mark.parametrize(
    ("agent", "platform_version", "system"),
    [
        (CHROME, None, "Windows 10"),
        (CHROME, '"10.0.0"', "Windows 10"),
        (CHROME, '"12.0.0"', "Windows 10"),
        (CHROME, '"13.0.0"', "Windows 11"),
        (CHROME, '"15.0.0"', "Windows 11"),
        (CHROME, "19", "Windows 11"),
        (CHROME, '"15.0.0" ; drop', "Windows 10"),
        (CHROME, '"-15"', "Windows 10"),
        (CHROME, "9" * 5_000, "Windows 10"),
        (CHROME.replace("NT 10.0", "NT 6.1"), '"15.0.0"', "Windows 7"),
        (MAC_SAFARI, '"15.0.0"', "macOS"),
        (HTTPX, '"15.0.0"', None),
    ],
)
def test_the_platform_version_tells_windows_11_from_windows_10_and_nothing_else(
    agent: str, platform_version: str | None, system: str | None
) -> None:
    device, without = describe(agent, platform_version=platform_version), describe(agent)

    assert device.os == system
    assert device.key == without.key
    assert device.name == (without.name.replace(str(without.os), str(system)))


def test_a_claimed_user_agent_is_no_reason_to_believe_the_platform_version() -> None:
    assert describe(HTTPX, platform_version='"15.0.0"', device_name=CHROME).os == "Windows 10"
