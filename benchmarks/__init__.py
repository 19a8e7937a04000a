"""Measures the processor time of requests, server and database together: `make bench`. README.md explains the results.

`plan` defines the requests and their senders, `seed` fills the databases, `servers` runs the servers, `stage` and
`subjects` put them together, `load` sends the requests, `processor` and `memory` read what they cost, `measure` runs
the turns, `results` and `targets` judge them, `report` and `plot` write them down. `bare`, `alternative` and `node/`
are the servers that the service is compared with. `churn/` is `make bench-churn`.
"""
