"""Traces of calls: `encrypted_items` by the id of their call.

| attribute | content |
|---|---|
| `content` | the encrypted trace, or `object`: the key of the object that has it |
| `key_version` | the version of the workspace's key that encrypts it: `aws.trace_keys` |
| `ttl` | when it expires |
"""

from tidegate.aws.encrypted_items import (
    MAX_PRICED_ITEM_BYTES,
    EncryptedItems,
    Family,
    configured_kms_key,
    configured_objects,
)
from tidegate.aws.reply_store import MAX_ITEM_BYTES
from tidegate.aws.store import ObjectStore
from tidegate.aws.table import TRACES_PREFIX, traces_partition
from tidegate.aws.trace_keys import TraceKeys
from tidegate.aws.world import AwsWorld

__all__ = ["MAX_PRICED_ITEM_BYTES", "OBJECT_DAYS", "DynamoTraces", "create_traces"]

OBJECT_DAYS = (7, 30, 90)
"""Days after which the lifecycle rules of template.yaml delete objects, and of `sqlite.objects`, files."""

TRACES = Family("trace.unreadable", "call_id", "traces", traces_partition(""), TRACES_PREFIX, OBJECT_DAYS)


class DynamoTraces(EncryptedItems, frozen=True):
    """The ports `Traces` and `TraceReader`."""

    bucket: ObjectStore | None = None
    max_item_bytes: int = MAX_ITEM_BYTES
    family: Family = TRACES


def create_traces(world: AwsWorld) -> DynamoTraces:
    """Create the traces of a world, with the KMS key and the bucket that the settings name."""
    keys = TraceKeys(world.store, configured_kms_key(world))
    return DynamoTraces(world.store, keys, *configured_objects(world))
