"""The HTTP interface.

Lives here: guards, request hooks, schemas, and endpoints that parse a request, call one use case and serialise its
result. Does not live here: SQL, rules, and error handling of single views; `problems` answers every error.
"""
