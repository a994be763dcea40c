"""The errors that calls get which compete for an idempotency key."""

from tidegate.errors import IdempotencyInFlight, IdempotencyKeyReused

IN_FLIGHT_RETRY_SECONDS = 2
"""Retry-After while the call with the key is still running."""


def idempotency_in_flight() -> IdempotencyInFlight:
    return IdempotencyInFlight(
        "A call with this idempotency key is still running; retry in a moment.",
        param="idempotency-key",
        retry_after_seconds=IN_FLIGHT_RETRY_SECONDS,
    )


def idempotency_key_reused() -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        "This idempotency key was used with another request body within the last 24 hours; choose a new key.",
        param="idempotency-key",
    )
