"""Measures the processor time of requests, server and database together: `make bench`. README.md explains the results.

`plan` defines the requests and their senders, `seed` fills the databases, `servers` runs the servers, `load` sends the
requests, `processor` reads the processor time, `measure` runs the turns, `report` writes the results. `bare` and
`alternative` are the servers that the service is compared with.
"""
