"""What gunicorn needs to run this application: the worker, the logger, and the drain before a stop.

Lives here: what gunicorn calls, and the flag with which its master process announces a stop to the workers. Does not
live here: anything that a request needs; the application also runs without gunicorn.
"""
