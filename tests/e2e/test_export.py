"""The export of a person's data as a process: its encoding, and a reader that goes away."""

import json
from subprocess import PIPE

from flask import Flask
from sqlalchemy import text

from session_service.database.engine import db
from tests.harness.commands import command_process
from tests.harness.people import PERSON, lead_a_life
from tests.harness.support import MakeApp, sign_in_with


def test_an_export_is_utf_8_wherever_it_is_written_to(make_app: MakeApp, database_url: str) -> None:
    app = make_app(USER_ID_TYPE="string")
    sign_in_with(app.test_client())("Zoë", user_agent="x", body={"device_name": "Zoës Gerät 📱"})

    with command_process(
        database_url, "export", "Zoë", stderr=PIPE, USER_ID_TYPE="string", PYTHONIOENCODING="ascii", PYTHONUTF8="1"
    ) as one:
        said, complaints = one.communicate(timeout=60)

    assert (one.returncode, complaints) == (0, b"")
    owner, session, *_ = [json.loads(line) for line in said.decode().splitlines()]
    assert owner == {"kind": "owner", "user_id": "Zoë"}
    assert session["device_name"] == "Zoës Gerät 📱"
    assert "Gerät".encode() in said


def test_an_export_whose_reader_goes_away_ends_without_a_word(app: Flask, database_url: str) -> None:
    lead_a_life(app)
    with app.app_context(), db.engine.begin() as connection:
        names = ", ".join(
            column.name for column in db.metadatas[None].tables["sessions"].columns if column.name != "id"
        )
        for _ in range(10):
            connection.execute(text(f"INSERT INTO sessions ({names}) SELECT {names} FROM sessions"))

    with command_process(database_url, "export", str(PERSON), stderr=PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        complaints = process.stderr.read()
        process.wait(timeout=60)

    assert json.loads(first)["kind"] == "owner"
    assert complaints == b""
