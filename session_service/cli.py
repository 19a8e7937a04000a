"""Commands for people: `flask --app wsgi …`."""

import click
import jwt
from flask import Flask, current_app
from flask.cli import with_appcontext

from session_service.clock import utcnow
from session_service.config import Settings
from session_service.tokens import parse_user_id


def register_commands(app: Flask) -> None:
    """Add this service's commands to the `flask` command."""
    app.cli.add_command(token)


@click.command("token")
@click.argument("user_id")
@click.option("--role", help="Add this role, in the claim `role`.")
@click.option("--minutes", default=30, show_default=True, type=click.IntRange(1, 525_600), help="How long it lasts.")
@with_appcontext
def token(user_id: str, role: str | None, minutes: int) -> None:
    """Print an access token for USER_ID, as the auth server would issue it: for trying the service out.

    It needs the shared secret, so it works only where this service has one.
    """
    settings: Settings = current_app.extensions["settings"]
    if settings.JWT_SECRET_KEY is None:
        raise click.ClickException("only the auth server can issue tokens here: this service has no JWT_SECRET_KEY")
    if parse_user_id(user_id, settings.USER_ID_TYPE) is None:
        raise click.BadParameter("no user can have this id", param_hint="USER_ID")
    claims: dict[str, object] = {
        "id": int(user_id) if settings.USER_ID_TYPE == "integer" else user_id,
        "email": f"user{user_id}@example.com",
        "exp": int(utcnow().timestamp()) + minutes * 60,
        **({"role": role} if role else {}),
    }
    click.echo(jwt.encode(claims, settings.JWT_SECRET_KEY, algorithm="HS256"))
