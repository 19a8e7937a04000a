"""Every error in one shape, whoever raises it: the router, the framework, the token library, our own faults."""

import logging

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import exceptions as jwt_extended
from jwt import InvalidAudienceError, MissingRequiredClaimError
from werkzeug.test import TestResponse

from session_service import errors
from session_service.errors import SessionServiceError
from session_service.views.problems import STATUS
from tests.harness.support import body, make_token

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


def assert_problem(response: TestResponse, status: int, code: str) -> None:
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert response.json["code"] == code
    assert response.json["status"] == status
    assert set(body(response)) >= MEMBERS
    assert response.json["request_id"] == response.headers["X-Request-ID"]
    assert response.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/sessions", 404, "not_found"),
        ("GET", "/sessions/", 404, "not_found"),
        ("GET", "/sessions/my-sessions/", 404, "not_found"),
        ("GET", "//sessions//my-sessions", 404, "not_found"),
        ("GET", "/sessions/../etc/passwd", 404, "not_found"),
        ("GET", "/docs/../app.py", 404, "not_found"),
        ("GET", "/docs/%2e%2e/app.py", 404, "not_found"),
        ("PUT", "/sessions/create", 405, "method_not_allowed"),
        ("GET", "/sessions/logout", 405, "method_not_allowed"),
        ("BREW", "/healthz", 405, "method_not_allowed"),
        ("GET", "/sessions/my-sessions", 401, "token_missing"),
    ],
)
def test_the_routers_errors_are_problems_too(
    client: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    assert_problem(client.open(path, method=method), status, code)


def test_a_wrong_method_names_the_right_ones(client: FlaskClient) -> None:
    assert set(client.put("/sessions/create").headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


RAISED = {
    "csrf": jwt_extended.CSRFError("x"),
    "fresh": jwt_extended.FreshTokenRequired("x", {}, {}),
    "revoked": jwt_extended.RevokedTokenError({}, {}),
    "claims": jwt_extended.UserClaimsVerificationError("x", {}, {}),
    "user": jwt_extended.UserLookupError("x", {}, {}),
    "wrong token": jwt_extended.WrongTokenError("x"),
    "decode": jwt_extended.JWTDecodeError("x"),
    "query": jwt_extended.InvalidQueryParamError("x"),
    "missing claim": MissingRequiredClaimError("x"),
    "audience": InvalidAudienceError("x"),
}


@pytest.mark.parametrize("raised", RAISED.values(), ids=RAISED)
def test_every_loader_of_the_token_library_answers_in_our_shape(new_app: Flask, raised: Exception) -> None:
    @new_app.get("/raise")
    def fail() -> str:
        raise raised

    code = "token_missing" if isinstance(raised, jwt_extended.CSRFError) else "token_invalid"
    assert_problem(new_app.test_client().get("/raise"), 401, code)


def test_a_fault_of_our_own_tells_the_log_and_not_the_caller(new_app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    @new_app.get("/raise")
    def fail() -> str:
        raise ZeroDivisionError("a secret of the code")

    with caplog.at_level(logging.ERROR):
        response = new_app.test_client().get(f"/raise?token={make_token()}")

    assert_problem(response, 500, "internal_error")
    assert "secret" not in response.text
    assert "a secret of the code" in caplog.text
    assert response.json["request_id"] in caplog.text
    assert make_token() not in caplog.text


def concrete(kind: type[SessionServiceError]) -> list[type[SessionServiceError]]:
    """Return the errors below *kind* that have a code."""
    found = [kind] if hasattr(kind, "code") else []
    return found + [one for below in kind.__subclasses__() for one in concrete(below)]


def test_every_error_has_one_status_and_a_code_of_its_own() -> None:
    kinds = concrete(SessionServiceError)

    assert set(kinds) == set(STATUS)
    # With `adopt`, what would refuse a sign-in refuses a token's first sight by the same code, as 401.
    adopting = {errors.LimitRefusesAdoption, errors.RateRefusesAdoption}
    assert len({kind.code for kind in kinds}) == len(kinds) - len(adopting)
    assert len({(kind.code, STATUS[kind]) for kind in kinds}) == len(kinds)
    assert all(kind.__doc__ and kind.detail for kind in kinds)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)
