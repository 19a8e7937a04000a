"""Describes the machine, without its name or the names of anything on it."""

import os
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

MEASURED_WITH = ("flask", "gunicorn", "sqlalchemy", "psycopg", "fastapi", "uvicorn", "psycopg2-binary", "python-jose")


def describe_machine(programs: Mapping[str, str], measured_with: Sequence[str] = MEASURED_WITH) -> dict[str, str]:
    """Return processor, memory, system and versions, by name; *programs* are versions that are known already."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **programs,
        **{name: version(name) for name in measured_with},
    }


def short_name() -> str:
    """Return a short description of this type of machine, for the name of a file."""
    words = f"{_processor()} {os.cpu_count()} cores".lower()
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)|@.*?ghz", "", words)).strip("-")


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1].strip() if found else platform.machine()
