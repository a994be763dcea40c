"""Which deployments cool down, as processes tell each other: attributes of items that calls read anyway.

The gateway's own deployments are in one item, which is read with key and workspace where the operator has routes. A
workspace's are in the workspace's item, so that no workspace fills another's. An attribute `cool#<deployment>` holds
when it opens again, in UTC seconds; it goes with the next one that is written once that is long over.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal

from tidegate.aws.expressions import Condition, F, Update
from tidegate.aws.store import Item, ItemKey, Refused, Store
from tidegate.aws.table import HEALTH, workspace_at

OVER_SECONDS = 3_600.0
MAX_FORGOTTEN = 50
"""Attributes that one write takes away."""

MAX_REMEMBERED = 1_000

_PREFIX = "cool#"


class DynamoCooldowns:
    """The port `Cooldowns`. `learn` hears what was read; `places` are the items to be read beside key and workspace."""

    def __init__(
        self, store: Store, learn: Callable[[str | None, Mapping[str, float]], None], *, has_routes: bool = False
    ) -> None:
        self.places: tuple[ItemKey, ...] = (HEALTH,) if has_routes else ()
        self._store = store
        self._learn = learn
        self._over: dict[ItemKey, list[str]] = {}

    def hear(self, items: Mapping[ItemKey, Item], workspace_id: str | None) -> None:
        """Whatever was read of them, of the gateway's and of that workspace's."""
        homes: list[tuple[ItemKey, str | None]] = [(HEALTH, None)]
        if workspace_id is not None:
            homes.append((workspace_at(workspace_id), workspace_id))
        for at, home in homes:
            untils = dict(_untils(items.get(at, {})))
            if untils:
                self._learn(home, untils)
                self._remember(at, [id for id, until in untils.items() if until < self._store.clock() - OVER_SECONDS])

    async def tell(self, home: str | None, deployment_id: str, until: float) -> None:
        """See `Cooldowns.tell`: one conditional write."""
        at = HEALTH if home is None else workspace_at(home)
        name = _PREFIX + deployment_id
        condition: Condition = F(name).does_not_exist() | F(name).lt(until)
        if home is not None:
            condition = F("pk").exists() & condition
        update = F(name).set(until)
        for over in self._over.pop(at, []):
            if over != deployment_id:
                update &= F(_PREFIX + over).remove()
        with suppress(Refused):  # somebody else has said so already, or the workspace is gone
            await self._store.update(Update(self._store.table, at._asdict(), update, condition))

    def _remember(self, at: ItemKey, over: Iterable[str]) -> None:
        names = list(over)[:MAX_FORGOTTEN]
        if names and (at in self._over or len(self._over) < MAX_REMEMBERED):
            self._over[at] = names


def _untils(item: Item) -> Iterator[tuple[str, float]]:
    for name, value in item.items():
        if name.startswith(_PREFIX) and isinstance(value, Decimal):
            yield name.removeprefix(_PREFIX), float(value)
