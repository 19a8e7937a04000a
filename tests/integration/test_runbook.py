"""The SQL of the runbook, on both databases."""

import re

from flask import Flask
from sqlalchemy import text

from session_service.database.engine import db
from tests.harness.monitoring import section
from tests.harness.support import SignIn


def test_the_query_of_the_runbook_shows_whose_sessions_are_the_newest(app: Flask, sign_in: SignIn) -> None:
    for user_id in (74, 75, 74):
        sign_in(user_id=user_id)
    (query,) = re.findall(r"```sql\n([^`]*? FROM sessions .*?)```", section("Alerts"), re.S)

    with app.app_context(), db.engine.connect() as connection:
        assert connection.execute(text(query)).all() == [("74", 2), ("75", 1)]
