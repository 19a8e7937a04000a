"""Every route has a guard, or is on the short list of those that need none."""

from flask import Flask

from session_service.views.guards import require_admin_or_service, require_service, require_user

OPEN = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/<name>",
    "/sessions/ui/<name>",
    "/console",
    "/console/<name>",
}
GUARDS = {
    "sessions": require_user,
    "validation": require_user,
    "introspection": require_service,
    "feed": require_service,
    "admin": require_admin_or_service,
    "search": require_admin_or_service,
    "statistics": require_admin_or_service,
}


def test_every_route_is_guarded_or_meant_to_be_open(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        blueprint = rule.endpoint.rpartition(".")[0]
        if rule.rule not in OPEN:
            assert GUARDS[blueprint] in app.before_request_funcs[blueprint], rule.rule


def test_no_guarded_route_answers_without_credentials(app: Flask) -> None:
    client, tried = app.test_client(), 0
    for rule in app.url_map.iter_rules():
        if rule.rule in OPEN:
            continue
        path = rule.rule.replace("<session_id>", "1").replace("<rest:user_id>", "1")
        for method in (rule.methods or set()) - {"OPTIONS"}:
            response = client.open(path, method=method)
            assert response.status_code == 401, (method, path)
            scheme = "Basic" if GUARDS[rule.endpoint.rpartition(".")[0]] is require_service else "Bearer"
            assert response.headers["WWW-Authenticate"].startswith(scheme)
            tried += 1

    assert tried == 24


def test_only_create_skips_the_current_session_and_only_logout_allows_an_ended_one(app: Flask) -> None:
    declared = {
        name: {endpoint for endpoint, view in app.view_functions.items() if hasattr(view, name)}
        for name in ("skips_current_session", "allows_ended_session")
    }

    assert declared == {
        "skips_current_session": {"sessions.create_session"},
        "allows_ended_session": {"sessions.logout"},
    }
