"""The claim to be the one call that is made with an idempotency key, and what others are told."""

from typing import NamedTuple

from tidegate.errors import IdempotencyInFlight, IdempotencyKeyReused

IN_FLIGHT_RETRY_SECONDS = 2
"""After which a caller may ask again what became of a call that is still running."""


class IdempotencyClaim(NamedTuple):
    """A call that wants to be the only one with its idempotency key.

    `key` and `asked` are digests: of the idempotency key, and of what is asked for with it. `owner` is the call's id;
    a claim ends by itself at `ends_at` (UTC seconds), when its process must be dead.
    """

    workspace_id: str
    key_digest: str
    request_digest: str
    owner: str
    ends_at: float


def idempotency_in_flight() -> IdempotencyInFlight:
    return IdempotencyInFlight(
        "A call with this idempotency key is still running; ask again in a moment.",
        param="idempotency-key",
        retry_after_seconds=IN_FLIGHT_RETRY_SECONDS,
    )


def idempotency_key_reused() -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        "This idempotency key was used with another body within the last 24 hours; choose a new one.",
        param="idempotency-key",
    )
