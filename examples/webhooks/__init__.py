"""Receivers of webhooks to copy from, and what they share: a message is verified before anything is read from it."""
