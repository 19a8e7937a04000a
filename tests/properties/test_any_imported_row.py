"""Whatever a source holds, a row becomes a session that both databases can store, or a reason."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from session_service.database.models import UserSession
from session_service.importing.columns import COLUMNS, Columns
from session_service.importing.left_out import RowProblem
from session_service.importing.rows import ImportedRow, RowRules, read_row
from session_service.importing.staged import stage, unstage
from session_service.rules import policy
from tests.harness.support import CHROME, FIREFOX, settings

NOW = datetime(2026, 2, 8, 12, tzinfo=UTC)
RULES = [
    RowRules(settings(USER_ID_TYPE=kind, MASK_ADDRESSES=masked), NOW, zone)
    for kind, masked, zone in (("integer", False, None), ("string", True, ZoneInfo("Europe/Berlin")))
]
LENGTHS = {column.name: getattr(column.type, "length", None) for column in UserSession.__table__.columns}

times = st.one_of(
    st.datetimes(timezones=st.one_of(st.none(), st.timezones())).map(str),
    st.integers(1_767_225_600, 1_770_638_400),
    st.integers(1_767_225_600, 1_770_638_400).map(lambda at: datetime.fromtimestamp(at, UTC).isoformat()),
)
texts = st.one_of(
    st.text(), st.text(st.characters()), st.sampled_from([CHROME, FIREFOX[:40], "203.0.113.7", "unknown"])
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)
rows = st.fixed_dictionaries(
    {"id": st.integers(1, 9) | anything, "user_id": st.integers(1, 9) | anything, "created_at": times | anything},
    optional={name: (times if name.endswith(("_at", "_activity")) else texts) | anything for name in COLUMNS[3:]},
)


def check(imported: ImportedRow, rules: RowRules) -> None:
    session = imported.session
    for name, value in session._asdict().items():
        if isinstance(value, str):
            value.encode()
            assert "\0" not in value
            assert len(value) <= (LENGTHS[name] or 0), name
    assert session.created_at <= session.last_activity <= rules.now
    end = policy.end_of(session, rules.now, rules.settings.idle)
    assert (end is None) == (session.ended_at is None)
    assert session.ended_at is None or (session.end_reason is not None and session.ended_at <= rules.now)
    assert unstage(stage(imported, 1)) == imported


@given(rows, st.sampled_from(RULES))
def test_any_row_is_a_session_or_a_reason(row: dict[str, Any], rules: RowRules) -> None:
    with suppress(RowProblem):
        check(read_row(Columns().pick(row), rules), rules)
