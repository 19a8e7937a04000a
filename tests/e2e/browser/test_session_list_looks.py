"""`<session-list>` for everybody: keyboard, screen readers, narrow windows, languages, and names that mean harm."""

from collections.abc import Callable
from typing import Literal

import psycopg
import pytest
from playwright.sync_api import expect

from tests.harness.session_list import OpenList, Person, Shown, SignedInDevice, accessibility_findings
from tests.harness.support import EDGE, IPHONE

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

HOSTILE = {
    "an image": "<img src=x onerror=alert(1)>",
    "a script": "</bdi></li><script>alert(1)</script>",
    "a template": "{time} ${alert(1)} {{constructor}}",
    "right to left": "\u202egnp.exe \u2066\u200f",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 Zoë 📱",
    "255 characters": "W" * 255,
    "many marks": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢" * 5,
}


# Names


@pytest.fixture
def rename(database_url: str) -> Callable[[SignedInDevice, str], None]:
    """Return a function that gives a device a name on record; at a sign-in, the service drops marks of direction."""

    def rename(device: SignedInDevice, name: str) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE sessions SET device_name = %s WHERE id = %s", (name, device.id))

    return rename


Rename = Callable[[SignedInDevice, str], None]


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_name_is_shown_as_text_whatever_it_is(person: Person, open_list: OpenList, rename: Rename, name: str) -> None:
    rename(person.sign_in("curl/8.0"), name)
    page = open_list(person.sign_in(), viewport={"width": 320, "height": 640})

    page.names("Chrome on Windows 10", name)
    assert page.element.locator("img, script").count() == 0
    assert page.fits()
    page.devices.nth(1).get_by_role("button").click()
    expect(page.dialog.get_by_role("heading")).to_have_text(f"Sign out {name}?")
    assert page.fits()
    page.dialog.get_by_role("button", name="Sign out").click()
    expect(page.element.get_by_role("status")).to_have_text(f"{name} is signed out.")
    expect(page.ended.locator(".name")).to_have_text([name])
    assert page.fits()


def test_marks_of_direction_in_a_name_do_not_reach_the_words_around_it(
    person: Person, open_list: OpenList, rename: Rename
) -> None:
    rename(person.sign_in("curl/8.0"), HOSTILE["right to left"])
    page = open_list(person.sign_in())

    names = page.element.locator(".name > *")
    expect(names).to_have_count(2)
    assert names.evaluate_all("all => all.map((one) => getComputedStyle(one).unicodeBidi)") == ["isolate"] * 2


# Accessibility


State = Literal["list", "question", "ended", "error", "empty"]


def bring_to(page: Shown, state: State) -> None:
    """Make the page show a state."""
    if state == "question":
        page.button("Sign out all other devices").click()
        expect(page.dialog).to_be_visible()
    elif state == "error":
        page.page.context.set_offline(True)
        expect(page.alert).to_be_visible()
    else:
        expect(page.element.locator("section")).to_have_attribute("aria-busy", "false")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["list", "question", "ended", "error", "empty"])
def test_axe_finds_nothing(person: Person, open_list: OpenList, scheme: str, state: State) -> None:
    phone, mine = person.sign_in(IPHONE), person.sign_in()
    person.sign_in(EDGE).end()
    if state == "ended":
        phone.end(mine)
    elif state == "empty":
        mine.end()
    page = open_list(mine, color_scheme=scheme)
    bring_to(page, state)

    # Its finder looks at how the page is, without a network too.
    assert accessibility_findings(page.page) == []
    background = page.page.evaluate("getComputedStyle(document.querySelector('session-list')).colorScheme")
    assert background == "light dark"


def test_everything_can_be_done_with_the_keyboard_alone(person: Person, open_list: OpenList) -> None:
    phone, edge = person.sign_in(IPHONE), person.sign_in(EDGE)
    page = open_list(person.sign_in())
    page.names("Chrome on Windows 10", "Edge on Windows 10", "Safari on iPhone")
    keys = page.page.keyboard

    keys.press("Tab")
    expect(page.button("Sign out all other devices")).to_be_focused()
    keys.press("Tab")
    expect(page.button("Sign out Edge on Windows 10")).to_be_focused()
    keys.press("Enter")
    expect(page.dialog.get_by_role("button", name="Cancel")).to_be_focused()
    keys.press("Enter")
    expect(page.button("Sign out Edge on Windows 10")).to_be_focused()
    assert edge.status() == 200
    keys.press("Space")
    keys.press("Tab")
    expect(page.dialog.get_by_role("button", name="Sign out")).to_be_focused()
    keys.press("Space")
    expect(page.element.get_by_role("heading", name="Your devices")).to_be_focused()
    page.names("Chrome on Windows 10", "Safari on iPhone")
    keys.press("Tab")
    keys.press("Tab")
    expect(page.button("Sign out Safari on iPhone")).to_be_focused()
    keys.press("Tab")
    keys.press("Enter")

    expect(page.ended.locator("details p")).to_be_visible()
    assert (edge.status(), phone.status()) == (401, 200)


def test_the_question_keeps_the_focus_while_it_is_open(person: Person, open_list: OpenList) -> None:
    person.sign_in(IPHONE)
    page = open_list(person.sign_in())
    page.button("Sign out Safari on iPhone").click()

    for _ in range(6):
        page.page.keyboard.press("Tab")
        in_page = page.page.evaluate("document.activeElement.localName")
        assert in_page in {"session-list", "body"}  # of the page itself nothing: the browser's own bar is between
        inside = page.page.evaluate("document.querySelector('session-list').shadowRoot.activeElement?.textContent")
        assert inside in {"Cancel", "Sign out", None}


