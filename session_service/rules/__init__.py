"""Decisions as plain functions of plain values and ``now``.

Lives here: when a session is active, which sessions end for a sign-in, which session a token belongs to, how a user
agent is read, which address counts, what an id looks like. Does not live here: anything that needs Flask, a database,
a network or a clock; these modules load on a machine without any of them.
"""
