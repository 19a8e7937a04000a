"""What the tests share.

Lives here: servers, databases, browsers and clients that tests start; loads and what judges them; tables of hostile
input that several tests use; pytest's plugins of this project. Does not live here: a test, or a fixture of one folder.
"""