def test_a_reload_leaves_the_focus_and_what_is_open_as_they_are(person: Person, open_list: OpenList) -> None:
    person.sign_in(EDGE).end()
    phone = person.sign_in(IPHONE)
    page = open_list(person.sign_in())
    page.element.get_by_text("Why was this device signed out?").click()
    page.button("Sign out Safari on iPhone").focus()
    phone.status()
    person.sign_in(EDGE, address="127.0.0.5")

    page.page.evaluate("document.querySelector('session-list').reload()")

    page.names("Chrome on Windows 10", "Edge on Windows 10", "Safari on iPhone")
    expect(page.button("Sign out Safari on iPhone")).to_be_focused()
    expect(page.ended.locator("details p")).to_be_visible()


def test_a_device_that_leaves_the_list_leaves_the_focus_on_the_next_one(person: Person, open_list: OpenList) -> None:
    person.sign_in(IPHONE)
    edge = person.sign_in(EDGE)
    page = open_list(person.sign_in())
    page.button("Sign out Safari on iPhone").focus()

    edge.end()
    page.page.evaluate("document.querySelector('session-list').reload()")

    page.names("Chrome on Windows 10", "Safari on iPhone")
    expect(page.button("Sign out Safari on iPhone")).to_be_focused()


# Widths and languages


@pytest.mark.parametrize("lang", ["en", "uz", "ru"])
@pytest.mark.parametrize("state", ["list", "question", "ended", "error"])
def test_nothing_is_wider_than_320_pixels(person: Person, open_list: OpenList, state: State, lang: str) -> None:
    phone, mine = person.sign_in(IPHONE), person.sign_in()
    person.sign_in(EDGE).end()
    if state == "ended":
        phone.end(mine)
    page = open_list(mine, lang, viewport={"width": 320, "height": 640})
    expect(page.element.locator("section")).to_have_attribute("aria-busy", "false")
    if state == "question":
        page.element.locator("button.danger").first.click()
    elif state == "error":
        page.page.context.set_offline(True)
        expect(page.alert).to_be_visible()

    assert page.fits()
    buttons = page.element.locator("button:visible")
    assert all((box := button.bounding_box()) and box["x"] + box["width"] <= 320 for button in buttons.all())


@pytest.mark.parametrize(
    ("lang", "words"),
    {
        "uz": (
            "Siz 2 ta qurilmada tizimga kirgansiz.",
            "Shu qurilma",
            "Oxirgi faollik: 5 daqiqa oldin",
            "Boshqa barcha qurilmalardan chiqish",
            "Qurilmaning o\u02bbzida tizimdan chiqilgan.",
        ),
        "ru": (
            "Вход выполнен на 2 устройствах.",
            "Это устройство",
            "Последняя активность: 5 минут назад",
            "Выйти на всех других устройствах",
            "Выход выполнен на самом устройстве.",
        ),
    }.items(),
    ids=["uz", "ru"],
)
def test_it_speaks_the_language_of_its_attribute(
    person: Person, open_list: OpenList, lang: str, words: tuple[str, ...]
) -> None:
    person.sign_in(EDGE).end()
    person.sign_in(IPHONE)
    page = open_list(person.sign_in(), lang)
    expect(page.element.get_by_role("listitem")).to_have_count(3)
    page.page.clock.install()
    page.page.reload()
    expect(page.element.get_by_role("listitem")).to_have_count(3)

    page.page.clock.run_for(5 * 60_000 + 30_000)

    for text in words:
        expect(page.element).to_contain_text(text)
    expect(page.element.locator("section")).to_have_attribute("lang", lang)


def test_a_language_that_it_has_not_is_given_by_a_property_and_the_rest_is_english(
    person: Person, open_list: OpenList
) -> None:
    person.sign_in(IPHONE)
    page = open_list(person.sign_in(), "de-AT")
    expect(page.element).to_contain_text("You are signed in on 2 devices.")
    expect(page.element.locator("section")).to_have_attribute("lang", "en-GB")

    page.page.evaluate(
        """() => {
            document.querySelector("session-list").words = {
                de: { title: "Ihre Geräte", summary: { one: "{count} Gerät", other: "{count} Geräte" } },
            };
        }"""
    )

    expect(page.element.get_by_role("heading", name="Ihre Geräte")).to_be_visible()
    expect(page.element).to_contain_text("2 Geräte")
    expect(page.element).to_contain_text("This device")
    expect(page.element.locator("section")).to_have_attribute("lang", "de-AT")


def test_a_page_from_right_to_left_is_followed(person: Person, open_list: OpenList) -> None:
    person.sign_in(IPHONE)
    page = open_list(person.sign_in(), viewport={"width": 320, "height": 640})
    page.names("Chrome on Windows 10", "Safari on iPhone")
    row = page.devices.first

    def icon_is_right_of_name() -> bool:
        icon, name = row.locator(".icon").bounding_box(), row.locator(".name").bounding_box()
        assert icon
        assert name
        return icon["x"] > name["x"]

    assert not icon_is_right_of_name()
    page.page.evaluate("document.documentElement.dir = 'rtl'")

    assert icon_is_right_of_name()
    assert page.fits()
