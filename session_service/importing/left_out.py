"""Why a row of a source does not become a session."""

from typing import NamedTuple

NOT_NEEDED = frozenset({"idle", "expired", "past_retention", "same_device"})
"""The codes of rows that are all right, but from which no session comes. All other codes are faults of the source."""


class RowProblem(Exception):
    """A row cannot become a session, for a reason: a code for programs, a sentence for people. Neither has a value."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class LeftOut(NamedTuple):
    """A row that did not become a session of its own."""

    line: int | None
    """Of a file, counted from 1; None in a table."""
    source_id: str | None
    """None if it could not be read."""
    code: str
    why: str
