"""Kept replies and idempotency keys in the table; what is larger than an item may be lies in a bucket.

An item says where its reply is: in `reply`, or under `object` in the bucket. DynamoDB deletes items that are over, the
bucket's lifecycle the objects. A reply that is written anew has a new object, so that no item leads to another's.
"""

import logging
import math

from msgspec import Struct

from tidegate.aws.bucket import MAX_BYTES, Bucket
from tidegate.aws.dynamo import DynamoClient
from tidegate.aws.expressions import Attr, Put
from tidegate.aws.store import ConditionFailed, Item, ItemKey, Store
from tidegate.aws.table import claim_item_key, reply_item_key
from tidegate.domain.idempotency import IdempotencyClaim, idempotency_in_flight, idempotency_key_reused
from tidegate.domain.ids import ulid
from tidegate.errors import StoreUnavailable
from tidegate.ports import IdempotencyClaims, ReplyStore
from tidegate.settings import Settings

log = logging.getLogger(__name__)

MAX_ITEM_BYTES = 300_000
"""Below the 400 KB that one item may hold."""

CLAIM_TRIES = 3
"""A key that is there when it is claimed may be gone when it is read."""


def configured_bucket(settings: Settings, client: DynamoClient) -> Bucket | None:
    """The bucket that the settings name, if they name one; opened as the table is."""
    if settings.reply_bucket is None:
        return None
    aws = settings.aws
    return Bucket(client.transport, client.aws_keys, settings.reply_bucket, aws.region, aws.s3_endpoint)


def configured_reply_stores(settings: Settings, store: Store) -> tuple[ReplyStore, IdempotencyClaims]:
    """Where replies and idempotency keys are, as the settings say."""
    replies = DynamoReplyStore(store, configured_bucket(settings, store.client))
    return replies, replies


class DynamoReplyStore(Struct, frozen=True):
    """The ports `Replies` and `Claims`. Without a bucket, a large reply is not kept."""

    store: Store
    bucket: Bucket | None = None

    async def find(self, workspace_id: str, key: str) -> bytes | None:
        """See `Replies.find`: one read, and one of the bucket for a large reply."""
        at = reply_item_key(workspace_id, key)
        item = (await self.store.read(at)).get(at)
        return None if item is None else await self._read_reply(item)

    async def keep(self, workspace_id: str, key: str, reply: bytes, seconds: float) -> bool:
        """See `Replies.keep`: one write, and before it one of the bucket for a large reply."""
        at = reply_item_key(workspace_id, key)
        held = await self._store_reply(at, reply)
        if held is None:
            return False
        await self.store.put(Put(self.store.table, {**at._asdict(), **held, "ttl": self._ttl(seconds)}))
        return True

    async def claim(self, claim: IdempotencyClaim) -> bytes | None:
        """See `Claims.claim`: one conditional write, and a read where it is refused."""
        at = claim_item_key(claim.workspace_id, claim.key_digest)
        free = Attr("pk").does_not_exist() | Attr("ttl").lte(int(self.store.clock()))
        item = {**self._claim_item(at, claim), "ttl": math.ceil(claim.ends_at)}
        for _ in range(CLAIM_TRIES):
            try:
                await self.store.put(Put(self.store.table, item, free))
            except ConditionFailed:
                found = (await self.store.read(at)).get(at)
            else:
                return None
            if found is not None:
                return await self._stored_reply(claim, found)
        raise idempotency_in_flight()

    async def fulfil(self, claim: IdempotencyClaim, reply: bytes, seconds: float) -> bool:
        """See `Claims.fulfil`: one conditional write, and before it one of the bucket for a large reply."""
        at = claim_item_key(claim.workspace_id, claim.key_digest)
        held = await self._store_reply(at, reply)
        if held is None:
            return False
        return await self._put_if_owner(claim, {**self._claim_item(at, claim), **held, "ttl": self._ttl(seconds)})

    async def release(self, claim: IdempotencyClaim) -> None:
        """See `Claims.release`. The item stays until DynamoDB deletes it, and is over from now on."""
        at = claim_item_key(claim.workspace_id, claim.key_digest)
        await self._put_if_owner(claim, {**self._claim_item(at, claim), "ttl": int(self.store.clock())})

    async def _stored_reply(self, claim: IdempotencyClaim, found: Item) -> bytes | None:
        if found.get("asked") != claim.request_digest:
            raise idempotency_key_reused()
        if "reply" in found or "object" in found:
            reply = await self._read_reply(found)
            if reply is None:  # it was charged for: never do it again without a word
                raise StoreUnavailable("The reply of this idempotency key cannot be read.")
            return reply
        if found.get("owner") != claim.owner:  # the owner's own write may have been repeated on the way
            raise idempotency_in_flight()
        return None

    async def _put_if_owner(self, claim: IdempotencyClaim, item: dict[str, object]) -> bool:
        ours = Attr("owner").equals(claim.owner) & Attr("reply").does_not_exist() & Attr("object").does_not_exist()
        try:
            await self.store.put(Put(self.store.table, item, ours))
        except ConditionFailed:
            return False
        return True

    async def _store_reply(self, at: ItemKey, reply: bytes) -> dict[str, object] | None:
        """What an item says of the reply; None where there is no place for it."""
        if len(reply) <= MAX_ITEM_BYTES:
            return {"reply": reply}
        if self.bucket is None or len(reply) > MAX_BYTES:
            return None
        kind, _, digest = at.sk.partition("#")
        place = f"{kind.lower()}/{at.pk.removeprefix('WS#')}/{digest}/{ulid(self.store.clock())}"
        await self.bucket.put(place, reply)
        return {"object": place}

    async def _read_reply(self, item: Item) -> bytes | None:
        match item:
            case {"reply": bytes(reply)}:
                return reply
            case {"object": str(place)} if self.bucket is not None:
                return await self.bucket.get(place)
            case _:
                log.warning("reply.unreadable")
                return None

    def _claim_item(self, at: ItemKey, claim: IdempotencyClaim) -> dict[str, object]:
        return {**at._asdict(), "asked": claim.request_digest, "owner": claim.owner}

    def _ttl(self, seconds: float) -> int:
        return math.ceil(self.store.clock() + seconds)
