"""Replies given again: the cache and idempotency keys.

reuse           one call, from its idempotency key to what is stored of its answer
cache           one call's entry in the cache, and equal calls in progress
idempotency     one call's claim to its idempotency key
stored_answer   a stored reply → an `Answer`
"""
