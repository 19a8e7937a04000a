"""Settings: read once, checked at start, every problem named at once and no value with it."""

import subprocess
import sys
from typing import Any

import pytest

from session_service.config import ConfigError, Settings
from session_service.config_checks import DROPPED
from session_service.database.engine import database_url, engine_options
from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT
from tests.harness.support import SECRET

BASE = {"JWT_SECRET_KEY": SECRET}


def test_defaults_are_those_of_the_documentation() -> None:
    settings = Settings.from_environ(BASE)

    assert settings.MAX_SESSIONS_PER_USER == 3
    assert settings.SESSION_LIMIT_POLICY == "evict_oldest"
    assert settings.SESSION_LIFETIME_SECONDS == 2_592_000
    assert settings.SESSION_IDLE_SECONDS == 604_800
    assert settings.ACTIVITY_INTERVAL_SECONDS == 60
    assert settings.MAX_SIGN_INS_PER_MINUTE == 10
    assert settings.TRUSTED_PROXY_HOPS == 0
    assert settings.JWT_USER_ID_CLAIM == ("sub", "id", "user_id")
    assert settings.USER_ID_TYPE == "integer"
    assert settings.ADMIN_ROLES == ("admin",)
    assert settings.CORS_ALLOWED_ORIGINS == ()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MAX_SESSIONS_PER_USER", " 5 ", 5),
        ("MAX_SESSIONS_PER_USER", "", 3),
        ("JWT_ALLOW_SHORT_SECRET", "TRUE", True),
        ("JWT_ALLOW_SHORT_SECRET", "0", False),
        ("ADMIN_USER_IDS", "1, 2,,3", ("1", "2", "3")),
        (
            "CORS_ALLOWED_ORIGINS",
            "https://a.example.com,http://localhost:3000",
            ("https://a.example.com", "http://localhost:3000"),
        ),
        ("CORS_ALLOWED_ORIGINS", "*", ("*",)),
        (
            "SERVICE_CREDENTIALS",
            "a:0123456789abcdef:x, b:fedcba9876543210",
            {"a": "0123456789abcdef:x", "b": "fedcba9876543210"},
        ),
        ("AUTH_SERVER_USER_URL", "http://auth:8000/user/id/{user_id}", "http://auth:8000/user/id/{user_id}"),
        ("SESSION_LIMIT_POLICY", "reject", "reject"),
        ("SESSION_ENFORCEMENT", "observe", "observe"),
        (
            "SESSION_LIMITS",
            "plan=free:2, https://example.com/plan=a=b:c:10,,",
            (("plan", "free", 2), ("https://example.com/plan", "a=b:c", 10)),
        ),
    ],
)
def test_values_are_read_from_their_texts(name: str, text: str, value: object) -> None:
    assert getattr(Settings.from_environ({**BASE, name: text}), name) == value


WRONG_URLS = [
    "postgresql:no-slashes",
    "postgresql://u:p@h:a-port/db",
    "postgresql+psycopg2://u@h/db",
    "PostgreSQL://u@h/db",
    "sqlite:///file:x?mode=memory&uri=true",
    "sqlite://host/x.sqlite3",
    "postgresql://u@h/d?schema=public",
    "postgresql://u@h/d?connect_timeout=soon",
]
WRONG_ADDRESSES = [
    "http://h:a-port/{user_id}",
    "http://a b/{user_id}",
    "http:///{user_id}",
    "http://h/#{user_id}",
    "http://{user_id}.h/",
    "http://h/{user?_id}",
    "http://a..b/{user_id}",
    "http://a%zz/{user_id}",
    "http://h/{user_id}\x01x",
]

