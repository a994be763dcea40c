"""A control plane whose workspaces have call records and their aggregates."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from tests.control.world import WHOLE, Managed
from tidegate.batch.settled_lines import LinesRecord
from tidegate.control import workspaces
from tidegate.domain.limits import Amounts
from tidegate.domain.settlement import Settlement
from tidegate.domain.workspace import Workspace
from tidegate.memory.aggregates import MemoryAggregates
from tidegate.memory.meter import MemoryMeter
from tidegate.policy.metering.roller import Roller


async def stored(world: Managed, records: Sequence[Mapping[str, Any]], *workspace_ids: str) -> Managed:
    """A control plane whose workspaces have these records, rolled up."""
    aggregates = MemoryAggregates(meter_of(world))
    for id in workspace_ids:
        await workspaces.create_workspace(world.control, WHOLE, Workspace(id, id))
        await settle(world, records, id)
        await Roller(aggregates, world.stores.clock).roll(Workspace(id, id))
    return replace_control(world, aggregates)


async def settle(world: Managed, records: Sequence[Mapping[str, Any]], workspace_id: str) -> None:
    """Put records on record, without their aggregates."""
    for number, record in enumerate(records):
        at = datetime.fromisoformat(record["time"].replace("Z", "+00:00")).timestamp()
        call_id = record["id"][:22] + f"{number:04}"
        settled = LinesRecord(**{**record, "workspace_id": workspace_id, "id": call_id})
        await meter_of(world).settle(Settlement(workspace_id, call_id, at, 0, settled, {"calls": 1}, Amounts(), None))


def meter_of(world: Managed) -> MemoryMeter:
    meter = world.stores.meter
    assert isinstance(meter, MemoryMeter)
    return meter


def replace_control(world: Managed, aggregates: MemoryAggregates) -> Managed:
    return Managed(world.stores, replace(world.control, aggregates=aggregates))
