"""The stores of aggregates behind their ports, each with no more than its function's role allows."""

from tests.infra.roles import ADMIN_ROLE, KEEPER_ROLE
from tests.store_worlds import World, with_role
from tidegate.aws.aggregates import DynamoAggregates
from tidegate.memory.aggregates import MemoryAggregates
from tidegate.memory.meter import MemoryMeter
from tidegate.policy.metering.roller import Aggregates, Roller, RollStore


def roll_store(world: World) -> RollStore:
    """The keeper's store."""
    if world.store is None:
        assert isinstance(world.meter, MemoryMeter)
        return MemoryAggregates(world.meter)
    return DynamoAggregates(with_role(world.store, KEEPER_ROLE))


def control_store(world: World, keepers: RollStore) -> Aggregates:
    """The control plane's store of what the keeper has stored."""
    return keepers if world.store is None else DynamoAggregates(with_role(world.store, ADMIN_ROLE))


def roller_of(world: World, store: RollStore) -> Roller:
    """The roller, whose runs take no time."""
    return Roller(store, world.clock, lambda: 0.0)
