"""Checks and converts `DATABASE_URL`. No connection is made here."""

from collections.abc import Mapping

from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError


def database_url(url: str) -> str:
    """Return *url* in SQLAlchemy's form: `postgres://` and `postgresql://` both mean psycopg 3."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} and separator else url


def database_problem(url: str) -> str | None:
    """Return what is wrong with *url*; None if it is valid. No part of *url* is in the message: it has a password."""
    try:
        parsed = make_url(database_url(url))
    except (ArgumentError, ValueError):
        return "must be a database URL, with special characters of a password percent-encoded"
    if parsed.drivername == "postgresql+psycopg":
        return None if _libpq_accepts(parsed.query) else "has an option that PostgreSQL's client library rejects"
    if parsed.drivername != "sqlite":
        return "must begin with postgresql://, postgres:// or sqlite:///"
    if parsed.host or parsed.query or not parsed.database or parsed.database.startswith((":memory:", "file:")):
        return "must name a file, as sqlite:///path without options: an SQLite database in memory cannot be shared"
    return None


def _libpq_accepts(query: Mapping[str, object]) -> bool:
    try:
        make_conninfo("", **dict.fromkeys(query, "1"))
    except ProgrammingError:
        return False
    return str(query.get("connect_timeout", "1")).isdecimal()
