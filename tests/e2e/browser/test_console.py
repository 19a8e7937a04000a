"""`/console` in a real browser: the token stays in memory, and a user's sessions are found and ended."""

import re

import psycopg
import pytest
from playwright.sync_api import expect

from tests.harness.console import ADMIN, OpenConsole, admin_token, show, signed_in
from tests.harness.servers import Site
from tests.harness.session_list import Person, accessibility_findings
from tests.harness.support import EDGE, IPHONE, make_token

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

# The token


def test_a_token_in_the_fragment_is_taken_out_of_the_address_at_once(open_console: OpenConsole) -> None:
    page = signed_in(open_console(f"#token={admin_token()}"))

    assert page.url.endswith("/console")
    assert page.evaluate("location.hash") == ""
    assert page.evaluate("history.length") <= 2
    page.reload()
    expect(page.get_by_label("Access token")).to_be_visible()
    assert page.locator("figure").count() == 0


def test_a_pasted_token_is_kept_in_memory_alone(open_console: OpenConsole) -> None:
    page, token = open_console(), admin_token()
    page.get_by_label("Access token").fill(token)
    page.get_by_role("button", name="Use it").click()
    signed_in(page)

    assert token not in page.content()
    assert page.locator("#token").input_value() == ""
    kept = "JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])"
    assert page.evaluate(kept) == '["",{},{}]'
    assert page.context.cookies() == []
    page.get_by_role("button", name="Forget the token").click()
    expect(page.get_by_label("Access token")).to_be_focused()
    assert page.locator("figure").count() == 0


def test_a_token_is_forgotten_when_nobody_uses_the_page(open_console: OpenConsole) -> None:
    page = open_console()
    page.clock.install()
    page.reload()
    page.get_by_label("Access token").fill(admin_token())
    page.get_by_role("button", name="Use it").click()
    signed_in(page)

    page.clock.run_for(31 * 60_000)

    expect(page.get_by_role("status")).to_have_text("The token was forgotten after 30 minutes without use.")
    expect(page.get_by_label("Access token")).to_be_visible()


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (admin_token(exp=1), "The access token has expired."),
        ("nonsense", "The access token is not valid."),
        (make_token(74), "Only admins can"),
    ],
    ids=["expired", "nonsense", "not an admin's"],
)
def test_a_token_that_is_no_admins_is_refused_in_words(open_console: OpenConsole, token: str, said: str) -> None:
    page = open_console(f"#token={token}")

    expect(page.get_by_role("alert")).to_contain_text(said)
    assert page.locator("figure").count() == 0


def test_the_page_may_not_be_framed_nor_load_or_call_anything_of_others(open_console: OpenConsole, site: Site) -> None:
    page = open_console()
    answer = page.request.get(f"{site.gateway}/console")
    policy = dict(part.strip().split(maxsplit=1) for part in answer.headers["content-security-policy"].split(";"))

    assert {value for name, value in policy.items() if name.endswith("-src")} == {"'none'", "'self'", "data:"}
    assert (policy["frame-ancestors"], policy["form-action"], policy["base-uri"]) == ("'none'",) * 3
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers


# A user


