"""The console in a real browser: an admin's token, and the page once it is used."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.harness.support import make_token

ADMIN = 1

OpenConsole = Callable[..., Page]
"""Opens the console; at the end of the test it has violated no policy and thrown nothing."""


def admin_token(**claims: Any) -> str:
    return make_token(ADMIN, role="admin", **claims)


def signed_in(page: Page) -> Page:
    """Wait until the charts are shown."""
    expect(page.locator("figure")).to_have_count(4)
    return page


def show(page: Page, user_id: int) -> None:
    page.get_by_label("User id").fill(str(user_id))
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name=f"Devices of user {user_id}")).to_be_visible()
