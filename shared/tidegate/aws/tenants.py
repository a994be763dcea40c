"""Workspaces, keys and their usage in DynamoDB, as an operator sees them."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tidegate.aws.expressions import Delete, F, Put, Update
from tidegate.aws.store import Item, ItemKey, Refused, Store, Write
from tidegate.aws.table import (
    CALLS_OF_WORKSPACE,
    KEYS_OF_WORKSPACE,
    WORKSPACES,
    counters_at,
    key_from,
    listed_key_at,
    listed_workspace_at,
    partitions,
    places_of,
    to_item,
    workspace_at,
    workspace_from,
)
from tidegate.domain.keys import is_subject
from tidegate.domain.record import readable, readable_counters, total
from tidegate.domain.workspace import Status, VirtualKey, Workspace

_DAY = "USE#D#"
_OF_THE_TABLE = frozenset({"pk", "sk", "ttl"})


class DynamoTenants(Struct, frozen=True):
    """The port `Tenants`. A workspace is two items, written together: the one that is read, and the one listed."""

    store: Store

    async def put_workspace(self, workspace: Workspace) -> bool:
        """See `Tenants.put_workspace`."""
        places = (workspace_at(workspace.id), listed_workspace_at(workspace.id))
        return await _done(self.store, [_put(self.store, at, workspace) for at in places])

    async def get_workspace(self, workspace_id: str) -> Workspace | None:
        """The workspace, None when there is none of that id."""
        items = await self.store.read(workspace_at(workspace_id))
        return next(map(workspace_from, items.values()), None)

    async def list_workspaces(self) -> Sequence[Workspace]:
        """See `Tenants.list_workspaces`."""
        return [workspace_from(item) for item in await self.store.query(WORKSPACES, "WS#")]

    async def set_workspace_status(self, workspace_id: str, status: Status) -> bool:
        """See `Tenants.set_workspace_status`."""
        places = (workspace_at(workspace_id), listed_workspace_at(workspace_id))
        return await _done(self.store, [_set_status(self.store, at, status) for at in places])


class DynamoKeys(Struct, frozen=True):
    """The port `Keys`. A key is one item by its hash, and one under each of its workspaces (99 at most)."""

    store: Store

    async def put_key(self, key: VirtualKey) -> bool:
        """See `Keys.put_key`; its id is compared with those of its workspaces."""
        return await _done(self.store, [_put(self.store, at, known) for at, known in places_of(key).items()])

    async def list_keys(self, workspace_id: str) -> Sequence[VirtualKey]:
        """See `Keys.list_keys`."""
        items = await self.store.query(workspace_at(workspace_id).pk, KEYS_OF_WORKSPACE)
        return [key_from(item) for item in items]

    async def revoke_key(self, workspace_id: str, key_id: str) -> bool:
        """See `Keys.revoke_key`."""
        items = await self.store.read(listed_key_at(workspace_id, key_id))
        for key in map(key_from, items.values()):
            return await _done(self.store, [_revoke(self.store, at, key) for at in places_of(key)])
        return False


class DynamoUsages(Struct, frozen=True):
    """The port `Usages`."""

    store: Store

    async def counters(self, workspace_id: str, period: str, shards: int = 1) -> dict[str, int | str] | None:
        """See `Usages.counters`; None when nothing was called in that period."""
        places = [counters_at(workspace_id, period, shard) for shard in range(shards)]
        found = [readable_counters(item) for item in (await self.store.read_all(places)).values()]
        return total(found) if found else None

    async def calls(self, workspace_id: str, limit: int, shards: int = 1) -> Sequence[dict[str, object]]:
        """See `Usages.calls`."""
        items: list[Item] = []
        for pk in partitions(workspace_id, shards):
            items += await self.store.query(pk, CALLS_OF_WORKSPACE, limit=limit, newest_first=True)
        newest_first = sorted(items, key=lambda item: str(item["sk"]), reverse=True)
        return [readable(_without_keys(item)) for item in newest_first[:limit]]

    async def days(
        self, workspace_id: str, first: str, last: str, shards: int = 1
    ) -> Mapping[str, Mapping[str, int | str]]:
        """See `Usages.days`."""
        found: dict[str, list[Mapping[str, int | str]]] = {}
        for pk in partitions(workspace_id, shards):
            for item in await self.store.between(pk, f"{_DAY}{first}", f"{_DAY}{last}"):
                found.setdefault(str(item["sk"]).removeprefix(_DAY), []).append(readable_counters(item))
        return {day: total(counters) for day, counters in sorted(found.items())}

    async def records(
        self, workspace_id: str, after: str, before: str, limit: int, shards: int = 1
    ) -> Sequence[dict[str, object]]:
        """See `Usages.records`."""
        low, high = f"{CALLS_OF_WORKSPACE}{after}", f"{CALLS_OF_WORKSPACE}{before}"
        found: list[Item] = []
        for pk in partitions(workspace_id, shards):
            # Both ends may be there, and are not asked for.
            items = await self.store.between(pk, low, high, limit=limit + 2, newest_first=True)
            found += [item for item in items if item["sk"] not in (low, high)]
        newest_first = sorted(found, key=lambda item: str(item["sk"]), reverse=True)
        return [readable(_without_keys(item)) for item in newest_first[:limit]]


def _put(store: Store, at: ItemKey, value: Workspace | VirtualKey) -> Write:
    return Put(store.table, to_item(at, value), condition=F("pk").does_not_exist())


def _set_status(store: Store, at: ItemKey, status: str) -> Write:
    change = F("status").set(status) & F("version").add(1)
    return Update(store.table, dict(at._asdict()), change, condition=F("pk").exists())


def _revoke(store: Store, at: ItemKey, key: VirtualKey) -> Write:
    if is_subject(key):
        return Delete(store.table, dict(at._asdict()), F("pk").exists())
    return _set_status(store, at, "revoked")


async def _done(store: Store, writes: list[Write]) -> bool:
    try:
        await store.write(writes)
    except Refused:
        return False
    return True


def _without_keys(item: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in item.items() if name not in _OF_THE_TABLE}
