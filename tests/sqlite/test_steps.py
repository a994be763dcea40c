"""What limits and a record take of the processor on the local store, as a count of steps and not by a clock."""

import sys
from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.bench.steps import Steps
from tests.store_worlds import ALL_LIMITS, NOON, World, aws_world, hold, outcome
from tidegate.domain.account import AccountScope, Reservation
from tidegate.domain.call import Outcome
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts

SCOPE = AccountScope("workspace", "ws_one", ALL_LIMITS)
CALLS = 20

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the bounds are those of Python 3.11")


async def reserved(world: World) -> Outcome:
    taken = hold(ulid(NOON), Amounts(1036, 750, Decimal("0.0016144")))
    await world.ledger.reserve(Reservation(taken, (SCOPE,)))
    return replace(outcome(id=taken.call_id), hold=taken)


async def steps_of_calls(sqlite_endpoint: str, *, limited: bool, open_calls: int) -> int:
    """The steps of one call, its threads included."""
    steps = Steps()
    try:
        async with aws_world(sqlite_endpoint) as world:
            for _ in range(1 + open_calls):
                await reserved(world)
            await world.meter.record(outcome())
            steps.start()
            for _ in range(CALLS):
                await world.meter.record(await reserved(world) if limited else outcome())
            return steps.stop() // CALLS
    finally:
        steps.stop()


@pytest.mark.parametrize(("limited", "open_calls", "bound"), [(False, 0, 870), (True, 0, 2730), (True, 100, 2810)])
async def test_a_call_takes_no_more_steps_than_it_did(
    sqlite_endpoint: str, limited: bool, open_calls: int, bound: int
) -> None:
    assert await steps_of_calls(sqlite_endpoint, limited=limited, open_calls=open_calls) <= bound
