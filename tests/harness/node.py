"""Programs from npm, installed at their first use into the environment `.venv`."""

import subprocess
import sys
from fcntl import LOCK_EX, flock
from functools import cache
from pathlib import Path

from tests.harness.reports import require_tool

PACKAGES = {
    "@redocly/cli": "2.77.0",
    "axe-core": "4.14.1",
    "esbuild": "0.28.2",
    "openapi-typescript": "7.13.0",
    "react-dom": "19.3.1",
    "typescript": "7.0.2",
}

_FOLDER = Path(sys.prefix) / "node"


def node_program(name: str, package: str) -> list[str]:
    """Return the command of a program of *package*, one of `PACKAGES`; without npm, the test is skipped."""
    return [str(node_modules(package) / ".bin" / name)]


@cache
def node_modules(package: str) -> Path:
    """Return the folder that has *package*, one of `PACKAGES`, and what it needs; without npm, the test is skipped."""
    npm, version = require_tool("npm"), PACKAGES[package]
    folder = _FOLDER / f"{package.replace('/', '_')}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        flock(lock, LOCK_EX)  # of xdist's workers, one installs it
        if not (folder / "installed").exists():
            options = ["--no-audit", "--no-fund", "--no-save", "--no-package-lock", "--prefix", str(folder)]
            command = [npm, "install", *options, f"{package}@{version}"]
            subprocess.run(command, check=True, capture_output=True, timeout=600)
            (folder / "installed").touch()
    return folder / "node_modules"
