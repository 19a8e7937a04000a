"""Reads a whole source into the temporary file, and keeps account of the rows that are left out."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

import orjson

from session_service.database.staging import Staging
from session_service.importing.columns import Columns
from session_service.importing.files import FoundRow
from session_service.importing.left_out import NOT_NEEDED, LeftOut, RowProblem
from session_service.importing.rows import RowRules, read_row, read_source_id
from session_service.importing.staged import stage

_SAY_EVERY = 10_000


@dataclass
class Report:
    """Writes each row that is left out as a line of JSON, and counts them by their codes."""

    output: TextIO
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, left_out: LeftOut) -> None:
        """Report a row. The line contains its number, its id and the reason, and nothing else of the row."""
        self.counts[left_out.code] += 1
        line = {"line": left_out.line, "id": left_out.source_id, "code": left_out.code, "why": left_out.why}
        content = orjson.dumps({name: value for name, value in line.items() if value is not None})
        self.output.write(content.decode() + "\n")

    @property
    def faults(self) -> int:
        """How many rows were left out because of the source, rather than because no session comes from them."""
        return sum(number for code, number in self.counts.items() if code not in NOT_NEEDED)


def stage_all(
    found: Iterable[FoundRow | LeftOut], columns: Columns, rules: RowRules, staging: Staging, report: Report
) -> Iterator[int]:
    """Read all rows, stage those from which sessions come, and report the others; yield how many were read so far.

    Of two rows with one id, the first counts.

    Raises:
        SourceProblem: the source cannot be read to its end.
    """
    number = 0
    for number, row in enumerate(found, 1):
        if isinstance(row, LeftOut):
            report.add(row)
        else:
            _stage(row, columns, rules, staging, report.add)
        if number % _SAY_EVERY == 0:
            yield number
    yield number


def _stage(
    row: FoundRow, columns: Columns, rules: RowRules, staging: Staging, leave_out: Callable[[LeftOut], None]
) -> None:
    values, source_id = columns.pick(row.values), None
    try:
        source_id = read_source_id(values)
        imported = read_row(values, rules)
    except RowProblem as problem:
        leave_out(LeftOut(row.line, source_id, problem.code, problem.why))
        return
    if not staging.add(stage(imported, row.line)):
        first = staging.line_of(source_id)
        why = "an earlier row has the same id" + (f": line {first}" if first else "")
        leave_out(LeftOut(row.line, source_id, "duplicate_id", why))