def test_devices_and_history_of_a_user_are_shown(person: Person, open_console: OpenConsole, database_url: str) -> None:
    phone, laptop = person.sign_in(IPHONE), person.sign_in()
    person.sign_in(EDGE).end()
    with psycopg.connect(database_url) as connection:
        hostile = "<img src=x onerror=alert(1)>\u202e"
        connection.execute("UPDATE sessions SET device_name = %s WHERE id = %s", (hostile, phone.id))
    page = signed_in(open_console(f"#token={admin_token()}"))

    show(page, person.user_id)

    rows = page.locator("#devices tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.locator("td.name")).to_have_text(["Chrome on Windows 10", hostile])
    assert page.locator("main img").count() == 0
    history = page.get_by_role("list", name="History").get_by_role("listitem")
    expect(history).to_have_count(4)
    expect(history.first).to_have_text(
        re.compile(rf"Ended on Edge on Windows 10: logout by {person.user_id} · session \d+")
    )
    expect(history.nth(2)).to_contain_text(f"Signed in on Chrome on Windows 10 · session {laptop.id}")


def test_the_selected_sessions_end_once_that_is_confirmed(person: Person, open_console: OpenConsole) -> None:
    phone, edge, laptop = person.sign_in(IPHONE), person.sign_in(EDGE), person.sign_in()
    page = signed_in(open_console(f"#token={admin_token()}"))
    show(page, person.user_id)
    page.get_by_label("Select Safari on iPhone").check()
    page.get_by_label("Select Edge on Windows 10").check()
    page.get_by_label("Wait until no backend remembers them").check()

    page.get_by_role("button", name="End the selected (2)").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    dialog.get_by_role("button", name="Cancel").click()
    assert [device.status() for device in (phone, edge, laptop)] == [200, 200, 200]
    page.get_by_role("button", name="End the selected (2)").click()
    dialog.get_by_role("button", name="End").click()

    expect(page.get_by_role("status")).to_contain_text(f"2 sessions of user {person.user_id} ended.")
    expect(page.get_by_role("status")).to_contain_text("✓ No backend remembers them any more.")
    expect(page.locator("#devices tbody tr")).to_have_count(1)
    assert [device.status() for device in (phone, edge, laptop)] == [401, 401, 200]


def test_all_sessions_end_with_a_cause_that_the_person_is_told(person: Person, open_console: OpenConsole) -> None:
    phone, laptop = person.sign_in(IPHONE), person.sign_in()
    page = signed_in(open_console(f"#token={admin_token()}"))
    show(page, person.user_id)

    page.locator("#because").select_option("device_lost")
    page.get_by_label("Wait until no backend remembers them").check()
    page.get_by_role("button", name="End all").click()
    page.get_by_role("dialog").get_by_role("button", name="End").click()

    expect(page.get_by_role("status")).to_contain_text(f"2 sessions of user {person.user_id} ended.")
    expect(page.get_by_role("status")).to_contain_text("✓ No backend remembers them any more.")
    expect(page.locator("#no-devices")).to_be_visible()
    expect(page.get_by_role("list", name="History").get_by_role("listitem").first).to_contain_text(
        f": admin (device_lost) by {ADMIN} "
    )
    assert [phone.status(), laptop.status()] == [401, 401]
    assert phone.caller.get("/sessions/validate").json()["because"] == "device_lost"


# All sessions


def test_the_charts_have_their_figures_beside_them(person: Person, open_console: OpenConsole) -> None:
    person.sign_in(IPHONE).end()
    person.sign_in()
    page = signed_in(open_console(f"#token={admin_token()}"))

    created, ended, active, limit = page.locator("figure").all()
    expect(created.get_by_role("img")).to_have_attribute("aria-label", re.compile("^Created sessions: 2 in all"))
    expect(ended.get_by_role("img")).to_have_attribute("aria-label", re.compile("by reason: 1 in all"))
    expect(active.get_by_role("img")).to_have_attribute("aria-label", re.compile("^Active sessions: now 1"))
    expect(limit.get_by_role("img")).to_have_attribute("aria-label", re.compile(": 0 in all"))
    expect(created.locator("tbody tr")).to_have_count(24)
    expect(created.locator("tbody tr").first.locator("td")).to_have_text([re.compile(r"\d\d-\d\d \d\d:00"), "2", "0"])
    assert created.locator("rect").count() == 1
    expect(page.locator("#behind")).to_have_text(re.compile(r"behind by \d+(\.\d+)? s\."))
    page.get_by_label("Period").select_option(label="7 days")
    page.get_by_role("button", name="Load").click()

    expect(created.locator("tbody tr")).to_have_count(7)
    expect(active.locator("tbody tr").first.locator("td").last).to_have_text("1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_320_pixels_are_enough(person: Person, open_console: OpenConsole, scheme: str) -> None:
    person.sign_in(EDGE).end()
    person.sign_in(IPHONE)
    page = open_console(color_scheme=scheme, viewport={"width": 320, "height": 640})
    assert accessibility_findings(page) == []
    page.get_by_label("Access token").fill(admin_token())
    page.get_by_role("button", name="Use it").click()
    signed_in(page)
    show(page, person.user_id)

    assert accessibility_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="End all").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert accessibility_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_keyboard_alone_ends_a_users_sessions(person: Person, open_console: OpenConsole) -> None:
    phone = person.sign_in(IPHONE)
    page = signed_in(open_console(f"#token={admin_token()}"))

    page.keyboard.type(str(person.user_id))
    page.keyboard.press("Enter")
    expect(page.locator("#devices tbody tr")).to_have_count(1)
    page.get_by_role("button", name="End all").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_contain_text("1 session of user")
    assert phone.status() == 401
