"""What only the ledger in DynamoDB does: several processes have one account, and each remembers a little of it."""

import pytest

from tests.store_worlds import NOON, World
from tidegate.aws.ledger import DynamoLedger
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts, Limits
from tidegate.errors import RateLimited

SCOPE = AccountScope("workspace", "ws_one", Limits(requests_per_minute=2))


def asked(at: float) -> Reservation:
    hold = Hold(ulid(at), "ws_one", "key_one", "demo/echo-1", Amounts(tokens=100), 40, at, at + 660)
    return Reservation(hold, (SCOPE,))


async def test_a_process_that_wrongly_takes_itself_for_the_first_of_a_minute_counts_in_it(world: World) -> None:
    assert world.store is not None
    one, other = DynamoLedger(world.store), DynamoLedger(world.store)
    await one.reserve(asked(NOON))
    await other.reserve(asked(NOON))
    await other.reserve(asked(NOON + 600))
    _, account = await one.reserve(asked(NOON + 600))
    assert account is not None
    assert (account.minute_calls, account.minute_tokens[(NOON + 600) // 60 % 16]) == (2, 200)
    with pytest.raises(RateLimited):
        await one.reserve(asked(NOON + 600))


async def test_a_clock_that_is_far_behind_counts_in_the_minute_that_has_begun(world: World) -> None:
    assert world.store is not None
    ledger = DynamoLedger(world.store)
    await ledger.reserve(asked(NOON - 600))
    await DynamoLedger(world.store).reserve(asked(NOON))
    _, account = await ledger.reserve(asked(NOON - 300))
    assert account is not None
    assert (account.minute, account.minute_calls) == (NOON // 60, 2)


async def test_a_hold_comes_back_as_it_was(world: World) -> None:
    taken = asked(NOON + 0.123456).hold
    await world.ledger.reserve(Reservation(taken, (SCOPE,)))
    assert (await world.ledger.account(SCOPE)).holds == {taken.call_id: taken}
