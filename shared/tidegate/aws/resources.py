"""The control plane's resources in DynamoDB: a change and its audit entry are one transaction."""

from collections.abc import Iterator, Sequence
from typing import TypeVar, cast

from msgspec import Struct

from tidegate.aws.expressions import Attr, Condition, ConditionCheck, Delete, Put
from tidegate.aws.store import MAX_TRANSACTION_ITEMS, ConditionFailed, Item, ItemKey, Store, Write
from tidegate.aws.table import (
    KEYS_PREFIX,
    WORKSPACES_PARTITION,
    account_item_key,
    key_items,
    listed_workspace_item_key,
    to_item,
    value_from_item,
    workspace_item_key,
)
from tidegate.domain.managed_resources import (
    AdminKey,
    AuditEntry,
    Member,
    Plan,
    Resource,
    ResourceChange,
    account_busy,
    already_exists,
    stale_version,
)
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.json import JsonObject, decode, encode

MAX_NAME = 256
"""Characters. No resource has a longer name, and a sort key in DynamoDB has at most 1,024 bytes."""

_R = TypeVar("_R", bound=Resource)
_AUDIT_PREFIX = "AUDIT#"
_LAST_CHARACTER = "\U0010ffff"


class DynamoResources(Struct, frozen=True):
    """The port `Resources`."""

    store: Store

    async def change(
        self, changes: Sequence[ResourceChange], entry: AuditEntry, reopened: Sequence[Workspace] = ()
    ) -> None:
        accounts = [account_item_key("workspace", each.id, shard) for each in reopened for shard in range(each.shards)]
        await self._check_idle(accounts)
        writes = [write for change in changes for write in self._change_writes(change)]
        writes += [Put(self.store.table, item) for item in _audit_items(entry)]
        free_items = max(0, MAX_TRANSACTION_ITEMS - len(writes))
        # The remaining accounts are closed before the change. If it fails, the next call opens them again.
        for begin in range(free_items, len(accounts), MAX_TRANSACTION_ITEMS):
            await self._close_accounts(accounts[begin : begin + MAX_TRANSACTION_ITEMS])
        writes += [self._close_account(item_key) for item_key in accounts[:free_items]]
        try:
            await self.store.write(writes, token=entry.id)
        except ConditionFailed:
            await self._check_idle(accounts)
            await self._check_ids_free(changes)
            raise stale_version() from None

    async def find(self, resource_type: type[_R], name: str, workspace_id: str = "") -> _R | None:
        if not 0 < len(name) <= MAX_NAME or len(workspace_id) > MAX_NAME:
            return None
        pk, prefix = _partition_and_prefix(resource_type, workspace_id)
        items = await self.store.read(ItemKey(pk, prefix + name))
        return next((value_from_item(item, resource_type) for item in items.values()), None)

    async def page(
        self, resource_type: type[_R], after: str = "", limit: int = 100, workspace_id: str = ""
    ) -> Sequence[_R]:
        pk, prefix = _partition_and_prefix(resource_type, workspace_id)
        # No name contains a space, which sorts before every character that may follow in a longer name.
        low = f"{prefix}{after[:MAX_NAME]} " if after else prefix
        items = await self.store.query_range(pk, low, prefix + _LAST_CHARACTER, limit=limit)
        return [value_from_item(item, resource_type) for item in items]

    async def entries(self, workspace_id: str | None, before: str | None, limit: int) -> Sequence[AuditEntry]:
        high = _AUDIT_PREFIX + (_LAST_CHARACTER if before is None else before[:MAX_NAME])
        partition = _audit_partition(workspace_id)
        items = await self.store.query_range(partition, _AUDIT_PREFIX, high, limit=limit + 1, newest_first=True)
        return [entry for entry in map(_audit_entry_from_item, items) if entry.id != before][:limit]

    def _change_writes(self, change: ResourceChange) -> Iterator[Write]:
        before = _resource_items(change.before) if change.before else {}
        after = _resource_items(change.after) if change.after else {}
        table = self.store.table
        if change.before == change.after and change.before is not None:
            item_key = next(iter(before))
            yield ConditionCheck(table, dict(item_key._asdict()), _has_version(change.before.version))
            return
        for item_key, value in after.items():
            condition = Attr("pk").does_not_exist()
            if change.before and item_key in before:
                condition = _has_version(change.before.version)
            yield Put(table, to_item(item_key, value), condition)
        for item_key in before.keys() - after.keys():
            condition = _has_version(change.before.version) if change.before else None
            yield Delete(table, dict(item_key._asdict()), condition)

    def _close_account(self, item_key: ItemKey) -> Write:
        idle: Condition = Attr("pk").does_not_exist() | _has_no_holds()
        return Delete(self.store.table, dict(item_key._asdict()), idle)

    async def _close_accounts(self, accounts: Sequence[ItemKey]) -> None:
        try:
            await self.store.write([self._close_account(item_key) for item_key in accounts])
        except ConditionFailed:
            raise account_busy() from None

    async def _check_idle(self, accounts: Sequence[ItemKey]) -> None:
        for item in (await self.store.read_all(accounts)).values():
            if item.get("holds") or item.get("batch_holds"):
                raise account_busy()

    async def _check_ids_free(self, changes: Sequence[ResourceChange]) -> None:
        created = [change.after for change in changes if change.before is None]
        new_item_keys = [item_key for resource in created for item_key in _resource_items(resource)]
        if new_item_keys and await self.store.read(*new_item_keys):
            raise already_exists()


