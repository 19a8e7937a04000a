"""Device sessions for the JWTs that another server issues: listed, limited and ended here.

One way through, and nothing is imported upwards (`tests/test_architecture.py` holds the table):

    gunicorn -> wsgi -> app -> views -> service, current -> store -> models -> extensions

``views`` parse a request and call one use case; ``auth`` guards them: whose token is it, and which
session is *current*? ``service`` and ``current`` decide, in one transaction each, by the rules in
``policy``, ``devices`` and ``addresses``; ``store`` holds all SQL. ``errors``, ``clock`` and
``records`` are leaves that anyone may import.

To read it in ten minutes: ``records`` (the words), ``policy`` (the rules), ``service`` (what happens),
``store`` (the SQL), then ``views/sessions`` from the outside in.
"""

__version__ = "0.2.0.dev0"
