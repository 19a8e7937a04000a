"""Decisions as plain functions of plain values and `now`.

Lives here: when a session is active, which sessions a sign-in ends, which session a token belongs to, how a user agent
is parsed, which address is used, which ids are valid. Does not live here: anything that needs Flask, a database, a
network or a clock; these modules can be imported on a machine without any of them.
"""
