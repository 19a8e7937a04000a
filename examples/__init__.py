"""Servers to copy from: an auth server as many are, and the same after the steps of `docs/integration.md`."""
