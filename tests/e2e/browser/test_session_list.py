"""`<session-list>` in a real browser, on another origin than the service: what it shows and what its buttons do."""

import re

import pytest
from playwright.sync_api import expect

from tests.harness.session_list import OpenList, Person, Shown
from tests.harness.support import CHROME, EDGE, FIREFOX, IPHONE, make_token

# The element does not see which database there is.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

MINUTE = 60_000


# What is shown


def test_each_device_is_shown_with_its_name_kind_place_and_times(person: Person, open_list: OpenList) -> None:
    person.sign_in(IPHONE, address="127.0.0.9")
    person.sign_in(EDGE)
    page = open_list(person.sign_in(CHROME))

    page.names("Chrome on Windows 10", "Edge on Windows 10", "Safari on iPhone")
    mine, edge, phone = page.devices.all()
    expect(mine).to_contain_text("This device")
    expect(mine).to_contain_text("In use now · Signed in just now")
    expect(edge).not_to_contain_text("This device")
    expect(edge).to_contain_text("Last used just now · Signed in just now")
    expect(edge).to_contain_text("127.0.0.1 · same network as this device, local network")
    expect(phone).to_contain_text("127.0.0.9 · local network")
    expect(phone).to_contain_text("Phone: ")
    expect(page.element).to_contain_text("You are signed in on 3 devices.")
    expect(page.ended).to_have_count(0)


def test_the_words_for_times_keep_themselves_fresh(person: Person, open_list: OpenList) -> None:
    other = person.sign_in(EDGE)
    page = open_list(person.sign_in())
    page.names("Chrome on Windows 10", "Edge on Windows 10")
    edge = page.devices.nth(1)

    page.page.clock.install()
    page.page.reload()
    expect(edge).to_contain_text("Signed in just now")
    page.page.clock.run_for(7 * MINUTE)
    expect(edge).to_contain_text("Signed in 7 minutes ago")
    page.page.clock.run_for(180 * MINUTE)
    expect(edge).to_contain_text("Last used 3 hours ago")
    assert edge.locator("time").first.get_attribute("datetime") == other.session["last_activity"]


def test_without_a_session_nobody_is_signed_in(person: Person, open_list: OpenList) -> None:
    page = open_list(None, token=make_token(person.user_id))

    expect(page.element).to_contain_text("You are not signed in on any device.")
    expect(page.devices).to_have_count(0)
    expect(page.button("Sign out all other devices")).to_be_hidden()


def test_the_last_ten_ended_devices_are_told_with_the_reason(person: Person, open_list: OpenList) -> None:
    laptop = person.sign_in(CHROME)
    for number in range(9):
        person.sign_in(FIREFOX, address=f"127.0.0.{20 + number}").end()
    phone = person.sign_in(IPHONE)
    laptop.end(phone)
    person.sign_in(EDGE, address="127.0.0.5")
    for number in range(2):  # the second goes over the limit of three, and Edge is the older one of the others
        person.sign_in(FIREFOX, address=f"127.0.0.{40 + number}")
        laptop.status()

    page = open_list(person.sign_in(CHROME))  # replaces the laptop's session

    expect(page.ended).to_have_count(10)
    newest = page.ended.first
    expect(newest).to_contain_text("Chrome on Windows 10")
    expect(newest).to_contain_text("Signed out just now")
    newest.get_by_text("Why was this device signed out?").click()
    reasons = page.ended.locator("details p").all_text_contents()
    told = [re.sub(r" \(\d+ \w+ \d{4} at \d\d:\d\d\)$", "", reason) for reason in reasons]
    expect(newest.locator("details p")).to_be_visible()
    assert sorted(set(told)) == sorted(
        {
            "It was signed out on the device itself.",
            "You signed it out from another device.",
            "The same device signed in again.",
            "You signed in on another device, and the number of devices is limited.",
        }
    )


# What its buttons do


def test_a_device_is_signed_out_once_that_is_confirmed(person: Person, open_list: OpenList) -> None:
    phone = person.sign_in(IPHONE)
    page = open_list(person.sign_in())

    page.button("Sign out Safari on iPhone").click()
    expect(page.dialog).to_contain_text("Sign out Safari on iPhone?")
    expect(page.dialog).to_contain_text("This cannot be undone.")
    assert phone.status() == 200
    page.dialog.get_by_role("button", name="Sign out").click()

    page.names("Chrome on Windows 10")
    expect(page.element.get_by_role("status")).to_have_text("Safari on iPhone is signed out.")
    expect(page.ended).to_have_count(1)
    expect(page.ended.locator("details p")).to_contain_text("You signed it out from another device.")
    assert phone.status() == 401
    assert page.events() == [("signed-out", {"ids": [phone.id], "others": False})]


@pytest.mark.parametrize("way", ["button", "Escape"])
def test_a_question_that_is_cancelled_changes_nothing(person: Person, open_list: OpenList, way: str) -> None:
    phone = person.sign_in(IPHONE)
    page = open_list(person.sign_in())

    page.button("Sign out Safari on iPhone").click()
    if way == "button":
        page.dialog.get_by_role("button", name="Cancel").click()
    else:
        page.page.keyboard.press("Escape")

    expect(page.dialog).to_be_hidden()
    expect(page.button("Sign out Safari on iPhone")).to_be_focused()
    assert phone.status() == 200
    assert page.events() == []


