"""The auth server: its tokens, its keys, its users.

Lives here: token verification, the key set, HTTP calls to the auth server, the user directory. Does not live here:
sessions, and the answers of endpoints.
"""
