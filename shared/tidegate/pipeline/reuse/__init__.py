"""Replies given again: the cache, and idempotency keys."""
