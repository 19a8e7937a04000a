"""Commands for people: `flask --app wsgi …`."""

import time

import click
import jwt
from flask import Flask, current_app

from session_service.config import Settings


def register_commands(app: Flask) -> None:
    """Add this service's commands to the `flask` command."""
    app.cli.add_command(token)


@click.command("token")
@click.argument("user_id")
@click.option("--role", help="Add this role, in the claim `role`.")
@click.option("--minutes", default=30, show_default=True, type=click.IntRange(1, 525_600), help="How long it lasts.")
def token(user_id: str, role: str | None, minutes: int) -> None:
    """Print an access token for USER_ID, as the auth server would issue it: for trying the service out.

    It needs the shared secret, so it works only where this service has one.
    """
    settings: Settings = current_app.extensions["settings"]
    if settings.JWT_SECRET_KEY is None:
        raise click.ClickException("only the auth server can issue tokens here: this service has no JWT_SECRET_KEY")
    claims: dict[str, object] = {
        "id": int(user_id) if user_id.isdecimal() and settings.USER_ID_TYPE == "integer" else user_id,
        "email": f"user{user_id}@example.com",
        "exp": int(time.time()) + minutes * 60,
        **({"role": role} if role else {}),
    }
    click.echo(jwt.encode(claims, settings.JWT_SECRET_KEY, algorithm="HS256"))
