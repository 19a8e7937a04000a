"""Webhooks: what was created and ended is sent to the endpoints of a file, by a process of its own.

Lives here: the file of endpoints, what is sent and how it is signed, the HTTP call, when a failed attempt is repeated,
and the process that delivers. Does not live here: the SQL (`database.webhook_queries`), and events themselves, which
the feed reads as well.
"""
