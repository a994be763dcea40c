"""Claims of calls to idempotency keys, and the errors that competing calls get."""

from typing import NamedTuple

from tidegate.errors import IdempotencyInFlight, IdempotencyKeyReused

IN_FLIGHT_RETRY_SECONDS = 2
"""Retry-After while the call with the key is still running."""


class IdempotencyClaim(NamedTuple):
    """The claim of one call, `owner`, to an idempotency key of its workspace.

    `key_digest` is the digest of the idempotency key, `request_digest` that of the request. At `ends_at` (UTC seconds)
    the claim ends by itself, because the owner's process must have died.
    """

    workspace_id: str
    key_digest: str
    request_digest: str
    owner: str
    ends_at: float


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
