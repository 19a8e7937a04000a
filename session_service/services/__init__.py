"""Use cases: each decides by the rules, in one transaction, and returns plain values.

Lives here: sign-in, the current session, listing and ending sessions, the purge, one user's data, readiness. Does not
live here: HTTP (`views`), SQL (`database`), the rules themselves (`rules`).
"""
