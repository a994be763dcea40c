"""Cached replies and idempotency keys in dictionaries of bounded size."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from tidegate.domain.call import IdempotencyClaim
from tidegate.domain.idempotency import idempotency_in_flight, idempotency_key_reused

MAX_BYTES = 64 * 1024 * 1024
"""Limit for all replies together. The oldest are dropped first."""

MAX_REPLY_BYTES = 16 * 1024 * 1024

MAX_CLAIMS = 10_000


class _CachedReply(Struct, frozen=True, gc=False):
    data: bytes
    ends_at: float


class _StoredClaim(NamedTuple):
    claim: IdempotencyClaim
    ends_at: float
    reply: bytes | None = None


class MemoryReplyStore:
    """The ports `ReplyStore` and `IdempotencyClaims`.

    Nothing is awaited between looking up a key and claiming it, so that only one call gets the key.
    """

    answers_at_once = True

    def __init__(self, clock: Callable[[], float] = time.time, max_bytes: int = MAX_BYTES) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._bytes = 0
        self._replies: OrderedDict[tuple[str, str], _CachedReply] = OrderedDict()
        self._claims: OrderedDict[tuple[str, str], _StoredClaim] = OrderedDict()

    async def find(self, workspace_id: str, key: str) -> bytes | None:
        """See `ReplyStore.find`."""
        cached = self._replies.get((workspace_id, key))
        return cached.data if cached is not None and cached.ends_at > self._clock() else None

    async def keep(self, workspace_id: str, key: str, reply: bytes, seconds: float) -> bool:
        """See `ReplyStore.keep`."""
        size = len(reply)
        if size > MAX_REPLY_BYTES or size > self._max_bytes:
            return False
        replies, reply_key = self._replies, (workspace_id, key)
        if reply_key in replies:
            self._bytes -= len(replies.pop(reply_key).data)
        self._bytes += size
        replies[reply_key] = _CachedReply(reply, self._clock() + seconds)
        while self._bytes > self._max_bytes:
            self._bytes -= len(replies.popitem(last=False)[1].data)
        return True

    async def claim(self, claim: IdempotencyClaim) -> bytes | None:
        """See `IdempotencyClaims.claim`."""
        stored = self._claims.get((claim.workspace_id, claim.key_digest))
        if stored is None or stored.ends_at <= self._clock():
            self._store_claim(_StoredClaim(claim, claim.ends_at))
            return None
        if stored.claim.request_digest != claim.request_digest:
            raise idempotency_key_reused()
        if stored.reply is None and stored.claim.owner != claim.owner:
            raise idempotency_in_flight()
        return stored.reply

    async def fulfil(self, claim: IdempotencyClaim, reply: bytes, seconds: float) -> bool:
        """See `IdempotencyClaims.fulfil`."""
        if len(reply) > MAX_REPLY_BYTES or not self._is_owner(claim):
            return False
        self._store_claim(_StoredClaim(claim, self._clock() + seconds, reply))
        return True

    async def release(self, claim: IdempotencyClaim) -> None:
        """See `IdempotencyClaims.release`."""
        if self._is_owner(claim):
            del self._claims[claim.workspace_id, claim.key_digest]

    def _is_owner(self, claim: IdempotencyClaim) -> bool:
        stored = self._claims.get((claim.workspace_id, claim.key_digest))
        return stored is not None and stored.claim.owner == claim.owner and stored.reply is None

    def _store_claim(self, stored: _StoredClaim) -> None:
        claim_key = (stored.claim.workspace_id, stored.claim.key_digest)
        self._claims.pop(claim_key, None)
        self._claims[claim_key] = stored
        if len(self._claims) > MAX_CLAIMS:
            self._claims.popitem(last=False)
