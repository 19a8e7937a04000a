"""Requests that nobody means well with, one a row, each with the reason that it is there: 4xx, and nothing changed.

Some go over raw sockets to a real gunicorn, for no client library would send them.
"""

import pytest

from tests.harness.hostile import CREDENTIALS, RAW, TABLE, tables
from tests.harness.support import MakeApp, SignedIn, sign_in_with


@pytest.fixture
def admin(make_app: MakeApp) -> SignedIn:
    """Return an admin who is signed in, so that no request fails for want of credentials."""
    return sign_in_with(make_app(SERVICE_CREDENTIALS=CREDENTIALS).test_client())(74, role="admin")


@pytest.mark.parametrize("name", TABLE)
def test_hostile_requests_are_refused_and_change_nothing(admin: SignedIn, name: str) -> None:
    _, sent, (status, code) = TABLE[name]
    app = admin.client.application
    before = tables(app)

    response = admin.client.open(**{**sent, "headers": {**admin.headers, **sent.get("headers", {})}})

    assert (response.status_code, response.json["code"]) == (status, code), response.text[:300]
    assert response.content_type == "application/problem+json"
    assert tables(app) == before


def test_the_table_is_as_long_as_it_should_be_and_gives_its_reasons() -> None:
    assert len(TABLE) + len(RAW) >= 80
    assert all(row[0] for row in [*TABLE.values(), *RAW.values()])


# Over raw sockets
