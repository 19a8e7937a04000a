"""Loads the plugins of this project, which bring all fixtures that tests of any folder use."""

import pytest

pytest.register_assert_rewrite("tests.harness")

pytest_plugins = (
    "tests.harness.options",
    "tests.harness.turns",
    "tests.harness.reports",
    "tests.harness.databases",
    "tests.harness.applications",
)
