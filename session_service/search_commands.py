"""The commands `flask --app wsgi sessions search` and `sessions end --where`: sessions of all users, by criteria."""

import json
from collections.abc import Iterable, Iterator

import click
from flask.cli import with_appcontext

from session_service.clock import as_text, utcnow
from session_service.components import components
from session_service.operator_command import OPERATOR, is_watched, operator_command, session_line
from session_service.records import Because
from session_service.rules.criteria import Criteria, parse_cursor
from session_service.rules.criteria_texts import CriteriaProblem, parse_criteria
from session_service.services.answers import SessionView
from session_service.services.end_by_criteria import Ending, count, end_some, refuse_more
from session_service.services.search import MAX_PAGE, Part, Viewer, search

WITHOUT_PROGRESS = 20
"""Rounds in which nothing ended, because other transactions have locked the users, after which a command gives up."""

PAGE = MAX_PAGE
"""Sessions that one statement of a search reads."""

WHERE = "A criterion, such as user_id=74, address=203.0.113.7, reason=limit or created_after=2025-02-08T00:00:00Z."


@click.command("search")
@click.option("--where", multiple=True, metavar="NAME=VALUE", help=f"{WHERE} All must hold.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@with_appcontext
@operator_command
def search_sessions(where: tuple[str, ...], as_json: bool) -> None:
    """Print the sessions of all users that match, the newest first.

    At least one of user_id, address, network and the instants is needed.
    """
    session = None
    for session in _found(criteria_of(where)):
        if as_json:
            click.echo(json.dumps(session, ensure_ascii=False, default=as_text).encode())
        else:
            click.echo(f"user {session['user_id']}  {session_line(session)}")
    if session is None:
        click.echo("no sessions", err=True)


def _found(criteria: Criteria) -> Iterator[SessionView]:
    after, viewer = None, Viewer(by=OPERATOR, now=utcnow())
    while True:
        page = search(criteria, components().settings, viewer, Part(after=after, limit=PAGE))
        yield from page["sessions"]
        if page["next"] is None:
            return
        after = parse_cursor(page["next"])


def end_where(where: Iterable[str], *, expected: int | None, is_confirmed: bool, because: Because | None) -> None:
    """End the active sessions that match, in batches. If it is not confirmed, only print how many, and exit with 2.

    Raises:
        CountChanged: more than *expected* would end; none has.
    """
    settings = components().settings
    criteria, counted = count(criteria_of(where), settings, now=utcnow(), is_bounded=False)
    if not is_confirmed:
        words = f"would end {counted.sessions} sessions"
        click.echo(f"{words}; repeat with --expected {counted.sessions} --yes to end them", err=True)
        click.get_current_context().exit(2)
    if expected is not None:
        refuse_more(counted, expected)
    ended = stalled = 0
    shows_progress = is_watched()
    while counted.sessions:
        done = end_some(criteria, settings, counted, Ending(by=OPERATOR, now=utcnow(), because=because))
        ended += done.ended
        stalled = 0 if done.ended else stalled + 1
        counted = counted._replace(sessions=done.remaining)
        if shows_progress:
            click.echo(f"\rended {ended} sessions, {done.remaining} remain", nl=False)
        if stalled == WITHOUT_PROGRESS:
            raise click.ClickException(
                f"ended {ended} sessions; {done.remaining} remain, because other transactions have locked their users"
            )
    start = "\r" if shows_progress else ""
    click.echo(f"{start}sessions ended: {ended}")


def criteria_of(where: Iterable[str]) -> Criteria:
    """Return the criteria of the options `--where`.

    Raises:
        click.BadParameter: one of them is malformed, unknown, invalid or given twice, or there are not enough.
    """
    settings, given = components().settings, dict[str, str]()
    for one in where:
        name, sign, value = one.partition("=")
        if not sign or name in given:
            raise click.BadParameter(f"{one}: must be NAME=VALUE, each name once", param_hint="--where")
        given[name] = value
    try:
        return parse_criteria(given, kind=settings.USER_ID_TYPE, masked=settings.MASK_ADDRESSES)
    except CriteriaProblem as problem:
        raise click.BadParameter(str(problem), param_hint="--where") from problem
