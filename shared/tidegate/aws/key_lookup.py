"""Keys and workspaces as calls read them: both items in one consistent read."""

from collections.abc import Sequence

from msgspec import Struct, field

from tidegate.aws.cooldowns import DynamoCooldowns
from tidegate.aws.store import Item, ItemKey, Store
from tidegate.aws.table import (
    grant_item_key,
    key_from_item,
    only_grant_item_key,
    subject_partition,
    virtual_key_item_key,
    workspace_from_item,
    workspace_item_key,
)
from tidegate.domain.keys import implied_workspace, is_usable, key_of_grants
from tidegate.domain.workspace import VirtualKey, Workspace

MAX_REMEMBERED = 10_000

# No workspace has this id. Reading its item costs as much as reading a workspace.
_MISSING_ID = "-"

_SORT_KEYS_OF_GRANTS = "OIDC", "WS#\U0010ffff"


class DynamoKeyLookup(Struct):
    """The port `KeyLookup`. Remembers the workspace that a key implies, so that only a key's first call reads twice.

    A call that names no workspace and whose key is unknown, revoked or expired always reads twice, so that the number
    of reads does not reveal which of the three it was. `cooldowns` gets the cooldowns that were read with the items.
    """

    store: Store
    cooldowns: DynamoCooldowns | None = None
    _default_workspaces: dict[ItemKey, str] = field(default_factory=dict[ItemKey, str])

    async def find_key(self, key_hash: str, workspace_id: str | None) -> tuple[VirtualKey | None, Workspace | None]:
        """See `KeyLookup.find_key`; a key without a default implies its only workspace."""
        return await self._find_key_and_workspace(virtual_key_item_key(key_hash), workspace_id)

    async def find_subject(
        self, subject_hash: str, workspace_id: str | None
    ) -> tuple[VirtualKey | None, Workspace | None]:
        """See `KeyLookup.find_subject`."""
        if workspace_id is not None:
            return await self._find_grant(subject_hash, workspace_id)
        items = await self.store.query_range(subject_partition(subject_hash), *_SORT_KEYS_OF_GRANTS)
        key = key_of_grants(map(key_from_item, items), self.store.clock())
        implied_id = implied_workspace(key) if key else None
        return key, await self.find_workspace(implied_id) if implied_id else None

    async def _find_grant(self, subject_hash: str, workspace_id: str) -> tuple[VirtualKey | None, Workspace | None]:
        workspace_key = workspace_item_key(workspace_id)
        grant_keys = grant_item_key(subject_hash, workspace_id), only_grant_item_key(subject_hash)
        items = await self._read_items(workspace_id, *grant_keys, workspace_key)
        grant = next((items[grant_key] for grant_key in grant_keys if grant_key in items), None)
        workspace = items.get(workspace_key)
        return key_from_item(grant) if grant else None, workspace_from_item(workspace) if workspace else None

    async def find_workspace(self, workspace_id: str) -> Workspace | None:
        """See `KeyLookup.find_workspace`."""
        items = await self._read_items(workspace_id, workspace_item_key(workspace_id))
        item = items.get(workspace_item_key(workspace_id))
        return workspace_from_item(item) if item else None

    async def find_workspaces(self, ids: Sequence[str]) -> Sequence[Workspace]:
        """See `KeyLookup.find_workspaces`."""
        items = await self.store.read_all([workspace_item_key(id) for id in dict.fromkeys(ids)])
        return [workspace_from_item(item) for item in items.values()]

    async def _find_key_and_workspace(
        self, credential_key: ItemKey, workspace_id: str | None
    ) -> tuple[VirtualKey | None, Workspace | None]:
        expected_id = workspace_id or self._default_workspaces.get(credential_key)
        key, workspace = await self._read(credential_key, expected_id)
        if workspace_id:
            return key, workspace
        usable = key is not None and is_usable(key, self.store.clock())
        implied_id = implied_workspace(key) if key else None
        if usable and implied_id == expected_id:
            return key, workspace
        self._default_workspaces.pop(credential_key, None)
        if usable and implied_id is None:
            return key, None
        workspace = await self.find_workspace(implied_id or _MISSING_ID)
        if usable and implied_id is not None:
            self._remember_default(credential_key, implied_id)
        return key, workspace

    async def _read(
        self, credential_key: ItemKey, workspace_id: str | None
    ) -> tuple[VirtualKey | None, Workspace | None]:
        workspace_key = workspace_item_key(workspace_id or _MISSING_ID)
        items = await self._read_items(
            workspace_id, *((credential_key, workspace_key) if workspace_id else (credential_key,))
        )
        key, workspace = items.get(credential_key), items.get(workspace_key)
        return key_from_item(key) if key else None, workspace_from_item(workspace) if workspace else None

    async def _read_items(self, workspace_id: str | None, *item_keys: ItemKey) -> dict[ItemKey, Item]:
        """The items that exist. The same read updates the cooldowns."""
        if self.cooldowns is None:
            return await self.store.read(*item_keys)
        items = await self.store.read(*item_keys, *self.cooldowns.item_keys(workspace_id))
        self.cooldowns.report_cooldowns(items, workspace_id)
        return items

    def _remember_default(self, credential_key: ItemKey, implied_id: str) -> None:
        if len(self._default_workspaces) >= MAX_REMEMBERED:
            self._default_workspaces.pop(next(iter(self._default_workspaces)))
        self._default_workspaces[credential_key] = implied_id
