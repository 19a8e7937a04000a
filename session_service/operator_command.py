"""What all commands have in common that read or change sessions."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from session_service.database.transaction import as_command
from session_service.errors import SessionServiceError


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
