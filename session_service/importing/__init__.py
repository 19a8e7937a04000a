"""The import of sessions that an application already has: `flask --app wsgi sessions import`.

Lives here: files and tables as sources, what makes a row of them a session or why it is left out, the batches, the
report, and the command. Does not live here: the SQL (`database.import_queries`, `database.application_table`), and what
a session is: devices, networks and time limits are those of a sign-in.
"""
