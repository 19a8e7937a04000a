"""Where the project's files are, for tests in any folder."""

from pathlib import Path

HARNESS = Path(__file__).resolve().parent
PROJECT = HARNESS.parent.parent
PAGES = HARNESS / "pages"
"""A small frontend, for real browsers."""
RELEASES = HARNESS / "releases"
"""The release before the present code."""
