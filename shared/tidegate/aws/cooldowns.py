"""Deployments that cool down, shared between processes as attributes of items that are read with key and workspace.

The gateway's own deployments are in one item, which is read if the operator has routes. A workspace with routes or
provider keys of its own has another item, so that no workspace can fill another's. The attribute `cool#<deployment>`
holds the end of the cooldown in UTC seconds, `name#<deployment>` the display name; long after that, the next write
removes both.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from msgspec import Struct

from tidegate.aws.expressions import Attr, Condition, Update
from tidegate.aws.store import ConditionFailed, Item, ItemKey, Store
from tidegate.aws.table import COOLDOWNS_ITEM_KEY, workspace_cooldowns_item_key, workspace_item_key
from tidegate.domain.deployment import CoolingTarget, ProviderConfig
from tidegate.domain.workspace import Workspace

FORGET_AFTER_SECONDS = 3_600.0
"""Time after the end of a cooldown until its attribute may be removed."""

MAX_REMOVED = 50
"""Deployments removed by one write."""

EXPIRE_AFTER_SECONDS = 86_400
"""Time after the end of a cooldown until a workspace's item expires, unless another one begins."""

MAX_REMEMBERED = 1_000

_PREFIX, _NAME_PREFIX = "cool#", "name#"


class DynamoCooldowns:
    """The port `Cooldowns`, and the items to read together with key and workspace.

    Remembers the workspaces that have nothing of their own that could cool down: for these, one item less is read.
    `on_cooldowns` gets the cooldowns that were read: a workspace's id, None for the gateway's own deployments, and the
    ends of cooldowns by deployment.
    """

    def __init__(
        self, store: Store, on_cooldowns: Callable[[str | None, Mapping[str, float]], None], *, has_routes: bool = False
    ) -> None:
        self._store = store
        self._on_cooldowns = on_cooldowns
        self._has_routes = has_routes
        self._plain_workspaces: set[str] = set()
        self._expired_ids: dict[ItemKey, list[str]] = {}

    def item_keys(self, workspace_id: str | None) -> list[ItemKey]:
        """Return the items with the cooldowns that a call of this workspace needs; None for an unknown workspace."""
        item_keys = [COOLDOWNS_ITEM_KEY] if self._has_routes else []
        if workspace_id is not None and workspace_id not in self._plain_workspaces:
            item_keys.append(workspace_cooldowns_item_key(workspace_id))
        return item_keys

    def report_cooldowns(self, items: Mapping[ItemKey, Item], workspace_id: str | None) -> None:
        """Report the cooldowns in `items` to `on_cooldowns`: the gateway's own, and the workspace's."""
        owners: list[tuple[ItemKey, str | None]] = [(COOLDOWNS_ITEM_KEY, None)]
        if workspace_id is not None:
            self._remember_workspace(workspace_id, items.get(workspace_item_key(workspace_id), {}))
            owners.append((workspace_cooldowns_item_key(workspace_id), workspace_id))
        for item_key, owner_id in owners:
            ends = dict(_cooldown_ends(items.get(item_key, {})))
            if ends:
                self._on_cooldowns(owner_id, ends)
                before = self._store.clock() - FORGET_AFTER_SECONDS
                self._remember_expired(item_key, [id for id, end in ends.items() if end < before])

    async def tell(self, workspace_id: str | None, deployment_id: str, until: float, name: str = "") -> None:
        """See `Cooldowns.tell`: one conditional write."""
        item_key = COOLDOWNS_ITEM_KEY if workspace_id is None else workspace_cooldowns_item_key(workspace_id)
        end = Attr(_PREFIX + deployment_id)
        condition: Condition = end.does_not_exist() | end.lt(until)
        update = end.set(until)
        if name:
            update &= Attr(_NAME_PREFIX + deployment_id).set(name)
        if workspace_id is not None:
            update &= Attr("ttl").set(int(until + EXPIRE_AFTER_SECONDS))
        for expired_id in self._expired_ids.pop(item_key, []):
            if expired_id != deployment_id:
                update &= Attr(_PREFIX + expired_id).remove() & Attr(_NAME_PREFIX + expired_id).remove()
        with suppress(ConditionFailed):  # another process has announced it
            await self._store.update(Update(self._store.table, item_key._asdict(), update, condition))

    def _remember_workspace(self, workspace_id: str, item: Item) -> None:
        if item.get("routes") or (self._has_routes and item.get("credentials")):
            self._plain_workspaces.discard(workspace_id)
            return
        if len(self._plain_workspaces) >= MAX_REMEMBERED:
            self._plain_workspaces.clear()
        self._plain_workspaces.add(workspace_id)

    def _remember_expired(self, item_key: ItemKey, deployment_ids: Iterable[str]) -> None:
        names = list(deployment_ids)[:MAX_REMOVED]
        if names and (item_key in self._expired_ids or len(self._expired_ids) < MAX_REMEMBERED):
            self._expired_ids[item_key] = names


def _cooldown_ends(item: Item) -> Iterator[tuple[str, float]]:
    for name, value in item.items():
        if name.startswith(_PREFIX) and isinstance(value, Decimal):
            yield name.removeprefix(_PREFIX), float(value)


class DynamoProviderStates(Struct, frozen=True):
    """The port `ProviderStates` of a control plane that knows cooldowns from the table, and no settings."""

    store: Store
    configs: Mapping[str, ProviderConfig] | None = None

    async def cooling_targets(self, workspaces: Sequence[Workspace]) -> Sequence[CoolingTarget]:
        """See `ProviderStates.cooling_targets`."""
        item_keys = [COOLDOWNS_ITEM_KEY, *(workspace_cooldowns_item_key(each.id) for each in workspaces)]
        items, now = await self.store.read_all(item_keys), self.store.clock()
        return [
            CoolingTarget.from_display_name(name, end)
            for item in items.values()
            for id, end in _cooldown_ends(item)
            if end > now and isinstance(name := item.get(_NAME_PREFIX + id), str)
        ]
