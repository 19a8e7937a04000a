"""The command `flask --app wsgi sessions import`."""

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import BinaryIO, TextIO, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from click.core import ParameterSource
from flask.cli import with_appcontext

from session_service.clock import utcnow
from session_service.components import components
from session_service.database.staging import Staging, StagingProblem
from session_service.importing.columns import Columns, MappingProblem
from session_service.importing.files import Format, FoundRow, SourceProblem, read_file
from session_service.importing.left_out import LeftOut
from session_service.importing.loading import Loaded, load
from session_service.importing.reading import Report, stage_all
from session_service.importing.rows import EndedAs, RowRules
from session_service.importing.staged import devices_in_order
from session_service.importing.tables import read_table
from session_service.operator_command import is_watched, operator_command

URL_VARIABLE = "IMPORT_FROM_URL"
"""The environment variable that may hold the URL: an argument is visible to other users of the machine."""

STRICT_EXIT_CODE = 3

_SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}

_log = logging.getLogger(__name__)


class Zone(click.ParamType[ZoneInfo]):
    """A time zone of the IANA database."""

    name = "zone"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        """Return the zone."""
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail("must be a time zone such as Asia/Tashkent or UTC", param, ctx)


class Mapping(click.ParamType[str]):
    """Pairs `old=new`."""

    name = "old=new"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the pair, if it makes sense by itself."""
        try:
            Columns([value])
        except MappingProblem as error:
            self.fail(str(error), param, ctx)
        return value


@click.command("import")
@click.argument("file", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--format", "kind", type=click.Choice(get_args(Format)), help="Default: by the file's suffix.")
@click.option("--from-url", "url", envvar=URL_VARIABLE, show_envvar=True, help="Read a table of this database.")
@click.option("--table", help="With --from-url: its name, perhaps after a schema and a dot.")
@click.option("--map", "pairs", multiple=True, type=Mapping(), help="Read column old as new; old= does not read it.")
@click.option("--source", default="application", show_default=True, help="Tells tables apart whose ids are the same.")
@click.option(
    "--timezone", "zone", type=Zone(), help="The zone of times without an offset; they are refused otherwise."
)
@click.option(
    "--ended-as",
    default="logout",
    show_default=True,
    type=click.Choice(get_args(EndedAs)),
    help="The end reason of ended rows that do not tell one.",
)
@click.option("--batch", default=500, show_default=True, type=click.IntRange(1, 10_000), help="Rows per transaction.")
@click.option("--report", "report_file", type=click.File("w", "utf-8", lazy=False), help="Default: standard error.")
@click.option("--strict", is_flag=True, help=f"Exit code {STRICT_EXIT_CODE} if a row of the source is faulty.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@with_appcontext
@operator_command
def import_sessions(  # noqa: PLR0913, PLR0917
    file: Path | None,
    kind: Format | None,
    url: str | None,
    table: str | None,
    pairs: tuple[str, ...],
    source: str,
    zone: ZoneInfo | None,
    ended_as: EndedAs,
    batch: int,
    report_file: TextIO | None,
    strict: bool,
    dry_run: bool,
) -> None:
    """Import the sessions of an application: from FILE (JSON Lines or CSV; - is standard input) or from its table.

    It may be repeated, also after it was killed: no row is imported twice, and no session that has ended comes back. No
    session ends by it. Rows from which no session comes are reported, one line of JSON for each.
    """
    try:
        columns = Columns(pairs)
    except MappingProblem as error:
        raise click.UsageError(str(error)) from error
    if not 0 < len(source) <= 64 or not source.isprintable():
        raise click.BadParameter("must be a text of 1 to 64 characters", param_hint="--source")
    settings, now = components().settings, utcnow()
    report = Report(report_file or sys.stderr)
    rules = RowRules(settings, now, zone, ended_as)
    progress, done, read = _Progress(), Loaded(), 0
    with _problems_in_words(), closing(Staging()) as staging:
        with _source(file, kind, url, table, columns) as rows:
            for read in stage_all(rows, columns, rules, staging, report):
                progress.show(f"read {read:,} rows")
        devices, writes = devices_in_order(staging), not dry_run
        for done, left_out in load(devices, settings, source, now=now, batch=batch, writes=writes):
            for one in left_out:
                report.add(one)
            progress.show(_bar(done.rows, staging.rows))
    progress.end()
    report.output.flush()
    click.echo(_summary(read, done, report, dry_run=dry_run))
    if not dry_run:
        _log.info("sessions_imported", extra={"rows": read, "sessions": done.created, "source": source})
    if strict and report.faults:
        click.get_current_context().exit(STRICT_EXIT_CODE)


@contextmanager
def _problems_in_words() -> Iterator[None]:
    """Turn what ends an import into a message."""
    try:
        yield
    except SourceProblem as error:
        raise click.ClickException(f"the source cannot be imported: {error}") from error
    except StagingProblem as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the report cannot be written: {error.strerror}") from error


@contextmanager
def _source(
    file: Path | None, kind: Format | None, url: str | None, table: str | None, columns: Columns
) -> Iterator[Iterable[FoundRow | LeftOut]]:
    """Open what is to be read.

    Raises:
        SourceProblem: it cannot be opened.
    """
    by_variable = click.get_current_context().get_parameter_source("url") == ParameterSource.ENVIRONMENT
    if file is not None and (table is not None or (url is not None and not by_variable)):
        raise click.UsageError("give either FILE or --from-url with --table")
    if file is None:
        if url is None or table is None:
            raise click.UsageError(f"give either FILE or --from-url (or {URL_VARIABLE}) with --table")
        if kind is not None:
            raise click.UsageError("--format goes with FILE")
        with read_table(url, table, columns) as rows:
            yield rows
        return
    chosen = kind or _SUFFIXES.get(file.suffix.lower())
    if chosen is None:
        raise click.UsageError("--format is needed: the name of the file does not end in .jsonl, .ndjson or .csv")
    try:
        with click.open_file(str(file), "rb") as opened:
            yield read_file(cast(BinaryIO, opened), chosen, columns)
    except OSError as error:
        raise SourceProblem(f"{error.strerror}: {file}") from error


class _Progress:
    """One line on a terminal that changes twice a second; nothing where nobody watches."""

    def __init__(self) -> None:
        self._is_watched = is_watched()
        self._shown_at = 0.0

    def show(self, words: str) -> None:
        if self._is_watched and monotonic() - self._shown_at >= 0.5:
            click.echo(f"\r\033[K{words}", nl=False)
            self._shown_at = monotonic()

    def end(self) -> None:
        if self._is_watched:
            click.echo("\r\033[K", nl=False)


def _bar(done: int, of: int) -> str:
    width = 30
    filled = width * done // max(of, 1)
    return f"importing [{'#' * filled}{'-' * (width - filled)}] {done:,} of {of:,}"


def _summary(read: int, done: Loaded, report: Report, *, dry_run: bool) -> str:
    codes = ", ".join(f"{code} {number:,}" for code, number in report.counts.most_common())
    left_out = f"left out {report.counts.total():,}" + (f" ({codes})" if codes else "")
    verb = "would import" if dry_run else "imported"
    timing = "" if dry_run else f"; longest transaction {done.longest_seconds * 1_000:.0f} ms"
    sessions = f"{verb} {done.created:,} sessions, {done.active:,} of them active"
    return f"read {read:,} rows: {sessions}; imported before {done.already:,}; {left_out}{timing}"
