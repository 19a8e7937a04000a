"""The image without Docker: what the project's Dockerfile says, carried out in a folder of this machine.

It understands what our Dockerfile uses and refuses the rest. Both stages share one folder, on this machine's Python;
the image's user is not made, since that needs a container's root.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.harness.environment import environment_with
from tests.harness.paths import PROJECT

FOLDERS = re.compile(r"(?<![\w/.])/(?=(?:app|build|venv)\b)")
"""The folders of the image, which are folders in ours."""

NOTED = {"USER", "EXPOSE", "STOPSIGNAL"}
NOT_RUN = ("useradd ",)


@dataclass
class Image:
    """What an image is: files in *folder*, an environment, and what is run."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: Path = Path()
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    noted: dict[str, str] = field(default_factory=dict)

    def run(
        self, command: list[str], environment: Mapping[str, str] | None = None, **as_whom: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* as in a container; return what it said."""
        return subprocess.run(
            [self.program(command[0]), *command[1:]],
            cwd=self.workdir,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **as_whom,
        )

    def program(self, name: str) -> str:
        """Return where the image's own PATH has a program."""
        path = shutil.which(name, path=self.environment["PATH"])
        assert path, name
        return path

    def files(self) -> set[str]:
        """Return every file that the image holds."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield a Dockerfile's instructions and their arguments, with continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


def is_let_through(path: Path, patterns: str) -> bool:
    """Return whether a `.dockerignore` lets *path* (relative) in: of the patterns that fit it, the last one counts."""
    through = True
    for line in patterns.splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = re.escape(line.lstrip("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, str(part)) for part in (path, *path.parents[:-1])):
            through = line.startswith("!")
    return through


@cache
def context() -> list[Path]:
    """Return the project's files that a build is given, relative to it."""
    patterns = (PROJECT / ".dockerignore").read_text(encoding="utf-8")
    files = [path.relative_to(PROJECT) for path in PROJECT.rglob("*") if path.is_file()]
    return [path for path in files if is_let_through(path, patterns)]


def build(folder: Path) -> Image:
    """Carry the Dockerfile out within *folder*."""
    image = Image(folder, workdir=folder)
    python = folder / "python" / "python3"
    python.parent.mkdir()
    python.symlink_to(Path(sys.executable).resolve())
    inherited = environment_with()
    for name in ("VIRTUAL_ENV", "PYTHONPATH"):
        inherited.pop(name, None)
    for name, rest in instructions((PROJECT / "Dockerfile").read_text(encoding="utf-8")):
        here = FOLDERS.sub(f"{folder}/", rest)
        match name:
            case "FROM":
                assert rest.split()[0] == "python:3.11-slim"
                image.environment = {"PATH": f"{python.parent}:/usr/bin:/bin"}
            case "WORKDIR":
                image.workdir = Path(here)
                image.workdir.mkdir()
            case "ENV":
                variable, _, value = here.partition("=")
                image.environment[variable] = value.replace("$PATH", image.environment["PATH"])
            case "COPY":
                copy(here.split(), image.workdir)
            case "RUN" if not rest.startswith(NOT_RUN):
                ran = subprocess.run(
                    ["/bin/sh", "-c", here],
                    cwd=image.workdir,
                    env={**inherited, **image.environment},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert ran.returncode == 0, f"{rest}\n{ran.stdout[-2_000:]}\n{ran.stderr[-2_000:]}"
            case "HEALTHCHECK":
                image.healthcheck = json.loads(rest.partition(" CMD ")[2])
            case "CMD":
                image.command = json.loads(rest)
            case _:
                assert name in NOTED or name == "RUN", f"nobody here knows what {name} means"
                image.noted[name] = rest
    return image


def copy(words: list[str], workdir: Path) -> None:
    """Do what COPY does with files and folders of the context; from the other stage everything is here already."""
    if words[0].startswith("--from="):
        assert words[1] == words[2], "the stages share one folder"
        return
    *sources, target = words
    given = context()
    for source in sources:
        found = [path for path in given if path == Path(source) or Path(source) in path.parents]
        assert found, f"{source} is not in the build's context"
        for path in found:
            into = workdir / target / path.relative_to(source) if path != Path(source) else workdir / target / path.name
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / path, into)