BAD = {
    "MAX_SESSIONS_PER_USER": ["0", "-1", "1001", "three", "3.5", "1e3", "٣", "9" * 30],
    "SESSION_LIFETIME_SECONDS": ["0", "99999999999"],
    "SESSION_IDLE_SECONDS": ["-1"],
    "TRUSTED_PROXY_HOPS": ["-1", "11"],
    "SESSION_LIMIT_POLICY": ["newest", "REJECT"],
    "SESSION_ENFORCEMENT": ["off", "Observe"],
    "SESSION_LIMITS": [
        "plan",
        "plan=free",
        "plan=free:",
        "plan=:2",
        "=free:2",
        "plan=free:two",
        "plan=free:0",
        "plan=free:1001",
        "plan=free:-1",
        "plan=free:٣",
        "plan=free:2,plan=free:3",
    ],
    "USER_ID_TYPE": ["uuid"],
    "JWT_ALLOW_SHORT_SECRET": ["yes", "2"],
    "JWT_USER_ID_CLAIM": [","],
    "CORS_ALLOWED_ORIGINS": [
        "https://a.example.com/",
        "a.example.com",
        "https://*.example.com",
        "null",
        "http://[::1]:3000",
        "https://a.example.com:99999",
    ],
    "SERVICE_CREDENTIALS": [
        "backend",
        ":no-name-but-secret",
        "backend:",
        "backend:short",
        f"{'n' * 256}:0123456789abcdef",
        "a:0123456789abcdef,a:fedcba9876543210",
    ],
    "AUTH_SERVER_USER_URL": ["http://auth/user", "ftp://auth/{user_id}", "auth/{user_id}", *WRONG_ADDRESSES],
    "ADMIN_USER_IDS": ["root-of-all", "1,01"],
    "ADMIN_ROLES": [","],
    "DATABASE_URL": ["mysql://x/y", "sqlite://", "sqlite:///", "sqlite:///:memory:", "nonsense", *WRONG_URLS],
    "JWT_SECRET_KEY": [
        "31-bytes-are-not-quite-enough-x",
        "-----BEGIN PUBLIC KEY-----" + "x" * 40,
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7",
        "a-secret-with-a-byte-that-is-no-utf-8-\udcff",
    ],
    "JWT_PREVIOUS_SECRET_KEY": ["too-short"],
    "JWT_JWKS_URL": [
        "ftp://auth/keys",
        "auth/keys",
        "https://user:word@auth/keys",
        "http://auth/with blanks",
        "http://ä/",
    ],
    "AUTH_SERVER_USERINFO_URL": ["file:///me", "me", "http://h:0/me"],
    "UNKNOWN_SESSION_POLICY": ["Adopt", "accept"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_absurd_values_stop_the_start_and_are_named_without_the_value(name: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_environ({**BASE, name: text})

    assert [problem for problem in caught.value.problems if name in problem]
    assert len(text) < 11 or text not in str(caught.value)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_environ({"MAX_SESSIONS_PER_USER": "x", "SESSION_IDLE_SECONDS": "-5", "DATABASE_URL": "x://y"})

    text = str(caught.value)
    assert len(caught.value.problems) == 4
    assert all(name in text for name in ("JWT_SECRET_KEY", "MAX_SESSIONS", "SESSION_IDLE", "DATABASE_URL"))


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"JWT_SECRET_KEY": SECRET, "JWT_PUBLIC_KEY": "x"},
        {"JWT_PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----\nrubbish\n-----END PUBLIC KEY-----"},
        {"JWT_PUBLIC_KEY": "-----BEGIN PRIVATE KEY-----"},
        {"JWT_PREVIOUS_SECRET_KEY": SECRET},
    ],
)
def test_exactly_one_usable_key_is_needed(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        Settings.from_environ(environ)


def test_a_short_secret_is_taken_where_it_is_asked_for() -> None:
    assert (
        Settings.from_environ({"JWT_SECRET_KEY": "short", "JWT_ALLOW_SHORT_SECRET": "true"}).JWT_SECRET_KEY == "short"
    )


def test_secrets_do_not_show() -> None:
    values: dict[str, Any] = {
        "JWT_SECRET_KEY": SECRET,
        "SERVICE_CREDENTIALS": {"backend": "0123456789abcdef"},
        "DATABASE_URL": "postgresql://me:password@db/sessions",
    }
    shown = repr(Settings(**values))

    assert not any(secret in shown for secret in (SECRET, "0123456789abcdef", "password"))


@pytest.mark.parametrize(
    ("url", "normalised"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p@h/d?sslmode=require", "postgresql+psycopg://u:p@h/d?sslmode=require"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:////tmp/x.sqlite3", "sqlite:////tmp/x.sqlite3"),
    ],
)
def test_database_urls_are_taken_as_people_write_them(url: str, normalised: str) -> None:
    assert database_url(url) == normalised


def test_a_schema_named_in_the_url_is_kept_beside_our_time_limits() -> None:
    options = engine_options(database_url("postgresql://u@h/d?options=-csearch_path%3Dsess&connect_timeout=9"), 6)

    assert options["connect_args"]["options"].startswith("-csearch_path=sess -c statement_timeout=")
    assert "connect_timeout" not in options["connect_args"], "the URL's own counts"


def test_a_socket_with_a_port_is_left_to_the_driver() -> None:
    assert not {"host", "port"} & set(
        engine_options(database_url("postgresql://u@/d?host=/run/x:5432"), 6)["connect_args"]
    )


def test_bad_settings_end_a_command_with_words_and_without_a_stack() -> None:
    for command in (["flask", "--app", "wsgi", "db", "upgrade"], ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=PROJECT,
            env=environment_with(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert "set exactly one of JWT_SECRET_KEY, JWT_PUBLIC_KEY and JWT_JWKS_URL" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", DROPPED)
def test_a_dropped_setting_stops_the_start_and_says_why(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Settings.from_environ({**BASE, name: "16"})

    assert raised.value.problems == [f"{name} is no setting any more: {DROPPED[name]}"]
    assert Settings.from_environ({**BASE, name: " "})
