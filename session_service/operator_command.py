"""What all commands have in common that read or change sessions."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from session_service.clock import as_text
from session_service.database.transaction import as_command
from session_service.errors import SessionServiceError
from session_service.records import Principal
from session_service.services.answers import SessionView

OPERATOR = Principal(service="cli")
"""Becomes `ended_by` of sessions that a command ends."""


def operator_command(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command that reads or changes sessions.

    The sessions that it ends are counted in the database. A `SessionServiceError` becomes a message, not a traceback.
    """

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            with as_command():
                command(*args, **kwargs)
        except SessionServiceError as error:
            raise click.ClickException(str(error)) from error

    return wrapper


def is_watched() -> bool:
    """Return whether somebody sees the progress of a command. A scheduled job may run without standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def session_line(session: SessionView) -> str:
    """Return *session* as commands print it."""
    ended_at = session["ended_at"]
    state = "active" if ended_at is None else f"{session['end_reason']} {as_text(ended_at)}"
    by = f" by {session['ended_by']}" if session.get("ended_by") else ""
    times = f"created {as_text(session['created_at'])}, last active {as_text(session['last_activity'])}"
    return f"{session['id']}  {session['device_name']}  {session['ip_address']}  {times}  {state}{by}"
