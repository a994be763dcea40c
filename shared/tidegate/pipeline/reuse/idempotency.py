"""A call's idempotency key: claimed before the call is made; at the end it leads to the reply, or is released."""

import logging
from collections.abc import Iterator
from functools import partial

from tidegate.domain.account import SETTLE_GRACE_SECONDS
from tidegate.domain.call import Call, IdempotencyClaim
from tidegate.domain.deployment import Resolution
from tidegate.domain.stored_reply import StoredReply, unpack_reply
from tidegate.errors import ModelNotAllowed, StoreUnavailable, TidegateError
from tidegate.offload import offload
from tidegate.pipeline.components import Components
from tidegate.pipeline.reuse.stored_answer import may_use_model_of
from tidegate.policy.caching.cache_key import digest_of_idempotency_key, digest_of_request
from tidegate.policy.metering import reservation
from tidegate.policy.routing import fallback
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

    async def replay(self, components: Components) -> StoredReply | None:
        """Return the reply stored for the key; None if there is no key, or if this call has claimed it now.

        Raises `IdempotencyInFlight`, `IdempotencyKeyReused`, `ModelNotAllowed` if another key of the workspace made the
        reply with a model that this call may not use, and `StoreUnavailable`: if the store is down, the call is
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
        await offload(call.request.size, partial(_check_allowed, components, call, stored))
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


def _check_allowed(components: Components, call: Call, stored: StoredReply) -> None:
    """Raise `ModelNotAllowed` unless the call may use the stored reply's model: by its name, or by a route's name."""
    try:
        reservation.check_model_allowed(call, stored.model_id)
    except ModelNotAllowed:
        if not any(may_use_model_of(call, resolution, stored) for resolution in _resolutions(components, call)):
            raise


def _resolutions(components: Components, call: Call) -> Iterator[Resolution]:
    """Resolve the models that may have given the call's reply. Raises `ModelNotFound` and `NotConfigured`."""
    request, router, workspace = call.request, components.router, call.workspace
    for candidate in fallback.candidates(request, router, components.catalog, workspace):
        if candidate.resolution is not None:
            yield candidate.resolution
    bigger = fallback.context_window_fallback(request)
    if bigger is not None:
        yield router.resolve(bigger.request.model, workspace)
