"""Measures what 1,000,000 sign-ins leave behind in PostgreSQL: `make bench-churn`. ../README.md explains the results.

`plan` has the sizes and the target, `rows` fills the databases, `load` is what the processes run, `tables` reads
PostgreSQL's statistics, `compare` measures the churned database and a fresh one in turns, `report` and `plot` write the
results. The folder can be removed: only the Makefile and tests refer to it.
"""
