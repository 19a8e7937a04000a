"""Plain bodies of sign-ins are read without marshmallow: whatever is sent, the schema would have said the same."""

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import ValidationError

from session_service.views.schemas import SessionCreate, load_sign_in

SCHEMA = SessionCreate()
NAMES = st.sampled_from([*SCHEMA.fields, "user_id", ""])
TEXTS = st.text(max_size=300) | st.text(st.characters(categories=["Cs", "Cc"]), max_size=2)
VALUES = TEXTS | st.none() | st.booleans() | st.integers() | st.floats() | st.lists(st.integers(), max_size=3)


def outcome(load: Any, claimed: Any) -> Any:
    """Return what *load* makes of a body: the fields, or the messages."""
    try:
        return load(claimed)
    except ValidationError as error:
        return error.messages


@given(st.dictionaries(NAMES, VALUES, max_size=6) | VALUES | st.dictionaries(st.integers(), st.text()))
@example({})
@example({"browser": "x" * 255, "device_name": "Zo\u00eb"})
@example({"browser": "x" * 256})
@example({"browser": ""})
@example({"browser": "\0"})
@example({"browser": "\ud800"})
@example({"end": []})
@example({"end": [1]})
@example({"browser": None})
def test_any_body_is_read_as_the_schema_reads_it(claimed: Any) -> None:
    assert outcome(load_sign_in, claimed) == outcome(SCHEMA.load, claimed)
