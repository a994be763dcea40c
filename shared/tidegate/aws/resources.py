"""What the control plane manages, in DynamoDB: a change and its audit entry are one transaction."""

from collections.abc import Iterator, Sequence
from typing import TypeVar, cast

from msgspec import Struct

from tidegate.aws.expressions import Condition, ConditionCheck, Delete, F, Put
from tidegate.aws.store import Item, ItemKey, Refused, Store, Write
from tidegate.aws.table import (
    KEYS_OF_WORKSPACE,
    WORKSPACES,
    account_at,
    listed_workspace_at,
    places_of,
    to_item,
    value_from,
    workspace_at,
)
from tidegate.domain.managed_resources import AdminKey, AuditEntry, Change, Member, Plan, Resource, busy, stale, taken
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.json import JsonObject, decode, encode

WRITTEN_AT_ONCE = 100
"""Items, which is as many as DynamoDB takes in one transaction."""

MAX_NAME = 256
"""Characters: no resource has a longer one, and DynamoDB takes no sort key of more than 1,024 bytes."""

_R = TypeVar("_R", bound=Resource)
_ENTRY = "AUDIT#"
_LAST = "\U0010ffff"


class DynamoRegister(Struct, frozen=True):
    """The port `Register`."""

    store: Store

    async def change(self, changes: Sequence[Change], entry: AuditEntry, reopened: Sequence[Workspace] = ()) -> None:
        """See `Register.change`."""
        accounts = [account_at("workspace", each.id, shard) for each in reopened for shard in range(each.shards)]
        await self._check_idle(accounts)
        writes = [
            *(write for change in changes for write in self._writes(change)),
            *(Put(self.store.table, item) for item in _entry_items(entry)),
        ]
        together = max(0, WRITTEN_AT_ONCE - len(writes))
        # What else has to be closed is closed before: should the change fail, it is opened again by the next call.
        for begin in range(together, len(accounts), WRITTEN_AT_ONCE):
            await self._close_alone(accounts[begin : begin + WRITTEN_AT_ONCE])
        writes += [self._close(at) for at in accounts[:together]]
        try:
            await self.store.write(writes, token=entry.id)
        except Refused:
            await self._check_idle(accounts)
            await self._check_free(changes)
            raise stale() from None

    async def find(self, kind: type[_R], name: str, within: str = "") -> _R | None:
        """See `Register.find`."""
        if not 0 < len(name) <= MAX_NAME or len(within) > MAX_NAME:
            return None
        pk, prefix = _shelf(kind, within)
        items = await self.store.read(ItemKey(pk, prefix + name))
        return next((value_from(item, kind) for item in items.values()), None)

    async def page(self, kind: type[_R], after: str = "", limit: int = 100, within: str = "") -> Sequence[_R]:
        """See `Register.page`."""
        pk, prefix = _shelf(kind, within)
        # No name has a blank, which is smaller than all that may come next in a name.
        low = f"{prefix}{after[:MAX_NAME]} " if after else prefix
        items = await self.store.between(pk, low, prefix + _LAST, limit=limit)
        return [value_from(item, kind) for item in items]

    async def entries(self, workspace_id: str | None, before: str | None, limit: int) -> Sequence[AuditEntry]:
        """See `Register.entries`."""
        high = _ENTRY + (_LAST if before is None else before[:MAX_NAME])
        found = await self.store.between(_log_of(workspace_id), _ENTRY, high, limit=limit + 1, newest_first=True)
        return [entry for entry in map(_entry_from, found) if entry.id != before][:limit]

    def _writes(self, change: Change) -> Iterator[Write]:
        before = _places(change.before) if change.before else {}
        after = _places(change.after) if change.after else {}
        table = self.store.table
        if change.before == change.after and change.before is not None:
            at = next(iter(before))
            yield ConditionCheck(table, dict(at._asdict()), _is(change.before.version))
            return
        for at, value in after.items():
            there = _is(change.before.version) if change.before and at in before else F("pk").does_not_exist()
            yield Put(table, to_item(at, value), there)
        for at in before.keys() - after.keys():
            yield Delete(table, dict(at._asdict()), _is(change.before.version) if change.before else None)

    def _close(self, at: ItemKey) -> Write:
        idle: Condition = F("pk").does_not_exist() | F("holds").size().equals(0)
        return Delete(self.store.table, dict(at._asdict()), idle)

    async def _close_alone(self, accounts: Sequence[ItemKey]) -> None:
        try:
            await self.store.write([self._close(at) for at in accounts])
        except Refused:
            raise busy() from None

    async def _check_idle(self, accounts: Sequence[ItemKey]) -> None:
        for item in (await self.store.read_all(accounts)).values():
            if item.get("holds"):
                raise busy()

    async def _check_free(self, changes: Sequence[Change]) -> None:
        made = [at for change in changes if change.before is None for at in _places(change.after)]
        if made and await self.store.read(*made):
            raise taken()


def _places(resource: Resource | None) -> dict[ItemKey, object]:
    """Which items it is. The first is always there."""
    match resource:
        case None:
            return {}
        case Workspace(id=id):
            return {workspace_at(id): resource, listed_workspace_at(id): resource}
        case VirtualKey():
            return cast("dict[ItemKey, object]", places_of(resource))
        case Plan(id=name) | AdminKey(id=name) | Member(subject=name):
            pk, prefix = _shelf(type(resource), resource.workspace_id if isinstance(resource, Member) else "")
            return {ItemKey(pk, prefix + name): resource}


def _shelf(kind: type[Resource], within: str) -> tuple[str, str]:
    """The partition in which resources of that kind are listed, and how their sort keys begin."""
    if kind is Workspace:
        return WORKSPACES, "WS#"
    if kind is VirtualKey:
        return workspace_at(within).pk, KEYS_OF_WORKSPACE
    if kind is Member:
        return workspace_at(within).pk, "MEMBER#"
    return ("PLANS", "PLAN#") if kind is Plan else ("ADMINS", "ADMIN#")


def _is(version: int) -> Condition:
    """Items from before there were versions are of the first one."""
    same: Condition = F("version").equals(version)
    return same if version > 1 else F("pk").exists() & (same | F("version").does_not_exist())


def _log_of(workspace_id: str | None) -> str:
    return "AUDIT" if workspace_id is None else workspace_at(workspace_id[:MAX_NAME]).pk


def _entry_items(entry: AuditEntry) -> Iterator[dict[str, object]]:
    for owner in (None, *entry.workspace_ids):
        at = ItemKey(_log_of(owner), _ENTRY + entry.id)
        yield {
            **to_item(at, entry),
            "before": encode(entry.before).decode(),
            "after": encode(entry.after).decode(),
        }


def _entry_from(item: Item) -> AuditEntry:
    return AuditEntry(
        id=str(item["id"]),
        at=float(str(item["at"])),
        who=str(item["who"]),
        action=str(item["action"]),
        target=str(item["target"]),
        workspace_ids=tuple(cast("Sequence[str]", item["workspace_ids"])),
        before=_state(item["before"]),
        after=_state(item["after"]),
    )


def _state(text: object) -> JsonObject | None:
    state = decode(str(text))
    return state if isinstance(state, dict) else None
