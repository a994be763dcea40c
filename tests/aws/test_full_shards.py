"""A storm of calls that are refused does not ask every shard again and again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.store_worlds import CREDENTIALS, NOON, REGION, hold
from tidegate.aws.dynamo import create_dynamo_client
from tidegate.aws.full_shards import FULL_SHARDS_TRIED, TRUST_SECONDS, FullShards, choose_exceeded_limit
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.store import Store
from tidegate.aws.table import create_table
from tidegate.domain.account import AccountScope, Reservation
from tidegate.domain.limits import Amounts, ExceededLimit, Limits
from tidegate.errors import LimitReached
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts
from tidegate.transport.reqwest import ReqwestTransport

SHARDS = 16
LIMITED = AccountScope("workspace", "ws_one", Limits(tokens_per_day=SHARDS * 100), shards=SHARDS)
NO_ROOM = ExceededLimit("tokens_per_day", 400, 40, NOON + 12 * 3600)


class Counting(ReqwestTransport):
    """How many requests were sent."""

    sent = 0

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
        self.sent += 1
        async with super().open(request, timeouts) as response:
            yield response


async def test_who_is_refused_again_asks_a_few_shards_and_not_all(aws_endpoint: str) -> None:
    transport = Counting()
    store = Store(
        create_dynamo_client(transport, CREDENTIALS, REGION, aws_endpoint), "tidegate-full", timeout_seconds=60
    )
    await create_table(store.client, store.table)
    ledger = DynamoLedger(store)

    async def requests(at: float, amounts: Amounts) -> int:
        before = transport.sent
        with pytest.raises(LimitReached, match="tokens_per_day of 1600"):
            await ledger.reserve(Reservation(hold(at=at, amounts=amounts), (LIMITED,)))
        return transport.sent - before

    for _ in range(SHARDS):
        await ledger.reserve(Reservation(hold(at=NOON - 60, amounts=Amounts(tokens=90)), (LIMITED,)))
    first = await requests(NOON, Amounts(tokens=20))
    assert first == 2 * SHARDS
    assert await requests(NOON, Amounts(tokens=20)) == 2 * FULL_SHARDS_TRIED
    assert await requests(NOON + TRUST_SECONDS / 2, Amounts(tokens=11)) == 2 * FULL_SHARDS_TRIED
    assert await requests(NOON + TRUST_SECONDS, Amounts(tokens=20)) == 2 * SHARDS
    # Whoever needs less than what was left is not refused by what was full for others.
    await ledger.reserve(Reservation(hold(at=NOON + TRUST_SECONDS, amounts=Amounts(tokens=10)), (LIMITED,)))
    await transport.close()


def test_a_shard_is_full_for_those_who_need_more_than_is_left() -> None:
    full = FullShards()
    full.remember(LIMITED, NO_ROOM, NOON)
    assert full.is_full(LIMITED, hold(amounts=Amounts(tokens=41)))
    assert not full.is_full(LIMITED, hold(amounts=Amounts(tokens=40)))
    assert not full.is_full(LIMITED, hold(amounts=Amounts(tokens=41), at=NOON + 1))
    assert not full.is_full(LIMITED, hold(amounts=Amounts(tokens=41), at=NOON - 1))


def test_what_was_full_with_other_limits_says_nothing() -> None:
    full = FullShards()
    full.remember(LIMITED, NO_ROOM, NOON)
    raised = AccountScope("workspace", "ws_one", Limits(tokens_per_day=10**9), shards=SHARDS)
    assert not full.is_full(raised, hold(amounts=Amounts(tokens=41)))


def test_a_shard_is_no_longer_full_once_a_call_has_ended_there() -> None:
    full = FullShards()
    full.remember(LIMITED, NO_ROOM, NOON)
    full.forget("ws_one", 0)
    full.forget("ws_one", 1)
    assert not full.is_full(LIMITED, hold(amounts=Amounts(tokens=41)))


def test_requests_of_a_minute_come_back_with_the_next_one() -> None:
    full = FullShards()
    full.remember(LIMITED, ExceededLimit("requests_per_minute", 4, 0, NOON + 60), NOON)
    assert full.is_full(LIMITED, hold(amounts=Amounts(), at=NOON + 59))
    assert not full.is_full(LIMITED, hold(amounts=Amounts(), at=NOON + 60))


def test_what_passes_soonest_is_told_with_the_most_that_is_left() -> None:
    minute = ExceededLimit("tokens_per_minute", 10, 1, NOON + 60)
    more = ExceededLimit("tokens_per_minute", 10, 5, NOON + 60)
    assert choose_exceeded_limit([NO_ROOM, minute, more]) == more
