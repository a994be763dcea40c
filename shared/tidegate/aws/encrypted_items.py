"""Encrypted contents of workspaces in the table, each under an id; large ones are objects in the bucket of replies.

| attribute | content |
|---|---|
| `content` | the encrypted content, or `object`: the key of the object that has it |
| `key_version` | the version of the workspace's key that encrypts it: `aws.trace_keys` |
| `ttl` | when it expires |

A content can only be decrypted for its workspace and its id: a copy of an item elsewhere is unreadable. DynamoDB
deletes expired items, and the bucket's lifecycle rules delete objects, by the number of days in their keys.
"""

import asyncio
import logging
import math
from collections.abc import Callable

from msgspec import Struct

from tidegate.aws.expressions import Delete, Put
from tidegate.aws.reply_store import MAX_ITEM_BYTES, configured_bucket
from tidegate.aws.store import Item, ItemKey, ObjectStore, Store
from tidegate.aws.trace_keys import KmsKey, TraceKeys
from tidegate.aws.world import AwsWorld
from tidegate.errors import StoreUnavailable
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.transport.aws_service import AwsService

log = logging.getLogger(__name__)

MAX_PRICED_ITEM_BYTES = 10_000
"""Up to here a write of an item is cheaper than one of an object in S3: 0.625 USD for a million times 1 KB, or 5 USD
for a million objects, and 0.625 for the items that refer to them (us-east-1, 2026-11)."""

MAX_DELETED = 20_000
_DELETED_AT_ONCE = 25
_LAST_CHARACTER = "\U0010ffff"


class Family(Struct, frozen=True):
    """One kind of contents: where they stand, and the lifetimes that the lifecycle rules of their objects have.

    `unreadable` is the event that the log has for a damaged one, `id_name` its field with the id; the keys of objects
    begin with `folder`.
    """

    unreadable: str
    id_name: str
    folder: str
    partition_prefix: str
    item_prefix: str
    object_days: tuple[int, ...]

    def partition(self, workspace_id: str) -> str:
        """Return the partition of a workspace's contents and of the keys that encrypt them."""
        return f"{self.partition_prefix}{workspace_id}"

    def item_key(self, workspace_id: str, content_id: str) -> ItemKey:
        return ItemKey(self.partition(workspace_id), f"{self.item_prefix}{content_id}")


