"""Any text as a user agent or a body's claims gives a device that can be shown."""

from hypothesis import given
from hypothesis import strategies as st

from session_service.rules.devices import describe, parse_user_agent
from tests.harness.user_agents import UNSEEN, assert_presentable

ANY_TEXT = st.text(st.characters(categories=None), max_size=600)
"""Lone surrogates too, which a JSON body can hold."""

PARTS = (
    *("Mozilla/5.0 (", "Linux; Android 14; ", "iPhone; ", "Windows NT 10.0", "X11; Linux", ") ", "Chrome/131.0.0.0 "),
    *("Mobile ", "Safari/537.36", "%0A%E2%80%AE/1 CFNetwork/1 Darwin/1", "bot/1 ", "okhttp/4 ", "|", "7", *UNSEEN),
)

AGENT_LIKE = st.lists(st.sampled_from(PARTS) | ANY_TEXT, max_size=12).map("".join)


@given(
    agent=st.none() | ANY_TEXT | AGENT_LIKE,
    device_name=st.none() | ANY_TEXT | AGENT_LIKE,
    device_type=st.none() | ANY_TEXT,
    browser=st.none() | ANY_TEXT | AGENT_LIKE,
)
def test_any_text_gives_a_presentable_device(
    agent: str | None, device_name: str | None, device_type: str | None, browser: str | None
) -> None:
    device = describe(agent, device_name=device_name, device_type=device_type, browser=browser)

    assert_presentable(device)
    header = parse_user_agent(agent)
    assert_presentable(header)
    assert (device.key, device.names_software) == (header.key, header.names_software)
