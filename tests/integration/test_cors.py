"""Pages of other origins: one Access-Control-Allow-Origin on every status, and only for those that are allowed."""

from typing import Any

import pytest

from session_service.app import create_app
from tests.harness.support import MakeApp, make_token, settings

APP = "https://app.example.com"
TOKEN = {"Authorization": f"Bearer {make_token()}"}


@pytest.mark.parametrize(
    "path", ["/sessions/create", "/sessions/user/74", "/sessions/session/1", "/healthz", "/nothing"]
)
def test_a_preflight_answers_without_a_token(make_app: MakeApp, path: str) -> None:
    client = make_app(CORS_ALLOWED_ORIGINS=(APP,)).test_client()

    response = client.options(
        path,
        headers={
            "Origin": APP,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )

    assert response.status_code == 200
    assert response.headers.getlist("Access-Control-Allow-Origin") == [APP]
    assert set(response.headers["Access-Control-Allow-Methods"].split(", ")) == {"GET", "POST", "DELETE"}
    assert response.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "status"),
    [
        ("POST", "/sessions/create", {"headers": TOKEN}, 201),
        ("GET", "/sessions/my-sessions", {"headers": TOKEN}, 200),
        ("GET", "/sessions/my-sessions", {}, 401),
        ("GET", "/sessions/user/74", {"headers": TOKEN}, 403),
        ("GET", "/sessions/session/99", {"headers": TOKEN}, 404),
        ("GET", "/nothing", {}, 404),
        ("PUT", "/sessions/create", {}, 405),
        ("DELETE", "/sessions/logout-all?exclude_current=1", {"headers": TOKEN}, 409),
        ("POST", "/sessions/create", {"headers": TOKEN, "data": b"x" * 20_000}, 413),
        ("POST", "/sessions/create", {"headers": TOKEN, "data": b"x"}, 415),
        ("GET", "/sessions/my-sessions?include_inactive=x", {"headers": TOKEN}, 422),
    ],
)
def test_every_status_names_the_origin_once(
    make_app: MakeApp, method: str, path: str, kwargs: dict[str, Any], status: int
) -> None:
    client = make_app(CORS_ALLOWED_ORIGINS=(APP, "https://other.example.com")).test_client()

    response = client.open(path, method=method, **{**kwargs, "headers": {"Origin": APP, **kwargs.get("headers", {})}})

    assert response.status_code == status
    assert response.headers.getlist("Access-Control-Allow-Origin") == [APP]
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_503_and_500_name_it_too() -> None:
    app = create_app(settings(DATABASE_URL="postgresql://x@127.0.0.1:9/x", CORS_ALLOWED_ORIGINS=("*",)))

    @app.get("/raise")
    def fail() -> str:
        raise ZeroDivisionError

    for path, status in (("/sessions/my-sessions", 503), ("/raise", 500)):
        response = app.test_client().get(path, headers={"Origin": APP, **TOKEN})
        assert (response.status_code, response.headers.getlist("Access-Control-Allow-Origin")) == (status, ["*"])


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "https://app.example.com.evil.com", "null", "http://app.example.com"]
)
def test_other_origins_are_not_named(make_app: MakeApp, origin: str) -> None:
    client = make_app(CORS_ALLOWED_ORIGINS=(APP,)).test_client()

    for method in ("GET", "OPTIONS"):
        response = client.open("/sessions/my-sessions", method=method, headers={"Origin": origin, **TOKEN})
        assert "Access-Control-Allow-Origin" not in response.headers


def test_without_the_setting_no_origin_is_named(make_app: MakeApp) -> None:
    response = make_app().test_client().get("/sessions/my-sessions", headers={"Origin": APP, **TOKEN})

    assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
