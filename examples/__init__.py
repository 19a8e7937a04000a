"""Servers to copy from: a common auth server, before and after the steps of `docs/integration.md`."""