def _has_no_holds() -> Condition:
    batch_holds = Attr("batch_holds")
    return Attr("holds").size().equals(0) & (batch_holds.does_not_exist() | batch_holds.equals(0))


def _resource_items(resource: Resource | None) -> dict[ItemKey, object]:
    """The items of a resource by their keys. The first one always exists."""
    match resource:
        case None:
            return {}
        case Workspace(id=id):
            return {workspace_item_key(id): resource, listed_workspace_item_key(id): resource}
        case VirtualKey():
            return cast("dict[ItemKey, object]", key_items(resource))
        case Plan(id=name) | AdminKey(id=name) | Member(subject=name):
            workspace_id = resource.workspace_id if isinstance(resource, Member) else ""
            pk, prefix = _partition_and_prefix(type(resource), workspace_id)
            return {ItemKey(pk, prefix + name): resource}


def _partition_and_prefix(resource_type: type[Resource], workspace_id: str) -> tuple[str, str]:
    """The partition that lists resources of that kind, and the prefix of their sort keys."""
    if resource_type is Workspace:
        return WORKSPACES_PARTITION, "WS#"
    if resource_type is VirtualKey:
        return workspace_item_key(workspace_id).pk, KEYS_PREFIX
    if resource_type is Member:
        return workspace_item_key(workspace_id).pk, "MEMBER#"
    return ("PLANS", "PLAN#") if resource_type is Plan else ("ADMINS", "ADMIN#")


def _has_version(version: int) -> Condition:
    """The condition that an item has that version. An item written before versions existed has version 1."""
    has_version: Condition = Attr("version").equals(version)
    return has_version if version > 1 else Attr("pk").exists() & (has_version | Attr("version").does_not_exist())


def _audit_partition(workspace_id: str | None) -> str:
    return "AUDIT" if workspace_id is None else workspace_item_key(workspace_id[:MAX_NAME]).pk


def _audit_items(entry: AuditEntry) -> Iterator[dict[str, object]]:
    states = {"before": encode(entry.before).decode(), "after": encode(entry.after).decode()}
    for owner in (None, *entry.workspace_ids):
        item_key = ItemKey(_audit_partition(owner), _AUDIT_PREFIX + entry.id)
        yield {**to_item(item_key, entry), **states}


def _audit_entry_from_item(item: Item) -> AuditEntry:
    return AuditEntry(
        id=str(item["id"]),
        at=float(str(item["at"])),
        who=str(item["who"]),
        action=str(item["action"]),
        target=str(item["target"]),
        workspace_ids=tuple(cast("Sequence[str]", item["workspace_ids"])),
        before=_parse_state(item["before"]),
        after=_parse_state(item["after"]),
    )


def _parse_state(text: object) -> JsonObject | None:
    state = decode(str(text))
    return state if isinstance(state, dict) else None
