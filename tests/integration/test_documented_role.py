"""The role and the database that the documents make for a first production start."""

import re
from urllib.parse import urlsplit

import psycopg
import pytest
from flask_migrate import upgrade

from session_service.app import create_app
from session_service.database.engine import db
from tests.harness.paths import PROJECT
from tests.harness.support import settings, sign_in_with


def test_the_documented_role_and_database_are_enough_for_the_service(postgres: str) -> None:
    (statements,) = re.findall(r"^```sql\n(.*?)```", (PROJECT / "docs" / "deploy.md").read_text(), re.M | re.S)
    where = urlsplit(postgres)._replace(path="/sessions")
    with psycopg.connect(postgres, autocommit=True) as administrator:
        try:
            for statement in statements.split(";\n"):
                administrator.execute(statement.encode())
            administrator.execute("CREATE ROLE somebody_else LOGIN")
            app = create_app(settings(DATABASE_URL=where._replace(netloc="sessions@").geturl()))
            with app.app_context():
                upgrade()
                db.engine.dispose()
            created = sign_in_with(app.test_client())(74)
            with app.app_context():
                db.engine.dispose()
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                psycopg.connect(where._replace(netloc="somebody_else@").geturl())
        finally:
            administrator.execute("DROP DATABASE sessions WITH (FORCE)")
            administrator.execute("DROP ROLE sessions, somebody_else")

    assert created.session["is_active"]
