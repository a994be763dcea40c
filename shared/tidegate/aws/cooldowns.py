"""Which deployments cool down, as processes tell each other: attributes of items that calls read anyway.

The gateway's own deployments are in one item, which is read with key and workspace where the operator has routes. A
workspace's are in the workspace's item, so that no workspace fills another's. An attribute `cool#<deployment>` holds
when it opens again, in UTC seconds; it goes with the next one that is written once that is long over.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal

from tidegate.aws.expressions import Attr, Condition, Update
from tidegate.aws.store import ConditionFailed, Item, ItemKey, Store
from tidegate.aws.table import COOLDOWNS_ITEM_KEY, workspace_item_key

FORGET_AFTER_SECONDS = 3_600.0
MAX_REMOVED = 50
"""Attributes that one write takes away."""

MAX_REMEMBERED = 1_000

_PREFIX = "cool#"


class DynamoCooldowns:
    """The port `Cooldowns`. `learn` hears what was read; `places` are the items to be read beside key and workspace."""

    def __init__(
        self, store: Store, on_cooldowns: Callable[[str | None, Mapping[str, float]], None], *, has_routes: bool = False
    ) -> None:
        self.item_keys: tuple[ItemKey, ...] = (COOLDOWNS_ITEM_KEY,) if has_routes else ()
        self._store = store
        self._on_cooldowns = on_cooldowns
        self._expired_ids: dict[ItemKey, list[str]] = {}

    def read_cooldowns(self, items: Mapping[ItemKey, Item], workspace_id: str | None) -> None:
        """Whatever was read of them, of the gateway's and of that workspace's."""
        homes: list[tuple[ItemKey, str | None]] = [(COOLDOWNS_ITEM_KEY, None)]
        if workspace_id is not None:
            homes.append((workspace_item_key(workspace_id), workspace_id))
        for at, home in homes:
            untils = dict(_cooldown_ends(items.get(at, {})))
            if untils:
                self._on_cooldowns(home, untils)
                self._remember_expired(
                    at, [id for id, until in untils.items() if until < self._store.clock() - FORGET_AFTER_SECONDS]
                )

    async def tell(self, home: str | None, deployment_id: str, until: float) -> None:
        """See `Cooldowns.tell`: one conditional write."""
        at = COOLDOWNS_ITEM_KEY if home is None else workspace_item_key(home)
        name = _PREFIX + deployment_id
        condition: Condition = Attr(name).does_not_exist() | Attr(name).lt(until)
        if home is not None:
            condition = Attr("pk").exists() & condition
        update = Attr(name).set(until)
        for over in self._expired_ids.pop(at, []):
            if over != deployment_id:
                update &= Attr(_PREFIX + over).remove()
        with suppress(ConditionFailed):  # somebody else has said so already, or the workspace is gone
            await self._store.update(Update(self._store.table, at._asdict(), update, condition))

    def _remember_expired(self, item_key: ItemKey, deployment_ids: Iterable[str]) -> None:
        names = list(deployment_ids)[:MAX_REMOVED]
        if names and (item_key in self._expired_ids or len(self._expired_ids) < MAX_REMEMBERED):
            self._expired_ids[item_key] = names


def _cooldown_ends(item: Item) -> Iterator[tuple[str, float]]:
    for name, value in item.items():
        if name.startswith(_PREFIX) and isinstance(value, Decimal):
            yield name.removeprefix(_PREFIX), float(value)
