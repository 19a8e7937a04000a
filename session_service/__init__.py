"""Device sessions for the JWTs that another server issues: list them, limit them, end them.

A request takes one way through, and nothing is imported upwards (`tests/unit/test_architecture.py` holds the table):

    gunicorn -> wsgi -> app -> views -> services -> database -> PostgreSQL / SQLite
                         |       |         |
                        cli  auth_server  rules

``views`` parse a request and call one use case of ``services``, which decides by the ``rules`` in one transaction;
``database`` holds all SQL. ``records``, ``errors``, ``clock`` and ``limits`` may be imported everywhere.
"""

__version__ = "0.2.0.dev0"
