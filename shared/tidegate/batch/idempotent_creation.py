"""Creates one batch for an idempotency key, however often the request comes.

The key leads to the id of its batch before the batch is stored. If the process dies in between, the next request with
the key stores the batch under this id: there is never a second batch.
"""

import hashlib
import logging

from msgspec.structs import replace

from tidegate.batch.batches import prepare_batch, start_batch
from tidegate.batch.components import BatchComponents
from tidegate.batch.fields import Fields
from tidegate.domain.batch import Batch
from tidegate.domain.call import IdempotencyClaim
from tidegate.domain.idempotency import idempotency_in_flight
from tidegate.domain.ids import ulid
from tidegate.errors import IdempotencyInFlight, IdempotencyKeyReused, StoreUnavailable
from tidegate.json import encode_canonical
from tidegate.pipeline.reuse.idempotency import REPLAY_SECONDS
from tidegate.pipeline.shield import run_shielded
from tidegate.policy.caching.cache_key import digest_of_idempotency_key
from tidegate.ports import IdempotencyClaims

log = logging.getLogger(__name__)

CLAIM_SECONDS = 60.0
"""How long a process that has died keeps a key without a batch. To check the request takes three reads."""


async def create_batch_once(
    components: BatchComponents, workspace_id: str, key_id: str, fields: Fields, idempotency_key: str
) -> tuple[Batch, bool]:
    """Return the batch that this key of the workspace has led to within a day, and whether it existed before.

    Raises `IdempotencyInFlight`, `IdempotencyKeyReused`, and the errors of `create_batch`, after which the key is free.
    """
    claims, table, now = components.gateway.reuse.open_claims(), components.table, components.clock()
    key_digest = digest_of_idempotency_key(idempotency_key)
    request_digest = hashlib.sha256(encode_canonical(["batches", fields.values])).hexdigest()
    claim = IdempotencyClaim(workspace_id, key_digest, request_digest, ulid(now), now + CLAIM_SECONDS)
    try:
        stored_id = await claims.claim(claim)
        if stored_id is None:
            batch = await prepare_batch(components, workspace_id, key_id, fields)
            if not await claims.fulfil(claim, batch.id.encode(), REPLAY_SECONDS):
                raise idempotency_in_flight()  # the claim has ended meanwhile
            return await _start_or_find(components, batch)
    except (IdempotencyInFlight, IdempotencyKeyReused):
        raise
    except BaseException:
        await run_shielded(_release(claims, claim))  # a key that leads to an id is kept
        raise
    existing = await table.find_batch(workspace_id, stored_id.decode())
    if existing is not None:
        return existing, True
    batch = await prepare_batch(components, workspace_id, key_id, fields)
    return await _start_or_find(components, replace(batch, id=stored_id.decode()))


async def _start_or_find(components: BatchComponents, batch: Batch) -> tuple[Batch, bool]:
    """Store a new batch and start it, unless another request with its key has done so."""
    try:
        return await start_batch(components, batch), False
    except StoreUnavailable:
        existing = await components.table.find_batch(batch.workspace_id, batch.id)
        if existing is None:
            raise
        return existing, True


async def _release(claims: IdempotencyClaims, claim: IdempotencyClaim) -> None:
    try:
        await claims.release(claim)
    except StoreUnavailable:  # the claim ends by itself
        log.warning("idempotency.unavailable", extra={"workspace_id": claim.workspace_id})
