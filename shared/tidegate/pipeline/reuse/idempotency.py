"""A call's idempotency key: claimed before the call is made; at the end it leads to the reply, or is released."""

import logging
from functools import partial

from tidegate.domain.account import SETTLE_GRACE_SECONDS
from tidegate.domain.call import Call
from tidegate.domain.idempotency import IdempotencyClaim
from tidegate.domain.stored_reply import StoredReply, unpack_reply
from tidegate.errors import StoreUnavailable, TidegateError
from tidegate.offload import offload
from tidegate.policy.caching.cache_key import digest_of_idempotency_key, digest_of_request
from tidegate.ports import IdempotencyClaims

log = logging.getLogger(__name__)

REPLAY_SECONDS = 86_400.0
"""How long a stored reply is replayed for its idempotency key."""


class IdempotentCall:
    """The claim of one call to its idempotency key, if it has one."""

    def __init__(self, claims: IdempotencyClaims, call: Call) -> None:
        self._claims = claims
        self._call = call
        self._claim: IdempotencyClaim | None = None

    async def replay(self) -> StoredReply | None:
        """Return the reply stored for the key; None if there is no key, or if this call has claimed it now.

        Raises `IdempotencyInFlight`, `IdempotencyKeyReused`, and `StoreUnavailable`: if the store is down, the call is
        refused, not made a second time.
        """
        call = self._call
        if call.idempotency_key is None:
            return None
        request_digest = await offload(call.request.size, partial(digest_of_request, call))
        key, ends_at = digest_of_idempotency_key(call.idempotency_key), call.deadline + SETTLE_GRACE_SECONDS
        # Set before the claim is written: if the client leaves meanwhile, the claim is released.
        self._claim = IdempotencyClaim(call.workspace.id, key, request_digest, call.id, ends_at)
        try:
            packed = await self._claims.claim(self._claim)
        except TidegateError:
            self._claim = None
            raise
        if packed is None:
            return None
        self._claim = None
        stored = await offload(len(packed), partial(unpack_reply, packed, self._call.operation.is_reply))
        if stored is None:
            raise StoreUnavailable("The stored reply of this idempotency key cannot be read.")
        return stored

    async def settle(self, packed: bytes | None) -> None:
        """Store the reply for the key; if there is none, or it is too large, release the key."""
        claim = self._claim
        if claim is None:
            return
        log_fields = {"call_id": self._call.id, "bytes": len(packed or b"")}
        try:
            if packed is not None:
                if await self._claims.fulfil(claim, packed, REPLAY_SECONDS):
                    return
                log.warning("idempotency.not_kept", extra=log_fields)
            await self._claims.release(claim)
        except StoreUnavailable:  # the claim expires by itself
            log.warning("idempotency.unavailable", extra=log_fields)
