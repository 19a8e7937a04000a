"""Which session is this token's? The ladder as a table, on both databases; today's tokens first."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from session_service.database import session_queries
from session_service.database.transaction import transaction
from session_service.errors import SessionEnded
from session_service.records import Client, Principal, StoredSession, Token
from session_service.services import current_session
from session_service.services.sessions import SessionService
from session_service.services.sign_in import SignIn
from tests.harness.ladder import (
    ADOPTING,
    DAY,
    HOME,
    NEW,
    NOON,
    OFFICE,
    OUT_AT_HOME,
    STREET,
    TABLE,
    TICK,
    Call,
    Was,
    put,
    read,
)
from tests.harness.support import CHROME, FIREFOX, MakeApp, components_of, make_token


def check(service: SessionService, on_record: list[Was], call: Call, meant: int | None) -> None:
    sessions = [put(service.settings, was) for was in on_record]
    token, client = read(service.settings, call[0]), Client(call[1], call[2])
    expected = sessions[meant - 1] if meant else None
    has_ended = bool(meant) and not is_active(service, sessions[(meant or 1) - 1])
    before = remembered(token)

    if has_ended:
        with pytest.raises(SessionEnded):
            current_session.current_session(token, client, service.settings, now=NOON)
    found = current_session.current_session(token, client, service.settings, now=NOON, may_have_ended=has_ended)

    assert (found and found.id) == (expected and expected.id)
    if token.sid is None:
        newly = set() if has_ended or expected is None else {expected.id}
        assert remembered(token) == before | newly


def is_active(service: SessionService, session: StoredSession) -> bool:
    with transaction():
        return session.id in {one.id for one in session_queries.list_active("74", NOON, service.settings.idle)}


def remembered(token: Token) -> set[int]:
    with transaction():
        return {one.id for one in session_queries.list_by_token(token)}


@pytest.mark.parametrize("name", TABLE)
def test_a_call_belongs_to_the_session_that_is_meant(service: SessionService, name: str) -> None:
    check(service, *TABLE[name])


@pytest.mark.parametrize("name", ADOPTING)
def test_where_sessions_are_adopted_a_computer_elsewhere_is_another_one(service: SessionService, name: str) -> None:
    service.settings = replace(service.settings, UNKNOWN_SESSION_POLICY="adopt")

    check(service, *ADOPTING[name])


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len(TABLE) + len(ADOPTING) >= 60


def test_without_an_idle_timeout_a_device_that_was_thrown_out_is_recognised_for_a_week(service: SessionService) -> None:
    service.settings = replace(service.settings, SESSION_IDLE_SECONDS=0)
    check(service, [Was(end="admin", ended=7 * DAY - TICK)], (NEW, CHROME, HOME), 1)
    check(service, [Was(end="admin", agent=FIREFOX, ended=7 * DAY)], (NEW, FIREFOX, HOME), None)


def test_with_a_short_idle_timeout_it_is_recognised_for_as_long_as_that(service: SessionService) -> None:
    service.settings = replace(service.settings, SESSION_IDLE_SECONDS=1_800)

    check(service, [Was(end="admin", ended=timedelta(minutes=30))], (NEW, CHROME, HOME), None)
    check(service, [Was(end="admin", agent=FIREFOX, ended=timedelta(minutes=29))], (NEW, FIREFOX, HOME), 1)


def test_a_refreshed_token_is_remembered_so_that_the_device_may_move(service: SessionService) -> None:
    home, _ = put(service.settings, Was()), put(service.settings, Was(place=OFFICE))
    token = read(service.settings, NEW)

    for place in (HOME, OFFICE, STREET):
        found = current_session.current_session(token, Client(CHROME, place), service.settings, now=NOON)
        assert found
        assert found.id == home.id


def test_a_refusal_is_not_remembered_and_a_new_sign_in_is_let_in(service: SessionService) -> None:
    put(service.settings, OUT_AT_HOME)
    token, client = read(service.settings, NEW), Client(CHROME, HOME)
    with pytest.raises(SessionEnded):
        current_session.current_session(token, client, service.settings, now=NOON)

    created = SignIn(service.settings).create_session(
        {}, by=Principal(user_id="74"), token=token, client=client, now=NOON
    )
    found = current_session.current_session(token, client, service.settings, now=NOON)

    assert found
    assert found.id == created["id"]


def test_a_token_is_the_same_whatever_its_signature(make_app: MakeApp) -> None:
    """ECDSA signs with a random number, and anybody can turn one signature into another that is as good."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    signed, again = (make_token(74, key=private, algorithm="ES256") for _ in range(2))
    app = make_app(JWT_PUBLIC_KEY=public)
    with app.app_context():
        service = components_of(app).sessions
        session = put(service.settings, Was(signed))
        found = current_session.current_session(
            read(service.settings, again), Client(FIREFOX, STREET), service.settings, now=NOON
        )

    assert signed != again
    assert found
    assert found.id == session.id
