"""The console's search in a real browser: what is found, and how it is ended once its number is confirmed."""

import re

import psycopg
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.harness.console import OpenConsole, admin_token, signed_in
from tests.harness.session_list import Person, accessibility_findings
from tests.harness.support import EDGE, IPHONE

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

HERE = "127.0.0.1"
COLUMNS = "device_key, device_name, device_type, browser, ip_source, network, created_at, last_activity, expires_at"


def opened(open_console: OpenConsole) -> Page:
    return signed_in(open_console(f"#token={admin_token()}"))


def form(page: Page) -> Locator:
    return page.locator("#search-form")


def search(page: Page, **fields: str) -> Locator:
    """Fill in fields by their names, search, and return the rows that are shown."""
    form(page).evaluate("form => form.reset()")
    for name, value in fields.items():
        field = form(page).locator(f"[name={name}]")
        if field.evaluate("field => field.localName") == "select":
            field.select_option(value)
        else:
            field.fill(value)
    form(page).get_by_role("button", name="Search").click()
    expect(page.locator("body")).to_have_attribute("aria-busy", "false")
    return page.locator("#found tbody tr")


def test_what_matches_is_listed_and_leads_to_its_user(person: Person, open_console: OpenConsole) -> None:
    phone, laptop = person.sign_in(IPHONE), person.sign_in()
    phone.end()
    page = opened(open_console)

    rows = search(page, address=HERE)
    expect(page.locator("#found-title")).to_have_text("2 sessions found")
    expect(rows.first).to_contain_text(f"{person.user_id}")
    expect(rows.first).to_contain_text(f"active{laptop.id}")
    expect(rows.nth(1)).to_contain_text("logout, ")

    expect(search(page, address=HERE, active="false")).to_have_count(1)
    expect(search(page, user_id=str(person.user_id), device_name="Safari on iPhone")).to_have_count(1)
    expect(page.locator("#ending-found")).to_be_hidden()
    expect(search(page, created_after="2020-01-01T00:00:00", reason="logout")).to_have_count(1)
    expect(search(page, created_before="2020-01-01T00:00:00")).to_have_count(0)
    expect(page.locator("#found-title")).to_have_text("0 sessions found")
    rows = search(page, address=HERE)
    rows.first.get_by_role("button").click()
    expect(page.get_by_role("heading", name=f"Devices of user {person.user_id}")).to_be_visible()


def test_what_cannot_be_searched_for_is_said_in_words(open_console: OpenConsole) -> None:
    page = opened(open_console)

    search(page, os="iOS")
    expect(page.get_by_role("alert")).to_contain_text("Give at least one of user_id, address")
    search(page, network="203.0.113.0/24")
    expect(page.get_by_role("alert")).to_contain_text("/32 for IPv4 and /64 for IPv6")


def test_a_long_list_is_shown_page_by_page(person: Person, open_console: OpenConsole, database_url: str) -> None:
    person.sign_in()
    columns = f"user_id, {COLUMNS}"
    with psycopg.connect(database_url) as connection:
        connection.execute(f"INSERT INTO sessions ({columns}) SELECT {columns} FROM sessions, generate_series(1, 149)")
    page = opened(open_console)

    rows = search(page, address=HERE)
    expect(page.locator("#found-title")).to_have_text("100 sessions found so far")
    page.get_by_role("button", name="Search on").click()

    expect(page.locator("#found-title")).to_have_text("150 sessions found")
    expect(rows).to_have_count(150)
    expect(page.locator("#more")).to_be_hidden()


def test_what_was_found_ends_once_its_number_is_confirmed(person: Person, open_console: OpenConsole) -> None:
    devices = [person.sign_in(agent) for agent in (IPHONE, EDGE)]
    page = opened(open_console)
    search(page, address=HERE)
    page.get_by_label("Cause, told to the people").select_option("security")
    page.locator("#search-everywhere").check()

    page.get_by_role("button", name="End all active ones that match").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("End 2 sessions?")
    expect(dialog.get_by_role("listitem")).to_have_text([f"address: {HERE}"])
    dialog.get_by_role("button", name="Cancel").click()
    assert [device.status() for device in devices] == [200, 200]
    page.get_by_role("button", name="End all active ones that match").click()
    dialog.get_by_role("button", name="End").click()

    expect(page.get_by_role("status")).to_have_text("2 sessions ended. ✓ No backend remembers them any more.")
    expect(page.locator("#found tbody tr").first).to_contain_text("admin, ")
    expect(page.locator("#ending-found")).to_be_hidden()
    assert [device.status() for device in devices] == [401, 401]
    assert devices[0].caller.get("/sessions/validate").json()["because"] == "security"


def test_more_than_were_confirmed_are_asked_for_again(person: Person, open_console: OpenConsole) -> None:
    devices = [person.sign_in(IPHONE)]
    page = opened(open_console)
    search(page, user_id=str(person.user_id), active="true")
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="End all active ones that match").click()
    expect(dialog.get_by_role("heading")).to_have_text("End 1 session?")

    devices.append(person.sign_in(EDGE))
    dialog.get_by_role("button", name="End").click()
    expect(dialog.get_by_role("heading")).to_have_text("End 2 sessions? There are more than before.")
    assert [device.status() for device in devices] == [200, 200]
    dialog.get_by_role("button", name="End").click()

    expect(page.get_by_role("status")).to_have_text("2 sessions ended.")
    assert [device.status() for device in devices] == [401, 401]


def test_many_are_ended_in_several_calls(person: Person, open_console: OpenConsole, database_url: str) -> None:
    person.sign_in()
    with psycopg.connect(database_url) as connection:
        connection.execute(
            f"INSERT INTO sessions (user_id, {COLUMNS}) "
            f"SELECT 900000 + n, {COLUMNS} FROM sessions, generate_series(1, 1299) AS n"
        )
    page = opened(open_console)
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.post_data or "") if request.method == "POST" else None)
    search(page, address=HERE)

    page.get_by_role("button", name="End all active ones that match").click()
    page.get_by_role("dialog").get_by_role("button", name="End").click()

    expect(page.get_by_role("status")).to_have_text("1,300 sessions ended.")
    assert "dry_run" in calls[0]
    assert len(calls) >= 3
    assert re.search(r'"expected":1300\b', calls[1])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_320_pixels_are_enough(person: Person, open_console: OpenConsole, scheme: str) -> None:
    person.sign_in(EDGE).end()
    person.sign_in(IPHONE)
    page = open_console(color_scheme=scheme, viewport={"width": 320, "height": 640})
    page.get_by_label("Access token").fill(admin_token())
    page.get_by_role("button", name="Use it").click()
    signed_in(page)
    expect(search(page, address=HERE)).to_have_count(2)

    assert accessibility_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="End all active ones that match").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert accessibility_findings(page) == []
