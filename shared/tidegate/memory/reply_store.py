"""Kept replies and idempotency keys in dictionaries of bounded size."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from tidegate.domain.idempotency import IdempotencyClaim, idempotency_in_flight, idempotency_key_reused

MAX_BYTES = 64 * 1024 * 1024
"""Of all replies together; the oldest go first."""

MAX_REPLY_BYTES = 16 * 1024 * 1024

MAX_CLAIMS = 10_000


class _CachedReply(NamedTuple):
    data: bytes
    ends_at: float


class _StoredClaim(NamedTuple):
    claim: IdempotencyClaim
    ends_at: float
    reply: bytes | None = None


class MemoryReplyStore:
    """The ports `Replies` and `Claims`. Nothing is awaited between looking and taking: one alone takes a key."""

    def __init__(self, clock: Callable[[], float] = time.time, max_bytes: int = MAX_BYTES) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._bytes = 0
        self._replies: OrderedDict[tuple[str, str], _CachedReply] = OrderedDict()
        self._claims: OrderedDict[tuple[str, str], _StoredClaim] = OrderedDict()

    async def find(self, workspace_id: str, key: str) -> bytes | None:
        """See `Replies.find`."""
        found = self._replies.get((workspace_id, key))
        return found.data if found is not None and found.ends_at > self._clock() else None

    async def keep(self, workspace_id: str, key: str, reply: bytes, seconds: float) -> bool:
        """See `Replies.keep`."""
        if len(reply) > min(MAX_REPLY_BYTES, self._max_bytes):
            return False
        before = self._replies.pop((workspace_id, key), None)
        self._bytes += len(reply) - (len(before.data) if before else 0)
        self._replies[workspace_id, key] = _CachedReply(reply, self._clock() + seconds)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._replies.popitem(last=False)[1].data)
        return True

    async def claim(self, claim: IdempotencyClaim) -> bytes | None:
        """See `Claims.claim`."""
        found = self._claims.get((claim.workspace_id, claim.key_digest))
        if found is None or found.ends_at <= self._clock():
            self._store_claim(_StoredClaim(claim, claim.ends_at))
            return None
        if found.claim.request_digest != claim.request_digest:
            raise idempotency_key_reused()
        if found.reply is None and found.claim.owner != claim.owner:
            raise idempotency_in_flight()
        return found.reply

    async def fulfil(self, claim: IdempotencyClaim, reply: bytes, seconds: float) -> bool:
        """See `Claims.fulfil`."""
        if len(reply) > MAX_REPLY_BYTES or not self._is_owner(claim):
            return False
        self._store_claim(_StoredClaim(claim, self._clock() + seconds, reply))
        return True

    async def release(self, claim: IdempotencyClaim) -> None:
        """See `Claims.release`."""
        if self._is_owner(claim):
            del self._claims[claim.workspace_id, claim.key_digest]

    def _is_owner(self, claim: IdempotencyClaim) -> bool:
        found = self._claims.get((claim.workspace_id, claim.key_digest))
        return found is not None and found.claim.owner == claim.owner and found.reply is None

    def _store_claim(self, claimed: _StoredClaim) -> None:
        place = (claimed.claim.workspace_id, claimed.claim.key_digest)
        self._claims.pop(place, None)
        self._claims[place] = claimed
        if len(self._claims) > MAX_CLAIMS:
            self._claims.popitem(last=False)
