"""The largest changes: none has more items than a transaction of DynamoDB takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from tests.control.world import WHOLE, Managed
from tidegate.aws.resources import DynamoResources
from tidegate.control import keys, plans, workspaces
from tidegate.control.control import Control
from tidegate.control.validation import MAX_SHARDS
from tidegate.domain.limits import Limits
from tidegate.domain.managed_resources import Plan
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.memory.resources import MemoryResources

MOST = 100


@dataclass
class Counted:
    """As much of a store as a register writes to, which counts."""

    table: str = "tidegate"
    sizes: list[int] = field(default_factory=list)

    async def read(self, *_: object) -> dict[Any, Any]:
        return {}

    async def read_all(self, _: object) -> dict[Any, Any]:
        return {}

    async def write(self, writes: Sequence[object], token: str | None = None) -> None:
        assert len(token or "") <= 36
        self.sizes.append(len(writes))


class Both(MemoryResources, kw_only=True):
    """In memory, and counted as the items of a table."""

    counted: Counted

    async def change(self, *change: Any) -> None:
        await DynamoResources(self.counted).change(*change)  # type: ignore[arg-type]
        await super().change(*change)


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def control(world: Managed, counted: Counted) -> Control:
    kept = world.control.resources
    assert isinstance(kept, MemoryResources)
    register = Both(kept.tenants, kept.ledger, kept.meter, kept.clock, counted=counted)
    return replace(world.control, resources=register)


async def test_a_plan_of_many_workspaces(control: Control, counted: Counted) -> None:
    plan, _ = await plans.create_plan(control, WHOLE, Plan("plan_a", "A", Limits(words_per_day=5)))
    for n in range(plans.BATCH_WORKSPACES + 3):
        await workspaces.create_workspace(control, WHOLE, Workspace(f"ws_{n}", "x", plan_id=plan.id))
    counted.sizes.clear()
    await plans.update_plan(control, WHOLE, plan, replace(plan, limits=Limits(words_per_day=6)), 1)
    assert counted.sizes == [2, 3 * plans.BATCH_WORKSPACES + 2, 3 * 3 + 2]
    assert max(counted.sizes) <= MOST


async def test_a_key_of_many_workspaces(control: Control, counted: Counted) -> None:
    ids = [f"ws_{n}" for n in range(keys.MAX_WORKSPACES)]
    for id in ids:
        await workspaces.create_workspace(control, WHOLE, Workspace(id, "x"))
    counted.sizes.clear()
    key, _ = await keys.create_key(control, WHOLE, VirtualKey("", "", "", tuple(ids), None))
    for _ in range(2):
        key, _ = await keys.rotate_key(control, WHOLE, key, 60)
    await keys.revoke_key(control, WHOLE, key)
    assert counted.sizes == [62, 63, 64, 63]


async def test_a_workspace_of_many_shards(control: Control, counted: Counted) -> None:
    plan, _ = await plans.create_plan(control, WHOLE, Plan("plan_a", "A"))
    before, _ = await workspaces.create_workspace(control, WHOLE, Workspace("ws_one", "One"))
    counted.sizes.clear()
    limits = Limits(tokens_per_day=23)
    await workspaces.update_workspace(
        control, WHOLE, before, replace(before, shards=MAX_SHARDS, limits=limits, plan_id=plan.id), 1
    )
    *before_it, last = counted.sizes
    assert sum(counted.sizes) == MAX_SHARDS + 5
    assert (last, max(before_it)) == (MOST, MOST)
