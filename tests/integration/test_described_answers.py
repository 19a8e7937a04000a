"""Answers are as the OpenAPI document describes them."""

import jsonschema
from flask.testing import FlaskClient

from tests.harness.api_description import operations, schema_of
from tests.harness.support import SignIn, body


def test_answers_are_as_they_are_described(client: FlaskClient, sign_in: SignIn) -> None:
    document = body(client.get("/openapi.json"))
    admin = {"role": "admin"}
    calls = [
        ("POST", "/sessions/create", "/sessions/create", 201),
        ("GET", "/sessions/my-sessions", "/sessions/my-sessions?include_inactive=true", 200),
        ("GET", "/sessions/session/{session_id}", "/sessions/session/{id}", 200),
        ("GET", "/sessions/user/{user_id}", "/sessions/user/74?include_inactive=true", 200),
        ("GET", "/sessions/active-devices-count", "/sessions/active-devices-count", 200),
        ("POST", "/sessions/update-activity", "/sessions/update-activity", 200),
        ("GET", "/sessions/validate", "/sessions/validate", 200),
        ("GET", "/sessions/statistics", "/sessions/statistics?by=day&last=2", 200),
        ("GET", "/sessions/search", "/sessions/search?user_id=74&limit=1", 200),
        ("GET", "/sessions/search", "/sessions/search?os=iOS", 422),
        ("DELETE", "/sessions/user/{user_id}", "/sessions/user/75", 200),
        ("DELETE", "/sessions/session/{session_id}", "/sessions/session/999999", 404),
        ("DELETE", "/sessions/logout-all", "/sessions/logout-all?exclude_current=true", 200),
        ("DELETE", "/sessions/logout", "/sessions/logout", 200),
        ("GET", "/sessions/my-sessions", "/sessions/my-sessions", 401),
        ("GET", "/sessions/validate", "/sessions/validate", 401),
        ("POST", "/sessions/introspect", "/sessions/introspect", 401),
        ("GET", "/healthz", "/healthz", 200),
        ("GET", "/readyz", "/readyz", 200),
    ]
    sign_in(user_agent="Firefox", **admin).delete("/sessions/logout")
    device = sign_in(**admin)

    for method, template, path, status in calls:
        response = device.call(method, path.replace("{id}", str(device.session["id"])))
        assert response.status_code == status, (method, path, response.json)
        described = operations(document)[(method, template)]["responses"][str(status)]
        assert response.mimetype in described["content"]
        jsonschema.validate(response.json, schema_of(document, described))
        if status == 201:
            device.session = body(response)