class EncryptedItems(Struct, frozen=True):
    """The contents of one family. Those of more than `max_item_bytes` go to the bucket.

    Without a bucket, those too large for any item are not stored.
    """

    store: Store
    keys: TraceKeys
    bucket: ObjectStore | None
    max_item_bytes: int
    family: Family

    async def keep(self, workspace_id: str, content_id: str, content: bytes, expires_at: float) -> None:
        """Store a content until a time in UTC seconds, or replace it: a read of the key, then a write.

        For a large content, a write to the bucket comes before it. Raises `StoreUnavailable`.
        """
        data_key = await self.keys.find_or_create(workspace_id)
        encrypt: Callable[[bytes, bytes, bytes], bytes] = load("tidegate.aws.trace_cipher", "encrypt")
        associated = _associated_data(workspace_id, content_id)
        encrypted = await offload(len(content), lambda: encrypt(data_key.secret, content, associated))
        item = {
            **self.family.item_key(workspace_id, content_id)._asdict(),
            "key_version": data_key.version,
            "ttl": math.ceil(expires_at),
            **await self._store_content(workspace_id, content_id, encrypted, expires_at),
        }
        await self.store.put(Put(self.store.table, item))

    async def find(self, workspace_id: str, content_id: str) -> bytes | None:
        """Return the content; None if it has expired, is lost, or the workspace's key has been destroyed.

        One read of the table, and one of the bucket for a large content. Raises `StoreUnavailable`.
        """
        item_key, keys_item_key = self.family.item_key(workspace_id, content_id), self.keys.item_key(workspace_id)
        items = await self.store.read(item_key, keys_item_key)
        item = items.get(item_key)
        if item is None:
            return None
        secret = await self.keys.find_version(workspace_id, items.get(keys_item_key), item.get("key_version"))
        encrypted = None if secret is None else await self._read_content(item)
        if secret is None or encrypted is None:
            return None
        decrypt: Callable[[bytes, bytes, bytes], bytes | None] = load("tidegate.aws.trace_cipher", "decrypt")
        associated = _associated_data(workspace_id, content_id)
        content = await offload(len(encrypted), lambda: decrypt(secret, encrypted, associated))
        if content is None:
            log.warning(self.family.unreadable, extra={"workspace_id": workspace_id, self.family.id_name: content_id})
        return content

    async def delete(self, workspace_id: str, content_id: str) -> None:
        """Delete the content, if it exists. Raises `StoreUnavailable`."""
        item_key = self.family.item_key(workspace_id, content_id)
        item = (await self.store.read(item_key)).get(item_key)
        if item is not None:
            await self._delete(item)

    async def destroy_key(self, workspace_id: str) -> None:
        """Destroy the workspace's keys: what they encrypt is unreadable from then on. Raises `StoreUnavailable`."""
        await self.keys.destroy(workspace_id)

    async def delete_all(self, workspace_id: str) -> None:
        """Delete all contents of the workspace. The key is destroyed first, and its item deleted last.

        Beyond `MAX_DELETED`, unreadable contents are left to expire, so that this ends in a few seconds. May be
        repeated after a failure. Raises `StoreUnavailable`.
        """
        await self.keys.destroy(workspace_id)
        pk, prefix = self.family.partition(workspace_id), self.family.item_prefix
        names = (prefix, f"{prefix}{_LAST_CHARACTER}")
        items = await self.store.query_range(pk, *names, limit=MAX_DELETED, attributes=("pk", "sk", "object"))
        for begin in range(0, len(items), _DELETED_AT_ONCE):
            await asyncio.gather(*(self._delete(item) for item in items[begin : begin + _DELETED_AT_ONCE]))
        await self.store.delete(Delete(self.store.table, self.keys.item_key(workspace_id)._asdict()))

    async def _delete(self, item: Item) -> None:
        match item:
            case {"object": str(object_key)} if self.bucket is not None:
                await self.bucket.delete(object_key)
            case _:
                pass
        await self.store.delete(Delete(self.store.table, ItemKey(str(item["pk"]), str(item["sk"]))._asdict()))

    async def _store_content(
        self, workspace_id: str, content_id: str, encrypted: bytes, expires_at: float
    ) -> dict[str, object]:
        """Return the attributes that hold the encrypted content or refer to its object."""
        if len(encrypted) <= (MAX_ITEM_BYTES if self.bucket is None else self.max_item_bytes):
            return {"content": encrypted}
        if self.bucket is None:
            raise StoreUnavailable("The content is too large for the table: set TIDEGATE_REPLY_BUCKET.")
        days, choices = (expires_at - self.store.clock()) / 86_400, self.family.object_days
        object_days = next((each for each in choices if days <= each), choices[-1])
        object_key = f"{self.family.folder}/{object_days}/{workspace_id}/{content_id}"
        await self.bucket.put(object_key, encrypted)
        return {"object": object_key}

    async def _read_content(self, item: Item) -> bytes | None:
        match item:
            case {"content": bytes(encrypted)}:
                return encrypted
            case {"object": str(object_key)} if self.bucket is not None:
                return await self.bucket.get(object_key)
            case _:
                log.warning(self.family.unreadable, extra={"place": item.get("pk")})
                return None


def configured_kms_key(world: AwsWorld) -> KmsKey | None:
    """Return the KMS key that the settings name for contents; None if they name none."""
    settings, aws = world.settings, world.settings.aws
    if settings.trace_key is None:
        return None
    service = AwsService(world.http, world.signing_keys, aws.region, "kms", aws.kms_endpoint)
    return KmsKey(service, settings.trace_key)


def configured_objects(world: AwsWorld) -> tuple[ObjectStore | None, int]:
    """Return the store of large contents, and the size from which on they go there."""
    if world.objects is not None:
        return world.objects, MAX_ITEM_BYTES
    return configured_bucket(world.settings, world.store.client), MAX_PRICED_ITEM_BYTES


def _associated_data(workspace_id: str, content_id: str) -> bytes:
    return f"{workspace_id}\n{content_id}".encode()
