"""Credentials of workspaces in the table, where the gateway runs without Secrets Manager.

| item | pk | sk |
|---|---|---|
| the provider credentials of a workspace | `VAULT#<workspace id>` | `VAULT` |

They are stored as they are: whoever may read the data folder, or a backup of it, may read them.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from tidegate.aws.expressions import Attr, Put
from tidegate.aws.store import ConditionFailed, ItemKey, Store
from tidegate.errors import Stale
from tidegate.json import decode, encode

MAX_TRIES = 20
"""Attempts to update credentials that others update at the same time; each takes about a millisecond."""


class TableVault(Struct, frozen=True):
    """The port `Vault`."""

    store: Store

    async def read(self, workspace_id: str) -> Mapping[str, str]:
        """See `Vault.read`."""
        return _parse_credentials(await self._read_text(workspace_id))

    async def update(self, workspace_id: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """See `Vault.update`."""
        item_key = _item_key(workspace_id)
        for _ in range(MAX_TRIES):
            text = await self._read_text(workspace_id)
            changed = encode(dict(change(_parse_credentials(text)))).decode()
            is_unchanged = Attr("credentials").equals(text) if text else Attr("pk").does_not_exist()
            try:
                item = {**item_key._asdict(), "credentials": changed}
                return await self.store.put(Put(self.store.table, item, is_unchanged))
            except ConditionFailed:
                continue
        raise Stale("The workspace's credentials are being changed by others: try again in a moment.")

    async def _read_text(self, workspace_id: str) -> str:
        items = await self.store.read(_item_key(workspace_id))
        return next((str(item["credentials"]) for item in items.values()), "")


def _parse_credentials(text: str) -> dict[str, str]:
    credentials = decode(text) if text else None
    if not isinstance(credentials, dict):
        return {}
    return {name: value for name, value in credentials.items() if isinstance(value, str)}


def _item_key(workspace_id: str) -> ItemKey:
    return ItemKey(f"VAULT#{workspace_id}", "VAULT")
