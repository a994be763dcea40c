"""Traces of calls in the table, encrypted; large ones are objects in the bucket of replies.

| attribute | content |
|---|---|
| `content` | the encrypted trace, or `object`: the key of the object that has it |
| `key_version` | the version of the workspace's key that encrypts it: `aws.trace_keys` |
| `ttl` | when it expires |

A trace can only be decrypted for its workspace and its call: a copy of an item elsewhere is unreadable. DynamoDB
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
from tidegate.aws.table import TRACES_PREFIX, trace_item_key, trace_keys_item_key, traces_partition
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

OBJECT_DAYS = (7, 30, 90)
"""Days after which the lifecycle rules of template.yaml delete objects, and of `sqlite.objects`, files."""

MAX_DELETED = 20_000
_DELETED_AT_ONCE = 25
_LAST_CHARACTER = "\U0010ffff"


class DynamoTraces(Struct, frozen=True):
    """The ports `Traces` and `TraceReader`. Traces of more than `max_item_bytes` go to the bucket.

    Without a bucket, those too large for any item are not stored.
    """

    store: Store
    keys: TraceKeys
    bucket: ObjectStore | None = None
    max_item_bytes: int = MAX_ITEM_BYTES

    async def keep(self, workspace_id: str, call_id: str, content: bytes, expires_at: float) -> None:
        """See `Traces.keep`: a read of the key, then a write; for a large trace, a write to the bucket before it."""
        data_key = await self.keys.find_or_create(workspace_id)
        encrypt: Callable[[bytes, bytes, bytes], bytes] = load("tidegate.aws.trace_cipher", "encrypt")
        associated = _associated_data(workspace_id, call_id)
        encrypted = await offload(len(content), lambda: encrypt(data_key.secret, content, associated))
        item = {
            **trace_item_key(workspace_id, call_id)._asdict(),
            "key_version": data_key.version,
            "ttl": math.ceil(expires_at),
            **await self._store_content(workspace_id, call_id, encrypted, expires_at),
        }
        await self.store.put(Put(self.store.table, item))

    async def find(self, workspace_id: str, call_id: str) -> bytes | None:
        """See `Traces.find`: one read of the table, and one of the bucket for a large trace."""
        item_key, keys_item_key = trace_item_key(workspace_id, call_id), trace_keys_item_key(workspace_id)
        items = await self.store.read(item_key, keys_item_key)
        item = items.get(item_key)
        if item is None:
            return None
        secret = await self.keys.find_version(workspace_id, items.get(keys_item_key), item.get("key_version"))
        encrypted = None if secret is None else await self._read_content(item)
        if secret is None or encrypted is None:
            return None
        decrypt: Callable[[bytes, bytes, bytes], bytes | None] = load("tidegate.aws.trace_cipher", "decrypt")
        associated = _associated_data(workspace_id, call_id)
        content = await offload(len(encrypted), lambda: decrypt(secret, encrypted, associated))
        if content is None:
            log.warning("trace.unreadable", extra={"workspace_id": workspace_id, "call_id": call_id})
        return content

    async def destroy_key(self, workspace_id: str) -> None:
        """See `TraceReader.destroy_key`."""
        await self.keys.destroy(workspace_id)

    async def delete_all(self, workspace_id: str) -> None:
        """See `TraceReader.delete_all`. The key is destroyed first, and its item deleted last.

        Beyond `MAX_DELETED`, unreadable traces are left to expire, so that this ends in a few seconds.
        """
        await self.keys.destroy(workspace_id)
        pk = traces_partition(workspace_id)
        names = (TRACES_PREFIX, f"{TRACES_PREFIX}{_LAST_CHARACTER}")
        items = await self.store.query_range(pk, *names, limit=MAX_DELETED, attributes=("pk", "sk", "object"))
        for begin in range(0, len(items), _DELETED_AT_ONCE):
            await asyncio.gather(*(self._delete(item) for item in items[begin : begin + _DELETED_AT_ONCE]))
        await self.store.delete(Delete(self.store.table, trace_keys_item_key(workspace_id)._asdict()))

    async def _delete(self, item: Item) -> None:
        match item:
            case {"object": str(object_key)} if self.bucket is not None:
                await self.bucket.delete(object_key)
            case _:
                pass
        await self.store.delete(Delete(self.store.table, ItemKey(str(item["pk"]), str(item["sk"]))._asdict()))

    async def _store_content(
        self, workspace_id: str, call_id: str, encrypted: bytes, expires_at: float
    ) -> dict[str, object]:
        """Return the attributes that hold the encrypted trace or refer to its object."""
        if len(encrypted) <= (MAX_ITEM_BYTES if self.bucket is None else self.max_item_bytes):
            return {"content": encrypted}
        if self.bucket is None:
            raise StoreUnavailable("The trace is too large for the table: set TIDEGATE_REPLY_BUCKET.")
        days = (expires_at - self.store.clock()) / 86_400
        object_days = next((each for each in OBJECT_DAYS if days <= each), OBJECT_DAYS[-1])
        object_key = f"traces/{object_days}/{workspace_id}/{call_id}"
        await self.bucket.put(object_key, encrypted)
        return {"object": object_key}

    async def _read_content(self, item: Item) -> bytes | None:
        match item:
            case {"content": bytes(encrypted)}:
                return encrypted
            case {"object": str(object_key)} if self.bucket is not None:
                return await self.bucket.get(object_key)
            case _:
                log.warning("trace.unreadable", extra={"place": item.get("pk")})
                return None


def create_traces(world: AwsWorld) -> DynamoTraces:
    """Create the traces of a world, with the KMS key and the bucket that the settings name."""
    settings, aws, kms_key = world.settings, world.settings.aws, None
    if settings.trace_key is not None:
        service = AwsService(world.http, world.signing_keys, aws.region, "kms", aws.kms_endpoint)
        kms_key = KmsKey(service, settings.trace_key)
    keys = TraceKeys(world.store, kms_key)
    if world.objects is not None:
        return DynamoTraces(world.store, keys, world.objects)
    return DynamoTraces(world.store, keys, configured_bucket(settings, world.store.client), MAX_PRICED_ITEM_BYTES)


def _associated_data(workspace_id: str, call_id: str) -> bytes:
    return f"{workspace_id}\n{call_id}".encode()
