"""A pytest plugin: the options of this project."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let somebody with time run the model for longer."""
    parser.addoption(
        "--schema-cases", type=int, default=20_000, help="how many requests are generated from the OpenAPI document"
    )
    parser.addoption("--model-examples", type=int, default=50, help="sequences of up to 50 steps, of test_model.py")
    parser.addoption("--quick", action="store_true", help="PostgreSQL's commits do not wait for the disk")
