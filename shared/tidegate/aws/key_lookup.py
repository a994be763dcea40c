"""Keys and workspaces on the path of a call: one consistent read of two items."""

from collections.abc import Sequence

from msgspec import Struct, field

from tidegate.aws.cooldowns import DynamoCooldowns
from tidegate.aws.store import Item, ItemKey, Store
from tidegate.aws.table import (
    key_from_item,
    subject_item_key,
    virtual_key_item_key,
    workspace_from_item,
    workspace_item_key,
)
from tidegate.domain.keys import implied_workspace, is_usable
from tidegate.domain.workspace import VirtualKey, Workspace

MAX_REMEMBERED = 10_000

# No workspace has this id: reading it costs what reading one does.
_MISSING_ID = "-"


class DynamoKeyLookup(Struct):
    """The port `Directory`. Remembers which workspace a key implies, so that only a key's first call reads twice.

    A call that names no workspace and whose key is unknown, revoked or expired always reads twice: the number of reads
    does not tell which of them it was. With them, `cooldowns` hears of deployments that cool down.
    """

    store: Store
    cooldowns: DynamoCooldowns | None = None
    _default_workspaces: dict[ItemKey, str] = field(default_factory=dict[ItemKey, str])

    async def find(self, key_hash: str, workspace_id: str | None) -> tuple[VirtualKey | None, Workspace | None]:
        """See `Directory.find`; a key without a default implies its only workspace."""
        return await self._find_key_and_workspace(virtual_key_item_key(key_hash), workspace_id)

    async def find_subject(
        self, subject_hash: str, workspace_id: str | None
    ) -> tuple[VirtualKey | None, Workspace | None]:
        """See `Directory.find_subject`."""
        return await self._find_key_and_workspace(subject_item_key(subject_hash), workspace_id)

    async def find_workspace(self, workspace_id: str) -> Workspace | None:
        """See `Directory.find_workspace`."""
        items = await self._read_items(workspace_id, workspace_item_key(workspace_id))
        found = items.get(workspace_item_key(workspace_id))
        return workspace_from_item(found) if found else None

    async def find_workspaces(self, ids: Sequence[str]) -> Sequence[Workspace]:
        """See `Directory.find_workspaces`."""
        items = await self.store.read_all([workspace_item_key(id) for id in dict.fromkeys(ids)])
        return [workspace_from_item(item) for item in items.values()]

    async def _find_key_and_workspace(
        self, here: ItemKey, workspace_id: str | None
    ) -> tuple[VirtualKey | None, Workspace | None]:
        guess = workspace_id or self._default_workspaces.get(here)
        key, workspace = await self._read(here, guess)
        if workspace_id:
            return key, workspace
        usable = key is not None and is_usable(key, self.store.clock())
        home = implied_workspace(key) if key else None
        if usable and home == guess:
            return key, workspace
        self._default_workspaces.pop(here, None)
        if usable and home is None:
            return key, None
        there = workspace_item_key(home or _MISSING_ID)
        found = (await self.store.read(there)).get(there)
        if usable and home is not None:
            self._remember_default(here, home)
        if found is None:
            return key, None
        if self.cooldowns is not None:
            self.cooldowns.read_cooldowns({there: found}, home)
        return key, workspace_from_item(found)

    async def _read(self, here: ItemKey, workspace_id: str | None) -> tuple[VirtualKey | None, Workspace | None]:
        there = workspace_item_key(workspace_id or _MISSING_ID)
        items = await self._read_items(workspace_id, *((here, there) if workspace_id else (here,)))
        key, workspace = items.get(here), items.get(there)
        return key_from_item(key) if key else None, workspace_from_item(workspace) if workspace else None

    async def _read_items(self, workspace_id: str | None, *wanted: ItemKey) -> dict[ItemKey, Item]:
        """Those items, and in the same read what is said of cooldowns."""
        if self.cooldowns is None:
            return await self.store.read(*wanted)
        items = await self.store.read(*wanted, *self.cooldowns.item_keys)
        self.cooldowns.read_cooldowns(items, workspace_id)
        return items

    def _remember_default(self, here: ItemKey, home: str) -> None:
        if len(self._default_workspaces) >= MAX_REMEMBERED:
            self._default_workspaces.pop(next(iter(self._default_workspaces)))
        self._default_workspaces[here] = home
