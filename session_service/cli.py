"""Commands for operators: `flask --app wsgi …`."""

import json
import sys
from datetime import timedelta
from typing import Any, get_args

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext

from session_service.auth_server.example_token import example_token
from session_service.auth_server.token_check import check_token
from session_service.clock import as_text, utcnow
from session_service.components import components
from session_service.importing.commands import import_sessions
from session_service.operator_command import OPERATOR, is_watched, operator_command, session_line
from session_service.records import Because, LimitPolicy
from session_service.rules.identifiers import parse_user_id
from session_service.search_commands import WHERE, end_where, search_sessions
from session_service.services.personal_data import PersonalDataCount, count, erase, export
from session_service.services.purge import Purged, purge, would_purge
from session_service.services.what_if import what_if
from session_service.webhooks.commands import webhooks

sessions = AppGroup("sessions", help="List, search, end, import, export, erase and purge sessions, and try a limit.")


def register_commands(app: Flask) -> None:
    """Add this service's commands to the `flask` command."""
    app.cli.add_command(token)
    app.cli.add_command(token_check)
    sessions.add_command(import_sessions)
    sessions.add_command(search_sessions)
    app.cli.add_command(sessions)
    app.cli.add_command(webhooks)


@click.command("token")
@click.argument("user_id")
@click.option("--role", help="The role to put into the token.")
@click.option("--minutes", default=30, show_default=True, type=click.IntRange(1, 525_600), help="The token's lifetime.")
@with_appcontext
def token(user_id: str, role: str | None, minutes: int) -> None:
    """Print an access token for USER_ID, as the auth server would issue it, to try the service out.

    Requires JWT_SECRET_KEY: without the shared secret, only the auth server can issue tokens.
    """
    try:
        click.echo(
            example_token(
                components().settings, _user_id(user_id), role=role, lasts=timedelta(minutes=minutes), now=utcnow()
            )
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from error


@click.command("token-check")
@with_appcontext
def token_check() -> None:
    """Say how a token on standard input is judged: by which key, algorithm and claims, and what would accept it.

    The token itself is not printed, some of its claims are. Exit code 1 if it is refused.
    """
    encoded = sys.stdin.read().strip().removeprefix("Bearer ").strip()
    built = components()
    check = check_token(encoded, built.settings, built.tokens, utcnow())
    for finding in check.findings:
        click.echo(
            f"{finding.subject:<10} {finding.found}" + (f"\n{'':<10} -> {finding.advice}" if finding.advice else "")
        )
    click.echo("accepted" if check.refusal is None else f"refused: {check.refusal}")
    if check.refusal is not None:
        click.get_current_context().exit(1)


@sessions.command("list")
@click.argument("user_id")
@click.option("--all", "include_inactive", is_flag=True, help="Also list the newest 100 ended sessions.")
@operator_command
def list_sessions(user_id: str, include_inactive: bool) -> None:
    """List USER_ID's sessions, the most recently active first."""
    listed = components().sessions.get_user_sessions(
        _user_id(user_id), by=OPERATOR, now=utcnow(), include_inactive=include_inactive
    )
    for session in listed:
        click.echo(session_line(session))
    if not listed:
        click.echo("no sessions", err=True)


@sessions.command("end")
@click.option("--user", "user_id", help="End all sessions of this user.")
@click.option("--session", "session_id", type=click.IntRange(1, 2**63 - 1), help="End this one session.")
@click.option("--where", multiple=True, metavar="NAME=VALUE", help=f"End sessions of all users: {WHERE}")
@click.option("--expected", type=click.IntRange(0), help="With --where: end nothing if more would end.")
@click.option("--yes", "is_confirmed", is_flag=True, help="With --where: end them; otherwise they are only counted.")
@click.option("--because", type=click.Choice(get_args(Because)), help="Not with --session: what the person is told.")
@operator_command
def end_sessions(user_id: str | None, session_id: int | None, because: Because | None, **by_criteria: Any) -> None:
    """End all sessions of one user, one session, or the active sessions of all users that match criteria.

    Sessions that have already ended stay unchanged.
    """
    is_by_criteria = bool(by_criteria["where"])
    if [user_id is not None, session_id is not None, is_by_criteria].count(True) != 1:
        raise click.UsageError("give one of --user, --session and --where")
    if because and session_id is not None:
        raise click.UsageError("--because does not go with --session")
    if not is_by_criteria and (by_criteria["is_confirmed"] or by_criteria["expected"] is not None):
        raise click.UsageError("--expected and --yes go with --where")
    if is_by_criteria:
        end_where(**by_criteria, because=because)
        return
    if session_id is not None:
        components().sessions.delete_session(session_id, by=OPERATOR, now=utcnow())
        click.echo(f"session {session_id} has ended")
    else:
        closed = components().sessions.delete_user_sessions(
            _user_id(user_id or ""), by=OPERATOR, now=utcnow(), because=because
        )
        click.echo(f"sessions ended: {closed}")


@sessions.command("purge")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--batch", default=1_000, show_default=True, type=click.IntRange(1, 10_000), help="Rows per transaction.")
@operator_command
def purge_sessions(dry_run: bool, batch: int) -> None:
    """Record timed-out sessions; purge sessions past retention, expired tokens and users without a session.

    The purge works in short transactions. It may run beside live traffic and beside another purge, and may be killed
    at any point.
    """
    settings, now, done = components().settings, utcnow(), Purged()
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
    if dry_run:
        click.echo("would have " + _summary(would_purge(settings, now=now, batch=batch)))
        return
    shows_progress = is_watched()
    for done in purge(settings, now=now, batch=batch):
        if shows_progress:
            click.echo("\r" + _summary(done), nl=False)
    start = "\r" if shows_progress else ""
    click.echo(f"{start}{_summary(done)}; longest transaction {done.longest_seconds * 1_000:.0f} ms")


@sessions.command("what-if")
@click.option("--limit", required=True, type=click.IntRange(1, 1_000), help="Sessions allowed for each user.")
@click.option("--policy", type=click.Choice(get_args(LimitPolicy)), help="Default: SESSION_LIMIT_POLICY.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@operator_command
def show_what_if(limit: int, policy: LimitPolicy | None, as_json: bool) -> None:
    """Show what a device limit would do to the sessions that are active now. Changes nothing.

    It reads all sessions without a recorded end, in short statements beside live traffic.
    """
    settings = components().settings
    chosen = policy or settings.SESSION_LIMIT_POLICY
    *_, counted = what_if(settings, limit=limit, limit_policy=chosen, now=utcnow())
    if as_json:
        click.echo(json.dumps({"limit": limit, "policy": chosen, **vars(counted)}))
        return
    verb = "not be created" if chosen == "reject" else "end"
    click.echo(f"users with active sessions   {counted.users:>12,}")
    click.echo(f"active sessions              {counted.sessions:>12,}")
    click.echo(f"users over {limit:<18,}{counted.users_over:>12,}")
    click.echo(f"sessions that would {verb:<9}{counted.would_end:>12,}")
    for platform, number in counted.by_platform.most_common():
        click.echo(f"  {platform:<27}{number:>12,}")


@sessions.command("export")
@click.argument("user_id")
@operator_command
def export_user(user_id: str) -> None:
    """Print all data stored about USER_ID as JSON lines, for that person."""
    line = None
    for line in export(_user_id(user_id), components().settings):
        # Bytes, because JSON is UTF-8 (RFC 8259 section 8.1) and the terminal may use another encoding.
        click.echo(json.dumps(line, ensure_ascii=False, default=as_text).encode())
    if line is None:
        click.echo("nothing is stored about this user", err=True)


@sessions.command("erase")
@click.argument("user_id")
@click.option("--yes", "is_confirmed", is_flag=True, help="Erase; without this option nothing is changed.")
@operator_command
def erase_user(user_id: str, is_confirmed: bool) -> None:
    """Erase all data stored about USER_ID.

    Unexpired tokens of this user become tokens without a session, so disable the account first.
    """
    erased_id = _user_id(user_id)
    if is_confirmed:
        click.echo("erased " + _amount(erase(erased_id, now=utcnow())))
        return
    click.echo(f"would erase {_amount(count(erased_id))}; repeat with --yes to erase it", err=True)
    click.get_current_context().exit(2)


def _amount(of: PersonalDataCount) -> str:
    theirs = f"{of.sessions} sessions, {of.tokens} tokens, {of.events} events"
    return f"{theirs}, the user's id in {of.mentions} sessions of others"


def _summary(done: Purged) -> str:
    rows = f"{done.sessions} sessions, {done.tokens} tokens and {done.events} events"
    return f"recorded {done.ends} ends, purged {rows}"


def _user_id(text: str) -> str:
    user_id = parse_user_id(text, components().settings.USER_ID_TYPE)
    if user_id is None:
        raise click.BadParameter("no user can have this id", param_hint="user id")
    return user_id
