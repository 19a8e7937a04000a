"""The file of endpoints: what is accepted, that every problem is named, and that no value is."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from session_service.config import ConfigError
from session_service.webhooks import endpoints
from session_service.webhooks.endpoints import EVENTS, Endpoint, EndpointsProblem, load
from session_service.webhooks.schedule import RETRY_SECONDS
from tests.harness.support import settings
from tests.harness.webhooks import OLD_SECRET, WEBHOOK_SECRET, write_file

SCHEMA = json.loads(Path(endpoints.__file__).with_name("webhooks.schema.json").read_text())
GOOD = {"name": "mail", "url": "https://app.example.com/hooks?x=1", "secret": WEBHOOK_SECRET}


def problems(path: str) -> list[str]:
    with pytest.raises(EndpointsProblem) as caught:
        load(path)
    return caught.value.problems


def test_what_is_not_given_has_the_documented_default(tmp_path: Path) -> None:
    (loaded,) = load(write_file(tmp_path, GOOD))

    assert loaded == Endpoint(
        name="mail", url=GOOD["url"], secrets=(WEBHOOK_SECRET,), events=frozenset(EVENTS), retry_seconds=RETRY_SECONDS
    )
    assert (loaded.allow_private, loaded.timeout_seconds) == (False, 15)
    defaults = {
        name: one["default"] for name, one in SCHEMA["$defs"]["endpoint"]["properties"].items() if "default" in one
    }
    assert defaults == {"allow_private": False, "timeout_seconds": 15, "retry_seconds": list(RETRY_SECONDS)}
    assert WEBHOOK_SECRET not in repr(loaded)


def test_everything_can_be_given(tmp_path: Path) -> None:
    given = {**GOOD, "previous_secret": OLD_SECRET, "events": ["session.ended"], "allow_private": True}
    given |= {"url": "http://[::1]:8080/x", "timeout_seconds": 0.5, "retry_seconds": [1, 2.5]}

    (loaded,) = load(write_file(tmp_path, given))

    assert loaded.secrets == (WEBHOOK_SECRET, OLD_SECRET)
    assert (loaded.events, loaded.retry_seconds) == (frozenset({"session.ended"}), (1, 2.5))
    jsonschema.validate({"endpoints": [given]}, SCHEMA)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": "Mail"}, "endpoints[0].name"),
    ({"name": "a" * 41}, "endpoints[0].name"),
    ({"name": "mail\n"}, "endpoints[0].name"),
    ({"name": None}, "endpoints[0].name"),
    ({"url": "http://app.example.com/"}, "endpoints[0].url"),
    ({"url": "ftp://app.example.com/"}, "endpoints[0].url"),
    ({"url": "https://user@app.example.com/"}, "endpoints[0].url"),  # pragma: allowlist secret
    ({"url": "https://app.example.com/#x"}, "endpoints[0].url"),
    ({"url": "https://app.example.com/a b"}, "endpoints[0].url"),
    ({"url": "https:///x"}, "endpoints[0].url"),
    ({"secret": "whsec_" + "QUJD" * 7}, "endpoints[0].secret"),
    ({"secret": "whsec_" + "QUJD" * 23}, "endpoints[0].secret"),
    ({"secret": WEBHOOK_SECRET.removeprefix("whsec_")}, "endpoints[0].secret"),
    ({"secret": WEBHOOK_SECRET[:-1]}, "endpoints[0].secret"),
    ({"secret": None}, "endpoints[0].secret"),
    ({"previous_secret": "x"}, "endpoints[0].previous_secret"),
    ({"events": []}, "endpoints[0].events"),
    ({"events": ["session.moved"]}, "endpoints[0].events[0]"),
    ({"allow_private": "true"}, "endpoints[0].allow_private"),
    ({"allow_private": 1}, "endpoints[0].allow_private"),
    ({"timeout_seconds": 0}, "endpoints[0].timeout_seconds"),
    ({"timeout_seconds": 15.1}, "endpoints[0].timeout_seconds"),
    ({"timeout_seconds": "5"}, "endpoints[0].timeout_seconds"),
    ({"retry_seconds": [0]}, "endpoints[0].retry_seconds[0]"),
    ({"retry_seconds": [86_401]}, "endpoints[0].retry_seconds[0]"),
    ({"retry_seconds": [1] * 21}, "endpoints[0].retry_seconds"),
    ({"headers": {}}, "endpoints[0].headers"),
]


@pytest.mark.parametrize(
    ("wrong", "place"), BAD, ids=lambda value: next(iter(value), "") if isinstance(value, dict) else ""
)
def test_what_is_wrong_is_named_by_its_place_and_refused_by_the_schema_too(
    tmp_path: Path, wrong: dict[str, Any], place: str
) -> None:
    given = {**GOOD, **wrong}

    (problem,) = problems(write_file(tmp_path, given))

    assert problem.startswith(f"{place} ")
    (value,) = wrong.values()
    assert not isinstance(value, str) or value in {"5", "x", "true"} or value not in problem
    # To Python, `$` also matches before a line break at the end; to JSON Schema's dialect it does not.
    if wrong != {"name": "mail\n"}:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"endpoints": [given]}, SCHEMA)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    assert [one.split()[0] for one in problems(write_file(tmp_path, {}))] == [
        "endpoints[0].name",
        "endpoints[0].secret",
        "endpoints[0].url",
    ]


def test_names_are_unique(tmp_path: Path) -> None:
    assert problems(write_file(tmp_path, GOOD, GOOD)) == ["endpoints must have different names"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("\udce9", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "must hold a JSON object"),
        ("{}", "endpoints"),
        ('{"endpoints": []}', "must hold 1 to 50"),
        ('{"endpoints": [], "endpoints": []}', "a name twice"),
        ('{"endpoints": 1}', "endpoints"),
        ('{"endpoints": [1]}', "endpoints[0]"),
        ('{"endpoints": [{}], "whsec_Zm9v": 1}', "(a name) Unknown field."),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "webhooks.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))

    found = "; ".join(problems(str(path)))

    assert words in found
    assert "whsec_Zm9v" not in found


def test_a_bad_file_stops_the_start_and_every_problem_is_named_with_those_of_other_settings(tmp_path: Path) -> None:
    file = write_file(tmp_path, {**GOOD, "secret": "s3cret-value"}, {**GOOD, "name": "x", "url": "http://x.example/"})

    with pytest.raises(ConfigError) as caught:
        settings(WEBHOOKS=file, RETENTION_DAYS=-1)

    text = str(caught.value)
    assert "WEBHOOKS endpoints[0].secret must be whsec_" in text
    assert "endpoints[1].url must begin with https://" in text
    assert "RETENTION_DAYS must be" in text
    assert "s3cret-value" not in text
    with pytest.raises(ConfigError, match="WEBHOOKS cannot be read: No such file"):
        settings(WEBHOOKS=str(tmp_path / "nothing.json"))


def test_events_that_are_purged_while_they_are_repeated_are_a_warning(tmp_path: Path) -> None:
    file = write_file(tmp_path, GOOD)

    assert settings(WEBHOOKS=file, EVENT_RETENTION_DAYS=4).warnings == []
    (warning,) = settings(WEBHOOKS=file, EVENT_RETENTION_DAYS=3).warnings
    assert "EVENT_RETENTION_DAYS" in warning
    assert settings(EVENT_RETENTION_DAYS=3).warnings == []
