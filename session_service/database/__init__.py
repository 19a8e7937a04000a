"""The tables, the connections to them, and all SQL.

Lives here: models, the engine and its time limits, the driver, transactions, statements, and one module of queries for
each group of use cases. Does not live here: decisions about sessions; queries only return and change rows.
"""
