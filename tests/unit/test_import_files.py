"""Files as sources: whatever bytes they hold, each line is a row or a reason, and memory is bounded."""

import io
import tracemalloc
from collections.abc import Iterator

import pytest

from session_service.importing.columns import Columns
from session_service.importing.files import MAX_LINE_BYTES, Format, FoundRow, SourceProblem, read_file
from session_service.importing.left_out import LeftOut

HEADER = b"id,user_id,created_at\n"


def found(content: bytes, kind: Format) -> list[FoundRow | LeftOut]:
    return list(read_file(io.BytesIO(content), kind, Columns()))


def in_short(content: bytes, kind: Format) -> list[tuple[int | None, object]]:
    """Return the line of each row with its id, or with the code of its reason."""
    return [(one.line, one.code if isinstance(one, LeftOut) else one.values.get("id")) for one in found(content, kind)]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", []),
        (b"\n\n", []),
        (b'\xef\xbb\xbf{"id": 1}\r\n\r\n{"id": 2}', [(1, 1), (3, 2)]),
        (b'{"id": 1}\n\xff\xfe\n{"id": "\xc3\x28"}\n{"id": 2}\n', [(1, 1), (2, "encoding"), (3, "encoding"), (4, 2)]),
        (b'{"id": 1\n[1]\nnull\n"x"\n{"id": NaN}\n{"id": "\\ud800"}', [(n, "json") for n in range(1, 7)]),
        (b"[" * 5_000 + b'\n{"a": ' * 1 + b"[" * 5_000 + b"\n", [(1, "json"), (2, "json")]),
        (b'{"id": "a\\u0000b"}\n', [(1, "a\0b")]),
        (b'{"id": 1}\x00\n{"id": 2}\n', [(1, "json"), (2, 2)]),
        (b'{"id": "' + b"x" * MAX_LINE_BYTES + b'"}\n{"id": 2}\n', [(1, "too_long"), (2, 2)]),
    ],
)
def test_lines_of_json(content: bytes, rows: list[tuple[int, object]]) -> None:
    assert in_short(content, "jsonl") == rows


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (HEADER, []),
        (b"\xef\xbb\xbf" + HEADER.replace(b"\n", b"\r\n") + b"1,74,x\r\n\r\n2,74,x\r\n", [(2, "1"), (4, "2")]),
        (b" id , user_id,created_at\n1,74,x", [(2, "1")]),
        (HEADER + b'"1\n2",74,x\n3,74,x\n', [(2, "1\n2"), (4, "3")]),
        (HEADER + b"1,74\n2,74,x,y\n3,74,x\n", [(2, "columns"), (3, "columns"), (4, "3")]),
        (HEADER + b"1,74,\xff\n2,74,\xc3\xa9\n", [(2, "encoding"), (3, "2")]),
        (HEADER + b"1\x00,74,x\n2,74,x\n", [(2, "1\0"), (3, "2")]),
        (HEADER + b"1," + b"7" * MAX_LINE_BYTES + b",x\n2,74,x\n", [(2, "too_long"), (3, "2")]),
        (HEADER + b",,\n", [(2, None)]),
    ],
)
def test_rows_of_csv(content: bytes, rows: list[tuple[int, object]]) -> None:
    assert in_short(content, "csv") == rows


def test_a_quote_that_does_not_end_costs_the_rows_up_to_a_limit_and_the_rest_is_read() -> None:
    content = HEADER + b'1,74,"\n' + b"9,74,x\n" * 40_000 + b'2,74,"x"\n3,74,x\n'

    read = in_short(content, "csv")

    assert read[0] == (2, "csv")
    assert read[-1] == (40_004, "3")
    assert len(read) > 10_000


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b"", "csv", "no line of column names"),
        (b"\n\n", "csv", "no line of column names"),
        (b"id,user_id\n1,74\n", "csv", "no column 'created_at'"),
        (b"id;user_id;created_at\n", "csv", "no column 'id'"),
        (b"id,user_id,created_at,id\n", "csv", "two columns of one name"),
        ("id,user_id,created_at\n".encode("utf-16"), "csv", "UTF-16"),
        ('{"id": 1}\n'.encode("utf-16"), "jsonl", "UTF-16"),
    ],
)
def test_a_source_that_cannot_be_read_at_all(content: bytes, kind: Format, why: str) -> None:
    with pytest.raises(SourceProblem, match=why):
        found(content, kind)


class Endless(io.RawIOBase):
    """A line of so many bytes that is nowhere as a whole."""

    def __init__(self, size: int, tail: bytes) -> None:
        self._pieces = self._make(size, tail)

    def _make(self, size: int, tail: bytes) -> Iterator[bytes]:
        piece = b"x" * 8_192
        for _ in range(size // len(piece)):
            yield piece
        yield tail

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = next(self._pieces, b"")
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_line_of_ten_megabytes_is_never_in_memory(kind: Format) -> None:
    head = io.BytesIO(HEADER if kind == "csv" else b"")
    tail = b"\n1,74,x\n" if kind == "csv" else b'\n{"id": "1"}\n'

    class Both(io.RawIOBase):
        body = Endless(10_000_000, tail)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            return head.readinto(buffer) or self.body.readinto(buffer)

    tracemalloc.start()
    rows = list(read_file(io.BufferedReader(Both()), kind, Columns()))  # type: ignore[type-var]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [one.code if isinstance(one, LeftOut) else one.values["id"] for one in rows] == ["too_long", "1"]
    assert peak < 2_000_000
