"""The endpoints: each parses, calls one use case, and serialises. No SQL, no rule, no ``try``."""
