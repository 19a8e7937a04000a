"""The shell lines of `docs/integration.md`, typed in: they show what the guide shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.examples import DEMO, Servers, backend_settings, service_on
from tests.harness.paths import PROJECT
from tests.harness.reports import require_tool
from tests.harness.servers import example

# The guide does not say which database there is.
pytestmark = [
    pytest.mark.usefixtures("database_url"),
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]

GUIDE = (PROJECT / "docs" / "integration.md").read_text(encoding="utf-8")


def blocks(section: str) -> list[tuple[str, str]]:
    """Return the shell blocks of a section of the guide, each with the output that is shown below it."""
    text = GUIDE.partition(f"\n## {section}")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```\n(?:```json\n(.*?)```)?", text, re.S)


def type_in(sections: list[str], urls: dict[str, str]) -> list[tuple[str, str]]:
    """Run the shell blocks of these sections in one shell; return what each shows, and what the guide shows.

    *urls* stand in for the guide's own.
    """
    require_tool("curl")
    (helpers, _), *first = blocks("In seven lines")
    shown = first if sections == ["In seven lines"] else [one for section in sections for one in blocks(section)]
    script = "\nprintf '\\036'\n".join([helpers, *(code for code, _ in shown), ""])
    for ours, theirs in urls.items():
        assert ours in script
        script = script.replace(ours, theirs)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ran = subprocess.run(
        ["bash", "-euc", script], env={"PATH": path, **DEMO}, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    outputs = ran.stdout.split("\x1e")[1:-1]
    return list(zip(outputs, [expected for _, expected in shown], strict=True))


def looks_like(output: str, expected: str) -> bool:
    """Return whether an output is as it is shown, where `…` stands for anything."""
    lines = [".*?".join(map(re.escape, line.split("…"))) for line in expected.splitlines()]
    return re.fullmatch(r"\s*".join(lines), output.strip(), re.S) is not None


def test_the_guide_shows_the_quick_start_as_it_is() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
    lines = [line for line in shown.splitlines() if line]

    assert shown == (PROJECT / "examples" / "quickstart.py").read_text(encoding="utf-8")
    assert len(lines) < 20


def test_the_seven_lines_bring_a_session_a_limit_and_a_sign_out(database_url: str) -> None:
    with (
        service_on(database_url, MAX_SESSIONS_PER_USER="1") as service,
        example("quickstart", **backend_settings(service)) as backend,
    ):
        shown = type_in(["In seven lines"], {"http://127.0.0.1:8000": backend})

    assert len(shown) == 3
    for output, expected in shown:
        assert looks_like(output, expected), output
    # So another answer would be noticed.
    assert not looks_like(shown[1][0], shown[0][1])


def test_the_curl_lines_of_every_step_show_what_the_guide_shows(servers: Servers, backend: str) -> None:
    steps = [f"Step {number}:" for number in range(5)]

    shown = type_in(steps, {"http://127.0.0.1:8088": servers.gateway, "http://127.0.0.1:8000": backend})

    assert len(shown) == len(steps)
    for output, expected in shown:
        assert expected
        assert looks_like(output, expected), output
