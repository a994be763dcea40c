"""The pace of batches at a provider, which all workers share."""

from msgspec import Struct


class ProviderPace(Struct, frozen=True, array_like=True):
    """How fast batches may ask a provider. Times are UTC seconds; `blocked_until` ends a wait that it has asked for.

    Of a declared rate, workers take portions one after the other: `requests_at` and `tokens_at` are the times from
    which the next portion may be used. The version grows by one with each write: a write of an older one is refused.
    """

    provider: str
    blocked_until: float = 0.0
    requests_at: float = 0.0
    tokens_at: float = 0.0
    version: int = 0
