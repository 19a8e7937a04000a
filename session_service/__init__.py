"""Device sessions for the JWTs that another server issues: list them, limit them, end them.

A request passes through the layers in this order, and no layer imports a higher one (`tests/unit/test_architecture.py`
checks that):

    gunicorn -> wsgi -> app -> views -> services -> database -> PostgreSQL / SQLite
                         |       |         |
                        cli  auth_server  rules

A view parses a request and calls one use case of `services`, which decides by the `rules` in one transaction. All SQL
is in `database`. `records`, `errors`, `clock` and `limits` may be imported everywhere.
"""

__version__ = "0.2.0.dev0"
