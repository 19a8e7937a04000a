"""Where the project's files are, for tests in any folder."""

from pathlib import Path

HARNESS = Path(__file__).resolve().parent
PROJECT = HARNESS.parent.parent
STARTUP = HARNESS / "startup"
"""Python processes that tests start import a module of this folder first."""
PAGES = HARNESS / "pages"
"""A small frontend, for real browsers."""
RELEASES = HARNESS / "releases"
"""The release before the present code."""
