"""Keys and workspaces on the path of a call: one consistent read of two items."""

from dataclasses import dataclass, field

from tidegate.aws.store import Store
from tidegate.aws.table import key_at, key_from, workspace_at, workspace_from
from tidegate.domain.keys import implied_workspace, is_usable
from tidegate.domain.workspace import VirtualKey, Workspace

MAX_REMEMBERED = 10_000

# No workspace has this id: reading it costs what reading one does.
_NOBODY = "-"


@dataclass(slots=True)
class DynamoDirectory:
    """The port `Directory`. Remembers which workspace a key implies, so that only a key's first call reads twice.

    A call that names no workspace and whose key is unknown, revoked or expired always reads twice: the number of reads
    does not tell which of them it was.
    """

    store: Store
    _homes: dict[str, str] = field(default_factory=dict[str, str])

    async def find(self, key_hash: str, workspace_id: str | None) -> tuple[VirtualKey | None, Workspace | None]:
        """See `Directory.find`; a key without a default implies its only workspace."""
        guess = workspace_id or self._homes.get(key_hash)
        key, workspace = await self._read(key_hash, guess)
        if workspace_id:
            return key, workspace
        usable = key is not None and is_usable(key, self.store.clock())
        home = implied_workspace(key) if key else None
        if usable and home == guess:
            return key, workspace
        self._homes.pop(key_hash, None)
        if usable and home is None:
            return key, None
        again = await self.store.read(workspace_at(home or _NOBODY))
        if usable and home is not None:
            self._remember(key_hash, home)
        return key, next(map(workspace_from, again.values()), None)

    async def _read(self, key_hash: str, workspace_id: str | None) -> tuple[VirtualKey | None, Workspace | None]:
        here = key_at(key_hash)
        there = workspace_at(workspace_id or _NOBODY)
        items = await (self.store.read(here, there) if workspace_id else self.store.read(here))
        key, workspace = items.get(here), items.get(there)
        return key_from(key) if key else None, workspace_from(workspace) if workspace else None

    def _remember(self, key_hash: str, home: str) -> None:
        if len(self._homes) >= MAX_REMEMBERED:
            self._homes.pop(next(iter(self._homes)))
        self._homes[key_hash] = home