def test_all_other_devices_are_signed_out_at_once(person: Person, open_list: OpenList) -> None:
    others = [person.sign_in(EDGE), person.sign_in(IPHONE)]
    mine = person.sign_in()
    page = open_list(mine)

    page.button("Sign out all other devices").click()
    expect(page.dialog).to_contain_text("Sign out 2 other devices?")
    page.dialog.get_by_role("button", name="Sign out all other devices").click()

    page.names("Chrome on Windows 10")
    expect(page.element.get_by_role("status")).to_have_text("2 devices are signed out.")
    expect(page.button("Sign out all other devices")).to_be_hidden()
    assert [device.status() for device in (*others, mine)] == [401, 401, 200]
    ((kind, detail),) = page.events()
    assert (kind, sorted(detail["ids"]), detail["others"]) == ("signed-out", [one.id for one in others], True)


def test_this_device_has_no_button_because_the_page_must_drop_its_tokens(person: Person, open_list: OpenList) -> None:
    page = open_list(person.sign_in())

    page.names("Chrome on Windows 10")
    expect(page.devices.get_by_role("button")).to_have_count(0)


# Tokens


def test_an_expired_token_is_refreshed_once(person: Person, open_list: OpenList) -> None:
    mine = person.sign_in()
    page = open_list(None, token=make_token(person.user_id, exp=1))
    expect(page.alert).to_have_text("Please sign in to see your devices.")
    assert page.refreshes() == 1

    page.set(next=[mine.token, "a second refresh"], events=[])
    page.set(token=make_token(person.user_id, exp=2))
    page.button("Try again").click()

    page.names("Chrome on Windows 10")
    expect(page.alert).to_be_hidden()
    assert page.refreshes() == 2
    assert page.events() == []


def test_a_refresh_that_gives_an_expired_token_again_is_not_repeated(person: Person, open_list: OpenList) -> None:
    page = open_list(None, token="")
    expect(page.alert).to_contain_text("Please sign in to see your devices.")
    page.set(token=make_token(person.user_id, exp=1), next=[make_token(person.user_id, exp=2), "another"], events=[])

    page.button("Try again").click()

    expect(page.alert).to_have_text("Please sign in to see your devices.")
    page.page.evaluate("""async () => {
        while (!window.auth.events.length) await new Promise((done) => setTimeout(done, 10));
    }""")
    ((kind, problem),) = page.events()
    assert (kind, problem["code"], page.refreshes()) == ("error", "token_expired", 1)


def test_a_token_that_expires_before_a_sign_out_is_refreshed_for_it(person: Person, open_list: OpenList) -> None:
    phone, mine = person.sign_in(IPHONE), person.sign_in()
    page = open_list(mine)
    page.button("Sign out Safari on iPhone").click()
    page.set(token=make_token(person.user_id, exp=1), next=[mine.token])

    page.dialog.get_by_role("button", name="Sign out").click()

    page.names("Chrome on Windows 10")
    assert (phone.status(), page.refreshes()) == (401, 1)


# Sessions that end elsewhere


def test_a_session_that_is_ended_elsewhere_is_told_with_the_reason(person: Person, open_list: OpenList) -> None:
    phone, mine = person.sign_in(IPHONE), person.sign_in()
    page = open_list(mine)
    page.names("Chrome on Windows 10", "Safari on iPhone")
    page.page.clock.install()
    page.page.reload()
    page.names("Chrome on Windows 10", "Safari on iPhone")

    phone.end(mine)
    page.page.clock.run_for(MINUTE // 2 + 1)

    expect(page.alert).to_have_text("This device is signed out. You signed it out from another device.")
    expect(page.devices).to_have_count(0)
    ((kind, problem),) = page.events()
    assert (kind, problem["code"], problem["end_reason"]) == ("session-ended", "session_ended", "revoked")
    page.page.clock.run_for(10 * MINUTE)
    assert len(page.events()) == 1


def test_the_newer_device_is_named_where_the_limit_was_the_reason(person: Person, open_list: OpenList) -> None:
    mine = person.sign_in()
    page = open_list(mine)
    page.names("Chrome on Windows 10")
    for agent in (EDGE, IPHONE, FIREFOX):
        person.sign_in(agent)

    page.page.evaluate("document.querySelector('session-list').reload()")

    expect(page.alert).to_contain_text("the number of devices is limited.")
    expect(page.alert).to_contain_text("The newer sign-in was on Firefox on Linux.")


def test_a_question_about_a_device_that_is_gone_meanwhile_is_closed(person: Person, open_list: OpenList) -> None:
    phone, mine = person.sign_in(IPHONE), person.sign_in()
    page = open_list(mine)
    page.button("Sign out Safari on iPhone").click()
    expect(page.dialog).to_be_visible()

    phone.end()
    page.page.evaluate("document.querySelector('session-list').reload()")

    expect(page.dialog).to_be_hidden()
    page.names("Chrome on Windows 10")


def test_a_session_that_ends_while_the_question_is_open_is_told_instead(person: Person, open_list: OpenList) -> None:
    phone, mine = person.sign_in(IPHONE), person.sign_in()
    page = open_list(mine)
    page.button("Sign out Safari on iPhone").click()
    phone.end(mine)

    page.dialog.get_by_role("button", name="Sign out").click()

    expect(page.alert).to_contain_text("This device is signed out.")
    expect(page.dialog).to_be_hidden()
    assert phone.status() == 200


def test_two_tabs_show_the_same_after_one_of_them_signed_a_device_out(person: Person, open_list: OpenList) -> None:
    person.sign_in(IPHONE)
    first = open_list(person.sign_in())
    second = Shown(first.page.context.new_page())
    second.page.goto(first.page.url)
    for tab in (first, second):
        tab.names("Chrome on Windows 10", "Safari on iPhone")

    first.button("Sign out Safari on iPhone").click()
    first.dialog.get_by_role("button", name="Sign out").click()

    for tab in (first, second):
        tab.names("Chrome on Windows 10")
    assert second.events() == []
