"""`<session-list>` while the network, the service or the application's own refresh does not answer."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import expect

from tests.harness.nginx import nginx
from tests.harness.processes import free_port
from tests.harness.servers import Site, gunicorn
from tests.harness.session_list import OpenList, Person

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

CANNOT_BE_REACHED = "The service cannot be reached at the moment."
DOES_NOT_ANSWER = "The service does not answer at the moment."


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the address of a server that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_offline_is_said_and_the_list_is_updated_when_the_connection_is_back(
    person: Person, open_list: OpenList
) -> None:
    phone, mine = person.sign_in("iPhone"), person.sign_in()
    page = open_list(mine)
    expect(page.devices).to_have_count(2)

    page.page.context.set_offline(True)
    expect(page.alert).to_contain_text("You are offline.")
    expect(page.alert).to_contain_text("The list may be out of date.")
    expect(page.devices).to_have_count(2)
    expect(page.button("Try again")).to_be_hidden()
    phone.end()
    page.page.context.set_offline(False)

    expect(page.alert).to_be_hidden()
    page.names("Chrome on Windows 10")
    assert [(kind, detail["code"]) for kind, detail in page.events()] == [("error", "offline")]


def test_a_sign_out_without_a_network_says_so_and_can_be_repeated(person: Person, open_list: OpenList) -> None:
    phone = person.sign_in("iPhone")
    page = open_list(person.sign_in())
    page.devices.nth(1).get_by_role("button").click()
    page.page.context.set_offline(True)
    confirm = page.dialog.get_by_role("button", name="Sign out")

    confirm.click()
    expect(page.dialog.get_by_role("alert")).to_contain_text("You are offline.")
    expect(confirm).to_be_enabled()
    assert phone.status() == 200
    page.page.context.set_offline(False)
    confirm.click()

    expect(page.dialog).to_be_hidden()
    page.names("Chrome on Windows 10")
    assert phone.status() == 401


def test_a_service_that_dies_is_said_with_a_reference_and_asked_again_on_request(
    person: Person, open_list: OpenList, site: Site, database_url: str
) -> None:
    port, mine = free_port(), person.sign_in()
    with nginx(f"http://127.0.0.1:{port}") as gateway:
        with gunicorn(database_url, PORT=str(port), CORS_ALLOWED_ORIGINS=site.app):
            page = open_list(mine, api=gateway)
            page.names("Chrome on Windows 10")
        page.page.evaluate("document.querySelector('session-list').reload()")
        expect(page.alert).to_contain_text(f"{CANNOT_BE_REACHED} The list may be out of date.")
        expect(page.alert).to_contain_text("Reference: ")
        page.names("Chrome on Windows 10")
        ((kind, problem),) = page.events()

        with gunicorn(database_url, PORT=str(port), CORS_ALLOWED_ORIGINS=site.app):
            page.button("Try again").click()
            expect(page.alert).to_be_hidden()

    page.names("Chrome on Windows 10")
    assert (kind, problem["code"], problem["status"]) == ("error", "service_unavailable", 503)


def test_nothing_at_the_services_address_is_said(person: Person, open_list: OpenList) -> None:
    page = open_list(person.sign_in(), api=f"http://127.0.0.1:{free_port()}")

    expect(page.alert).to_have_text(CANNOT_BE_REACHED)
    assert [(kind, detail["code"]) for kind, detail in page.events()] == [("error", "unreachable")]


def test_a_slow_service_is_waited_for_and_then_given_up(person: Person, open_list: OpenList, silent: str) -> None:
    page = open_list(person.sign_in(), api=silent)

    expect(page.element).to_contain_text("Loading your devices…")
    expect(page.element.locator("section")).to_have_attribute("aria-busy", "true")
    expect(page.button("Sign out all other devices")).to_be_hidden()
    assert page.events() == []
    page.page.evaluate("const list = document.querySelector('session-list'); list.timeout = 200; list.reload()")

    expect(page.alert).to_have_text(DOES_NOT_ANSWER)
    expect(page.element.locator("section")).to_have_attribute("aria-busy", "false")
    assert [(kind, detail["code"]) for kind, detail in page.events()] == [("error", "timeout")]


def test_a_list_that_is_there_stays_while_the_service_is_slow(
    person: Person, open_list: OpenList, silent: str, site: Site
) -> None:
    page = open_list(person.sign_in())
    page.names("Chrome on Windows 10")

    # What the page has is of the other address, so it is not shown for this one.
    page.page.evaluate("api => document.querySelector('session-list').setAttribute('api', api)", silent)
    expect(page.element).to_contain_text("Loading your devices…")
    expect(page.devices).to_have_count(0)
    page.page.evaluate("api => document.querySelector('session-list').setAttribute('api', api)", site.gateway)

    page.names("Chrome on Windows 10")
    assert page.events() == []


def test_a_refresh_that_fails_is_said_and_does_not_sign_anybody_out(person: Person, open_list: OpenList) -> None:
    page = open_list(person.sign_in())
    page.names("Chrome on Windows 10")

    page.page.evaluate(
        """() => {
            const list = document.querySelector("session-list");
            list.getToken = () => Promise.reject(new TypeError("the auth server does not answer"));
        }"""
    )

    expect(page.alert).to_have_text(CANNOT_BE_REACHED)
    assert [(kind, detail["code"]) for kind, detail in page.events()] == [("error", "unreachable")]


def test_an_element_that_is_taken_out_of_the_page_asks_no_more_and_begins_anew_when_it_is_back(
    person: Person, open_list: OpenList
) -> None:
    person.sign_in("iPhone")
    page = open_list(person.sign_in())
    expect(page.devices).to_have_count(2)
    page.page.clock.install()
    page.page.reload()
    expect(page.devices).to_have_count(2)
    calls: list[str] = []
    page.page.on("request", lambda request: calls.append(request.url))

    page.page.evaluate("window.taken = document.querySelector('session-list'); window.taken.remove()")
    page.page.clock.run_for(120_000)
    assert calls == []
    page.page.evaluate("document.querySelector('main').append(window.taken)")

    expect(page.devices).to_have_count(2)
    assert len(calls) >= 1


def test_a_page_that_nobody_uses_does_not_keep_the_session_in_use(person: Person, open_list: OpenList) -> None:
    page = open_list(person.sign_in())
    page.page.clock.install()
    page.page.reload()
    page.names("Chrome on Windows 10")
    calls: list[str] = []
    page.page.on("request", lambda request: calls.append(request.method))

    page.page.clock.run_for(60 * 60_000)
    while_unused = calls.count("GET")
    page.page.mouse.click(5, 5)
    page.page.clock.run_for(31_000)

    page.names("Chrome on Windows 10")
    assert 1 <= while_unused <= 10  # of 120 that an hour has room for
    assert calls.count("GET") > while_unused
