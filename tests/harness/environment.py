"""The environment of processes that tests start: this process's own, without settings of the service."""

import os
from dataclasses import fields

from session_service.config import Settings
from tests.harness.paths import STARTUP

OURS = {setting.name for setting in fields(Settings)} | {
    "HOST",
    "PORT",
    "WEB_CONCURRENCY",
    "DRAIN_SECONDS",
    "PROMETHEUS_MULTIPROC_DIR",
}
"""Variables that the service reads."""


def environment_with(**given: str) -> dict[str, str]:
    """Return this process's environment without the variables in `OURS`, and with *given*."""
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    return {**inherited, "PYTHONPATH": str(STARTUP), **given}
