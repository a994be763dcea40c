"""The pace of batches at a provider, which all workers share."""

from msgspec import Struct


class ProviderPace(Struct, frozen=True, array_like=True):
    """How fast batches may ask a provider. `blocked_until` is the end of the wait that it asked for, in UTC seconds.

    Of a declared rate, workers take portions: `requests` and `tokens` are those that were taken in the time slot with
    the number `slot`. The version grows by one with each write: a write of an older one is refused.
    """

    provider: str
    blocked_until: float = 0.0
    slot: int = 0
    requests: int = 0
    tokens: int = 0
    version: int = 0
