"""How often a request waits for the database: a change that adds a wait is to be noticed."""

from session_service.app import create_app
from session_service.database.engine import db
from tests.harness.devices import OFFICE
from tests.harness.outage import proxied
from tests.harness.postgres import PostgresServer
from tests.harness.support import CHROME, FIREFOX, IPHONE, settings, sign_in_with


def test_a_sign_in_with_an_eviction_is_two_round_trips_and_a_check_is_one(server: PostgresServer) -> None:
    with proxied(server) as (proxy, through):
        app = create_app(settings(DATABASE_URL=through, MAX_SESSIONS_PER_USER=2, ACTIVITY_INTERVAL_SECONDS=60))
        sign_in = sign_in_with(app.test_client())
        for agent in (IPHONE, FIREFOX, CHROME):  # statements are prepared once for each connection
            sign_in(75, user_agent=agent).get("/sessions/validate")
        for agent in (IPHONE, FIREFOX):
            sign_in(user_agent=agent)
        # An answer comes long after everything that is sent at once, so that no part of it counts by itself.
        proxy.mode, proxy.delay = "delay answers", 0.02
        before = proxy.round_trips
        third = sign_in(address=OFFICE)
        of_the_sign_in = proxy.round_trips - before
        third.get("/sessions/validate")
        of_a_check = proxy.round_trips - before - of_the_sign_in
        with app.app_context():
            db.engine.dispose()

    assert [one["end_reason"] for one in third.session["evicted"]] == ["limit"]
    assert (of_the_sign_in, of_a_check) == (2, 1)
