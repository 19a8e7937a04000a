"""The commands `flask --app wsgi webhooks …`."""

from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import AppGroup

from session_service.clock import as_text, utcnow
from session_service.components import components
from session_service.operator_command import is_watched, operator_command
from session_service.webhooks.deliverer import deliver
from session_service.webhooks.delivery import Delivery
from session_service.webhooks.endpoints import Endpoint, EndpointsProblem, load
from session_service.webhooks.status import EndpointStatus, forget, replay, retry, statuses

webhooks = AppGroup("webhooks", help="Send events to the endpoints of the WEBHOOKS file.")


class Instant(click.ParamType[datetime]):
    """An instant in ISO 8601 with its offset: without one it would be ambiguous."""

    name = "instant"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the instant in UTC."""
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail("must be an instant such as 2025-02-08T16:00:00Z", param, ctx)
        if instant.tzinfo is None:
            self.fail("needs an offset or Z", param, ctx)
        return instant.astimezone(UTC)


@webhooks.command("deliver")
@operator_command
def deliver_events() -> None:
    """Send events as they happen, until this process is stopped.

    Several of these processes share the endpoints. They may be killed at any point: an event is then sent twice, with
    the same `webhook-id`.
    """
    shows_progress = is_watched()
    settings, endpoints = components().settings, _endpoints()
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)

    def report(deliveries: list[Delivery]) -> None:
        if shows_progress:
            click.echo("\r" + "; ".join(map(_progress, deliveries)), nl=False)

    deliver(current_app._get_current_object(), settings, endpoints, report)  # type: ignore[attr-defined]


@webhooks.command("status")
@operator_command
def show_status() -> None:
    """Show how far each endpoint is behind, its last error, and how many events are parked. Exit code 1 if any are."""
    found = statuses(utcnow())
    configured = {one.name for one in _endpoints()}
    for one in found:
        click.echo(_line(one, is_configured=one.state.name in configured))
    for name in sorted(configured - {one.state.name for one in found}):
        click.echo(f"{name}  never delivered to: is `webhooks deliver` running?")
    if any(one.parked for one in found):
        click.get_current_context().exit(1)


@webhooks.command("retry")
@click.argument("name")
@operator_command
def retry_parked(name: str) -> None:
    """Send NAME's parked events again, and end its pause after a failed attempt.

    Parked events are sent out of order. One that fails again stays parked.
    """
    parked = retry(name)
    if parked is None:
        raise click.BadParameter("no endpoint on record has this name", param_hint="NAME")
    click.echo(f"parked events to be sent again: {parked}")


@webhooks.command("replay")
@click.option("--since", required=True, type=Instant(), help="From the first event that was recorded at or after it.")
@click.option("--endpoint", "name", help="Only this endpoint; all without it.")
@operator_command
def replay_events(since: datetime, name: str | None) -> None:
    """Send all events since an instant again, in order, with the same ids.

    Events are kept for EVENT_RETENTION_DAYS.
    """
    names = [one.state.name for one in statuses(utcnow()) if name in (None, one.state.name)]
    if name is not None and not names:
        raise click.BadParameter("no endpoint on record has this name", param_hint="--endpoint")
    moved = replay(names, since)
    click.echo(f"endpoints that begin again: {', '.join(moved) or 'none, no event is that new'}")


@webhooks.command("forget")
@click.argument("name")
@operator_command
def forget_endpoint(name: str) -> None:
    """Delete what is on record about NAME, which is no longer in the file."""
    if name in {one.name for one in _endpoints()}:
        raise click.BadParameter("this endpoint is in the file", param_hint="NAME")
    if not forget(name):
        raise click.BadParameter("no endpoint on record has this name", param_hint="NAME")
    click.echo(f"{name} is forgotten")


def _endpoints() -> tuple[Endpoint, ...]:
    path = components().settings.WEBHOOKS
    if path is None:
        raise click.ClickException("WEBHOOKS is not set: it names the file of endpoints")
    try:
        return load(path)
    except EndpointsProblem as error:  # it was changed after the settings were checked
        raise click.ClickException(f"WEBHOOKS {error}") from error


def _progress(one: Delivery) -> str:
    counts = one.counts
    return f"{one.endpoint.name}: {counts.delivered} sent, {counts.failed} failed, {counts.parked} parked"


def _line(one: EndpointStatus, *, is_configured: bool) -> str:
    state = one.state
    parts = [
        state.name if is_configured else f"{state.name} (not in the file)",
        f"behind {one.behind_seconds:.0f} s",
        f"delivered {state.delivered_total}",
        f"parked {one.parked}",
    ]
    if state.missed_total:
        parts.append(f"events missed because they were purged, {state.missed_total} times")
    if state.last_error is not None and state.last_error_at is not None:
        parts.append(f"last error {as_text(state.last_error_at)}: {state.last_error}")
    if state.next_attempt_at is not None:
        parts.append(f"attempt {state.failures + 1} at {as_text(state.next_attempt_at)}")
    return "  ".join(parts)
