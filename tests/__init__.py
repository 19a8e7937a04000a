"""The tests of the service; `README.md` says how to run them."""

# Before any other import: a package that the tests use reads a variable that is set there.
import tests.run_folder  # noqa: F401
