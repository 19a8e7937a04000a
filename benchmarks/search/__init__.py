"""What a search by criteria costs on 5,000,000 sessions: `make bench-search`.

Lives here: the questions, and how pages, ends by criteria, `sessions what-if` and the indexes' share of a sign-in are
measured. Does not live here: what `make bench` measures.
"""
