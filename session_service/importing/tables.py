"""An application's own table as a source."""

from collections.abc import Iterator
from contextlib import contextmanager

from session_service.database.application_table import ApplicationTable, TableProblem, application_table
from session_service.importing.columns import Columns
from session_service.importing.files import FoundRow, SourceProblem


@contextmanager
def read_table(url: str, name: str, columns: Columns) -> Iterator[Iterator[FoundRow]]:
    """Give a block the rows of the table *name* at *url*.

    Raises:
        SourceProblem: the table cannot be read, lacks a column, or is one of this service's.
    """
    try:
        with application_table(url, name) as table:
            problem = columns.problem_of(table.columns)
            if problem:
                raise SourceProblem(f"{name}: {problem}")
            yield _rows(table, columns)
    except TableProblem as error:
        raise SourceProblem(str(error)) from error


def _rows(table: ApplicationTable, columns: Columns) -> Iterator[FoundRow]:
    names = columns.read_of(table.columns)
    for values in table.rows(names):
        yield FoundRow(None, dict(zip(names, values, strict=True)))
