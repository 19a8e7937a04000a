"""How gunicorn runs this application: its worker, its logger, and the drain before a stop.

Lives here: what gunicorn calls, and the flag by which its master tells the workers about a stop. Does not live here:
anything that a request needs; the application also runs without gunicorn.
"""
