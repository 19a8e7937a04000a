"""What `make run` shows in a browser; with `--screenshots`, the pictures of the documents are taken here."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_run_locally import copy_project, running
from tests.harness.paths import PROJECT
from tests.harness.session_list import NOTED

IMAGES = PROJECT / "docs" / "images"
WIDE = {"width": 900, "height": 700}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return what `make run` prints, while it runs."""
    with running(copy_project(tmp_path_factory.mktemp("copy"))) as said:
        yield said


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return where pictures go."""
    return IMAGES if request.config.getoption("--screenshots") else tmp_path


def opened(browser: Browser, said: str, path: str, scheme: str) -> Page:
    (address,) = re.findall(rf"^(http://\S+/{path}#token=\S+)$", said, re.M)
    context = browser.new_context(locale="en-GB", timezone_id="UTC", color_scheme=scheme, viewport=WIDE)  # type: ignore[arg-type]
    context.add_init_script(NOTED)
    page = context.new_page()
    page.goto(address)
    return page


def picture(page: Page, file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    page.screenshot(path=file, full_page=True)
    assert file.stat().st_size > 10_000
    assert page.evaluate("window.violations") == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_stranger_sees_four_devices_and_their_history_at_once(
    browser: Browser, said: str, folder: Path, scheme: str
) -> None:
    page = opened(browser, said, "demo", scheme)
    active = page.get_by_role("list", name="Your devices").get_by_role("listitem")
    ended = page.get_by_role("list", name="Signed out recently").get_by_role("listitem")

    expect(active).to_have_count(4)
    expect(active.first).to_contain_text("Chrome on LinuxThis device")
    expect(active.nth(1)).to_contain_text("Last used 9 hours ago")
    expect(ended).to_have_count(3)
    ended.first.locator("summary").click()
    picture(page, folder / f"devices-{scheme}.png")


def test_the_demo_speaks_three_languages(browser: Browser, said: str) -> None:
    page = opened(browser, said, "demo", "light")

    for language, title in {"uz": "Qurilmalaringiz", "ru": "Ваши устройства", "en": "Your devices"}.items():
        page.get_by_label("Language").select_option(language)
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    page.context.close()


def test_the_console_shows_the_demo_user_and_the_charts(browser: Browser, said: str, folder: Path) -> None:
    page = opened(browser, said, "console", "light")
    expect(page.locator("figure")).to_have_count(4)
    page.get_by_label("Period").select_option(label="7 days, by hour")
    page.get_by_role("button", name="Load").click()
    page.get_by_label("User id").fill("75")
    page.get_by_role("button", name="Show").click()

    expect(page.locator("#devices tbody tr")).to_have_count(4)
    expect(page.locator("#history li")).to_have_count(10)
    expect(page.locator("figure tbody").first.locator("tr")).to_have_count(168)
    picture(page, folder / "console.png")


def test_the_documents_have_the_pictures() -> None:
    shown = re.findall(r"!\[[^\]]+\]\((images/\w[\w-]*\.png)\)", (PROJECT / "docs" / "pages.md").read_text())

    assert sorted(shown) == sorted(f"images/{path.name}" for path in IMAGES.glob("*.png"))
    assert len(shown) == 3
