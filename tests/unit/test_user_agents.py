"""What a user agent says of a device, and which user agents mean the same device."""

import re

import pytest

from session_service.rules.devices import describe, parse_user_agent
from session_service.rules.identifiers import MAX_TEXT_LENGTH
from session_service.rules.user_agents import MAX_USER_AGENT_LENGTH
from tests.harness.user_agents import (
    CFNETWORK,
    CHROME,
    EDGE,
    GALAXY,
    HTTPX,
    HUAWEI,
    IPHONE,
    LINES,
    NOTHING,
    ROWS,
    UNSEEN,
    WEBVIEW,
    XIAOMI,
    assert_presentable,
)


def updated(agent: str) -> str:
    """Return *agent* after an update of browser and system: every version that it tells is another one."""
    newer = re.sub(r"(?<!Mozilla/)(?<!Opera/)(?<=/)(\d+)(?=[.\s;)]|$)", lambda match: str(int(match[1]) + 1), agent)
    newer = re.sub(r"Android (\d+)", lambda match: f"Android {int(match[1]) + 1}", newer)
    newer = re.sub(r" OS (\d+)_", lambda match: f" OS {int(match[1]) + 1}_", newer)
    return newer.replace("Windows NT 6.3", "Windows NT 10.0").replace(" Build/", " Build/Z")


@pytest.mark.parametrize(("agent", "expected"), ROWS)
def test_a_user_agent_reads_as_people_call_the_device(agent: str, expected: list[str]) -> None:
    device = parse_user_agent(agent)

    names_software = "yes" if device.names_software else "no"
    assert [device.name, device.type, device.browser, device.os or "-", names_software] == expected
    assert device.key


def test_the_table_is_long_enough_and_has_no_agent_twice() -> None:
    assert len(set(LINES[1::2])) == len(ROWS) >= 55


@pytest.mark.parametrize("agent", [None, "", " ", "\x00", "\r\n", "\ud800", "\u202e\u200b"], ids=ascii)
def test_no_user_agent_is_an_unknown_device_without_a_key(agent: str | None) -> None:
    assert parse_user_agent(agent) == NOTHING


@pytest.mark.parametrize("unseen", UNSEEN, ids=ascii)
def test_what_cannot_be_seen_changes_nothing(unseen: str) -> None:
    assert parse_user_agent(f"{unseen}{CHROME}{unseen}") == parse_user_agent(CHROME)


def test_a_windows_to_come_is_windows() -> None:
    assert parse_user_agent(CHROME.replace("NT 10.0", "NT 11.0")).name == "Chrome on Windows"


def test_a_bots_name_starts_at_its_first_letter() -> None:
    assert parse_user_agent(f"{CHROME}; bot").name == "bot"


def test_only_the_first_512_characters_are_read() -> None:
    padding = "x" * (MAX_USER_AGENT_LENGTH - len(CHROME) - 1)

    assert parse_user_agent(f"{CHROME} {padding} Edg/131.0.0.0") == parse_user_agent(CHROME)
    assert parse_user_agent(" " * MAX_USER_AGENT_LENGTH + CHROME) == NOTHING


@pytest.mark.parametrize("part", ["a", "(", "; ", "Android 1; ", "Mozilla/5.0 (", "%0A", "/1 CFNetwork/1 ", "😀", "|"])
def test_a_hostile_agent_of_ten_thousand_characters_gets_an_answer(part: str) -> None:
    agent = (part * 10_000)[:10_000]

    assert_presentable(describe(agent, device_name=agent, device_type=agent, browser=agent))
    assert parse_user_agent(agent) == parse_user_agent(agent[:MAX_USER_AGENT_LENGTH])


@pytest.mark.parametrize("agent", LINES[1::2])
def test_an_update_does_not_make_another_device(agent: str) -> None:
    assert parse_user_agent(updated(agent)).key == parse_user_agent(agent).key


def test_the_key_holds_browser_system_and_model() -> None:
    keys = [
        parse_user_agent(agent).key for agent in (CHROME, IPHONE, GALAXY, WEBVIEW, HUAWEI, XIAOMI, CFNETWORK, HTTPX)
    ]

    assert keys == [
        "Chrome|Windows|",
        "Safari|iOS|iPhone",
        "Chrome|Android|SM-G991B",
        "App|Android|Pixel 8",
        "Huawei Browser|Android|ANA-AN00",
        "Mi Browser|Android|2201116PG",
        "MockStream|iOS|",
        "python-httpx||",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(CHROME, EDGE, id="browser"),
        pytest.param(CHROME, CHROME.replace("Windows NT 10.0; Win64; x64", "X11; Linux x86_64"), id="system"),
        pytest.param(GALAXY, GALAXY.replace("SM-G991B", "SM-A546E"), id="model"),
        pytest.param(
            GALAXY.replace("SM-G991B", "K"), GALAXY.replace("SM-G991B", "K").replace(" Mobile", ""), id="form"
        ),
        pytest.param(IPHONE, IPHONE.replace("iPhone;", "iPod;"), id="Apple hardware"),
        pytest.param(CFNETWORK, CFNETWORK.replace("MockStream", "Expo"), id="app"),
        pytest.param("curl/8.5.0", HTTPX, id="library"),
        pytest.param("asdf", "qwer", id="rubbish"),
    ],
)
def test_another_browser_system_or_model_is_another_device(one: str, other: str) -> None:
    assert parse_user_agent(one).key != parse_user_agent(other).key


def test_a_version_grown_onto_an_unknown_name_is_not_part_of_the_key() -> None:
    assert parse_user_agent("fetcher-1.2.3").key == parse_user_agent("fetcher-1.3.0").key == "fetcher||"


@pytest.mark.parametrize("build", ["41", "build:41", "build 41", "SDK 34", "v2.3"])
def test_a_build_number_after_androids_version_is_no_model(build: str) -> None:
    assert parse_user_agent(f"MockStream/2.3.1 (Android 14; {build})").key == "MockStream|Android|"
    assert parse_user_agent(f"MockStream/2.3.1 (Android 14; Pixel 8; {build})").key == "MockStream|Android|Pixel 8"


def test_a_key_fits_its_column_and_cannot_be_forged_by_a_separator() -> None:
    device = parse_user_agent(f"{'a|' * 120}/1 (Android 14; {'b|' * 100}) okhttp/4")

    assert len(device.key) <= MAX_TEXT_LENGTH
    assert device.key.count("|") == 2
