"""Stored replies and idempotency keys in the table; replies too large for an item are objects in a bucket.

An item has the reply itself in `reply`, or the key of its object in `object`. DynamoDB deletes expired items, the
bucket's lifecycle rule deletes the objects. A reply that is written again gets a new object, so that no item points to
another item's object.
"""

import logging
import math

from msgspec import Struct

from tidegate.aws.bucket import MAX_BYTES, Bucket
from tidegate.aws.dynamo import DynamoClient, TableClient
from tidegate.aws.expressions import Attr, Put
from tidegate.aws.store import ConditionFailed, Item, ItemKey, ObjectStore, Store
from tidegate.aws.table import claim_item_key, reply_item_key
from tidegate.domain.call import IdempotencyClaim
from tidegate.domain.idempotency import idempotency_in_flight, idempotency_key_reused
from tidegate.domain.ids import ulid
from tidegate.errors import StoreUnavailable
from tidegate.ports import IdempotencyClaims, ReplyStore
from tidegate.settings import Settings
from tidegate.transport.aws_service import AwsService

log = logging.getLogger(__name__)

MAX_ITEM_BYTES = 300_000
"""Below the 400 KB that one item may hold."""

CLAIM_TRIES = 3
"""An idempotency key that exists when it is claimed may have expired when it is read."""


def configured_bucket(settings: Settings, client: TableClient) -> Bucket | None:
    """The bucket that the settings name, with the credentials of DynamoDB's client; None if they name none."""
    if settings.reply_bucket is None or not isinstance(client, DynamoClient):
        return None
    table, aws = client.service, settings.aws
    return Bucket(AwsService(table.transport, table.keys, aws.region, "s3", aws.s3_endpoint), settings.reply_bucket)


def configured_reply_stores(
    settings: Settings, store: Store, objects: ObjectStore | None = None
) -> tuple[ReplyStore, IdempotencyClaims]:
    """The stores of replies and of idempotency keys. Without `objects`, large ones go to the settings' bucket."""
    replies = DynamoReplyStore(store, objects or configured_bucket(settings, store.client))
    return replies, replies


class DynamoReplyStore(Struct, frozen=True):
    """The ports `ReplyStore` and `IdempotencyClaims`. Without a bucket, large replies are not stored."""

    store: Store
    bucket: ObjectStore | None = None

    @property
    def answers_at_once(self) -> bool:
        """See `ReplyStore.answers_at_once`."""
        return False

    async def find(self, workspace_id: str, key: str) -> bytes | None:
        """See `ReplyStore.find`: one read of the table, and one of the bucket for a large reply."""
        item_key = reply_item_key(workspace_id, key)
        item = (await self.store.read(item_key)).get(item_key)
        return None if item is None else await self._read_reply(item)

    async def keep(self, workspace_id: str, key: str, reply: bytes, seconds: float) -> bool:
        """See `ReplyStore.keep`: for a large reply, a write to the bucket; then a write to the table."""
        item_key = reply_item_key(workspace_id, key)
        reply_attributes = await self._store_reply(item_key, reply)
        if reply_attributes is None:
            return False
        item = {**item_key._asdict(), **reply_attributes, "ttl": self._ttl(seconds)}
        await self.store.put(Put(self.store.table, item))
        return True

    async def claim(self, claim: IdempotencyClaim) -> bytes | None:
        """See `IdempotencyClaims.claim`: one conditional write, and a read if it is refused."""
        item_key = claim_item_key(claim.workspace_id, claim.key_digest)
        free = Attr("pk").does_not_exist() | Attr("ttl").lte(int(self.store.clock()))
        item = {**self._claim_item(item_key, claim), "ttl": math.ceil(claim.ends_at)}
        for _ in range(CLAIM_TRIES):
            try:
                await self.store.put(Put(self.store.table, item, free))
            except ConditionFailed:
                existing = (await self.store.read(item_key)).get(item_key)
            else:
                return None
            if existing is not None:
                return await self._stored_reply(claim, existing)
        raise idempotency_in_flight()

    async def fulfil(self, claim: IdempotencyClaim, reply: bytes, seconds: float) -> bool:
        """See `IdempotencyClaims.fulfil`: for a large reply, a write to the bucket; then one conditional write."""
        item_key = claim_item_key(claim.workspace_id, claim.key_digest)
        reply_attributes = await self._store_reply(item_key, reply)
        if reply_attributes is None:
            return False
        attributes = {**self._claim_item(item_key, claim), **reply_attributes, "ttl": self._ttl(seconds)}
        return await self._put_if_owner(claim, attributes)

    async def release(self, claim: IdempotencyClaim) -> None:
        """See `IdempotencyClaims.release`. The item expires at once, and stays until DynamoDB deletes it."""
        item_key = claim_item_key(claim.workspace_id, claim.key_digest)
        await self._put_if_owner(claim, {**self._claim_item(item_key, claim), "ttl": int(self.store.clock())})

    async def _stored_reply(self, claim: IdempotencyClaim, item: Item) -> bytes | None:
        if item.get("asked") != claim.request_digest:
            raise idempotency_key_reused()
        if "reply" in item or "object" in item:
            reply = await self._read_reply(item)
            if reply is None:  # the reply was charged for: never run the call a second time silently
                raise StoreUnavailable(
                    "The stored reply of this idempotency key cannot be read. To run the call again, and be charged "
                    "again, send a new key."
                )
            return reply
        if item.get("owner") != claim.owner:  # the owner's own write may have been sent twice
            raise idempotency_in_flight()
        return None

    async def _put_if_owner(self, claim: IdempotencyClaim, item: dict[str, object]) -> bool:
        ours = Attr("owner").equals(claim.owner) & Attr("reply").does_not_exist() & Attr("object").does_not_exist()
        try:
            await self.store.put(Put(self.store.table, item, ours))
        except ConditionFailed:
            return False
        return True

    async def _store_reply(self, item_key: ItemKey, reply: bytes) -> dict[str, object] | None:
        """The attributes that hold the reply or refer to its object; None if the reply is too large to store."""
        if len(reply) <= MAX_ITEM_BYTES:
            return {"reply": reply}
        if self.bucket is None or len(reply) > MAX_BYTES:
            return None
        prefix, _, digest = item_key.sk.partition("#")
        object_key = f"{prefix.lower()}/{item_key.pk.removeprefix('WS#')}/{digest}/{ulid(self.store.clock())}"
        await self.bucket.put(object_key, reply)
        return {"object": object_key}

    async def _read_reply(self, item: Item) -> bytes | None:
        match item:
            case {"reply": bytes(reply)}:
                return reply
            case {"object": str(object_key)} if self.bucket is not None:
                return await self.bucket.get(object_key)
            case _:
                log.warning("reply.unreadable")
                return None

    def _claim_item(self, item_key: ItemKey, claim: IdempotencyClaim) -> dict[str, object]:
        return {**item_key._asdict(), "asked": claim.request_digest, "owner": claim.owner}

    def _ttl(self, seconds: float) -> int:
        return math.ceil(self.store.clock() + seconds)
