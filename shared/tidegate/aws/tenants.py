"""Workspaces, keys and usage in DynamoDB, as an operator reads and changes them."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tidegate.aws.counters import find_day_counters
from tidegate.aws.expressions import Attr, Delete, Put, Update
from tidegate.aws.store import ConditionFailed, Item, ItemKey, Store, Write
from tidegate.aws.table import (
    CALLS_PREFIX,
    COUNTED_HOURLY,
    KEYS_PREFIX,
    WORKSPACES_PARTITION,
    key_from_item,
    key_items,
    listed_key_item_key,
    listed_workspace_item_key,
    to_item,
    workspace_from_item,
    workspace_item_key,
    workspace_partitions,
)
from tidegate.domain.keys import is_subject_key
from tidegate.domain.record import readable_counters, readable_record, sum_counters
from tidegate.domain.workspace import VirtualKey, Workspace, WorkspaceStatus

_TABLE_ATTRIBUTES = frozenset({"pk", "sk", "ttl", COUNTED_HOURLY})
_LAST_DAY = "YYYY-MM-31"
"""The name of a last day: its end completes the name of a month."""


class DynamoTenants(Struct, frozen=True):
    """The port `Tenants`. A workspace is two items that are written together: one for calls, and one for listing."""

    store: Store

    async def put_workspace(self, workspace: Workspace) -> bool:
        item_keys = (workspace_item_key(workspace.id), listed_workspace_item_key(workspace.id))
        return await _write_all(self.store, [_create(self.store, item_key, workspace) for item_key in item_keys])

    async def get_workspace(self, workspace_id: str) -> Workspace | None:
        """The workspace with that id, None if it does not exist."""
        items = await self.store.read(workspace_item_key(workspace_id))
        return next(map(workspace_from_item, items.values()), None)

    async def list_workspaces(self) -> Sequence[Workspace]:
        return [workspace_from_item(item) for item in await self.store.query(WORKSPACES_PARTITION, "WS#")]

    async def set_workspace_status(self, workspace_id: str, status: WorkspaceStatus) -> bool:
        item_keys = (workspace_item_key(workspace_id), listed_workspace_item_key(workspace_id))
        return await _write_all(self.store, [_set_status(self.store, item_key, status) for item_key in item_keys])


class DynamoKeys(Struct, frozen=True):
    """The port `Keys`. A key is one item by its hash, and one in each of its workspaces (at most 99)."""

    store: Store

    async def put_key(self, key: VirtualKey) -> bool:
        """See `Keys.put_key`. The id is compared with the other keys of the same workspaces only."""
        writes = [_create(self.store, item_key, stored_key) for item_key, stored_key in key_items(key).items()]
        return await _write_all(self.store, writes)

    async def list_keys(self, workspace_id: str) -> Sequence[VirtualKey]:
        items = await self.store.query(workspace_item_key(workspace_id).pk, KEYS_PREFIX)
        return [key_from_item(item) for item in items]

    async def revoke_key(self, workspace_id: str, key_id: str) -> bool:
        items = await self.store.read(listed_key_item_key(workspace_id, key_id))
        for key in map(key_from_item, items.values()):
            return await _write_all(self.store, [_revoke(self.store, item_key, key) for item_key in key_items(key)])
        return False


class DynamoUsageReader(Struct, frozen=True):
    """The port `UsageReader`."""

    store: Store

    async def counters(self, workspace_id: str, period: str, shards: int = 1) -> dict[str, int | str] | None:
        """See `UsageReader.counters`; None if there were no calls in that period."""
        name = period.partition("#")[2]
        days = await find_day_counters(self.store, workspace_id, name, name + _LAST_DAY[len(name) :], shards)
        counters = [readable_counters(item) for items in days.values() for item in items]
        return sum_counters(counters) if counters else None

    async def calls(self, workspace_id: str, limit: int, shards: int = 1) -> Sequence[dict[str, object]]:
        items: list[Item] = []
        for pk in workspace_partitions(workspace_id, shards):
            items += await self.store.query(pk, CALLS_PREFIX, limit=limit, newest_first=True)
        newest_first = sorted(items, key=lambda item: str(item["sk"]), reverse=True)
        return [readable_record(_without_table_attributes(item)) for item in newest_first[:limit]]

    async def days(
        self, workspace_id: str, first: str, last: str, shards: int = 1
    ) -> Mapping[str, Mapping[str, int | str]]:
        days = await find_day_counters(self.store, workspace_id, first, last, shards)
        return {day: sum_counters(map(readable_counters, items)) for day, items in sorted(days.items())}

    async def records(
        self, workspace_id: str, after: str, before: str, limit: int, shards: int = 1
    ) -> Sequence[dict[str, object]]:
        low, high = f"{CALLS_PREFIX}{after}", f"{CALLS_PREFIX}{before}"
        records: list[Item] = []
        for pk in workspace_partitions(workspace_id, shards):
            # The range includes both ends, which the caller does not want.
            items = await self.store.query_range(pk, low, high, limit=limit + 2, newest_first=True)
            records += [item for item in items if item["sk"] not in (low, high)]
        newest_first = sorted(records, key=lambda item: str(item["sk"]), reverse=True)
        return [readable_record(_without_table_attributes(item)) for item in newest_first[:limit]]


def _create(store: Store, item_key: ItemKey, value: Workspace | VirtualKey) -> Write:
    return Put(store.table, to_item(item_key, value), condition=Attr("pk").does_not_exist())


def _set_status(store: Store, item_key: ItemKey, status: str) -> Write:
    change = Attr("status").set(status) & Attr("version").add(1)
    return Update(store.table, dict(item_key._asdict()), change, condition=Attr("pk").exists())


def _revoke(store: Store, item_key: ItemKey, key: VirtualKey) -> Write:
    if is_subject_key(key):
        return Delete(store.table, dict(item_key._asdict()), Attr("pk").exists())
    return _set_status(store, item_key, "revoked")


async def _write_all(store: Store, writes: list[Write]) -> bool:
    try:
        await store.write(writes)
    except ConditionFailed:
        return False
    return True


def _without_table_attributes(item: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in item.items() if name not in _TABLE_ATTRIBUTES}
