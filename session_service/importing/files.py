"""Files as sources: JSON Lines and CSV (RFC 4180), in UTF-8, read line by line."""

import csv
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Literal, NamedTuple

import orjson

from session_service.importing.columns import Columns
from session_service.importing.left_out import LeftOut

Format = Literal["jsonl", "csv"]

MAX_LINE_BYTES = 65_536
"""Longer lines are left out. No column that is read comes near it."""

_BOM, _UTF_16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


class SourceProblem(Exception):
    """The source as a whole cannot be read. The message has no value of a row and no password."""


class FoundRow(NamedTuple):
    """A row as it was found, by the source's own columns."""

    line: int | None
    values: dict[str, object]


def read_file(file: BinaryIO, kind: Format, columns: Columns) -> Iterator[FoundRow | LeftOut]:
    """Yield the rows of *file*, and those lines that are none. Empty lines are passed over.

    Raises:
        SourceProblem: it cannot be read, it is not UTF-8, or a CSV file has no line of column names or lacks a column.
    """
    lines = _lines(file)
    return _read_json_lines(lines) if kind == "jsonl" else _read_csv(lines, columns)


class _Line(NamedTuple):
    number: int
    content: bytes | None
    """None if it is too long."""

    def too_long(self) -> LeftOut:
        return LeftOut(self.number, None, "too_long", f"the line has more than {MAX_LINE_BYTES:,} bytes")


def _lines(file: BinaryIO) -> Iterator[_Line]:
    """Yield the lines with their ends; of one that is too long, only a piece is in memory at a time."""
    number = 0
    try:
        while content := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if number == 1:
                if content.startswith(_UTF_16):
                    raise SourceProblem("it is UTF-16; it must be UTF-8")
                content = content.removeprefix(_BOM)
            if len(content) <= MAX_LINE_BYTES:
                yield _Line(number, content)
                continue
            while content and not content.endswith(b"\n"):
                content = file.readline(MAX_LINE_BYTES)
            yield _Line(number, None)
    except OSError as error:
        raise SourceProblem(f"it cannot be read: {error.strerror}") from error


def _read_json_lines(lines: Iterator[_Line]) -> Iterator[FoundRow | LeftOut]:
    for line in lines:
        if line.content is None:
            yield line.too_long()
        elif content := line.content.strip():
            try:
                content.decode()
                found = orjson.loads(content)
            except UnicodeDecodeError:
                yield LeftOut(line.number, None, "encoding", "the line is not UTF-8")
            except orjson.JSONDecodeError:
                yield LeftOut(line.number, None, "json", "the line is not JSON")
            else:
                is_row = isinstance(found, dict)
                why = "the line is JSON, but no object"
                yield FoundRow(line.number, found) if is_row else LeftOut(line.number, None, "json", why)


def _read_csv(lines: Iterator[_Line], columns: Columns) -> Iterator[FoundRow | LeftOut]:
    text = _CsvText(lines)
    rows = csv.reader(text)
    names: Sequence[str] | None = None
    while True:
        first = text.number + 1
        try:
            row = next(rows, None)
        except csv.Error:
            yield LeftOut(first, None, "csv", "a quoted field does not end, or is too long")
            continue
        yield from text.taken()
        if row is None:
            break
        if not row:
            continue
        if names is None:
            names = [name.strip() for name in row]
            problem = columns.problem_of(names)
            if problem:
                raise SourceProblem(problem)
        elif len(row) != len(names):
            yield LeftOut(first, None, "columns", f"the row has {len(row)} fields, the first line has {len(names)}")
        elif any("\udc80" <= char <= "\udcff" for field in row for char in field if not field.isascii()):
            yield LeftOut(first, None, "encoding", "the row is not UTF-8")
        else:
            yield FoundRow(first, {name: field or None for name, field in zip(names, row, strict=True)})
    if names is None:
        raise SourceProblem("it has no line of column names")


class _CsvText:
    """The lines as texts, for `csv.reader`. A line that is too long is an empty one, and is reported."""

    def __init__(self, lines: Iterator[_Line]) -> None:
        self._lines = lines
        self._too_long: list[LeftOut] = []
        self.number = 0

    def __iter__(self) -> "_CsvText":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number = line.number
        if line.content is None:
            self._too_long.append(line.too_long())
            return "\n"
        return line.content.decode("utf-8", "surrogateescape")

    def taken(self) -> list[LeftOut]:
        """Return the lines that were too long since the last call."""
        taken, self._too_long = self._too_long, []
        return taken
