"""What requests cost, in processor time of server and database together: `make bench`; README.md says how to read it.

`plan` says what is asked of whom, `seed` fills the databases, `servers` and `load` serve and ask, `processor` counts,
`measure` takes turns, `report` writes it down. `bare` and `alternative` are what the service is compared with.
"""
