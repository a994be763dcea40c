"""The contracts of `ReplyStore` and `IdempotencyClaims`, for every implementation."""

import asyncio

import pytest

from tests.store_worlds import NOON, World
from tidegate.aws.reply_store import DynamoReplyStore
from tidegate.domain.call import IdempotencyClaim
from tidegate.domain.idempotency import IN_FLIGHT_RETRY_SECONDS
from tidegate.errors import IdempotencyInFlight, IdempotencyKeyReused
from tidegate.memory.reply_store import MemoryReplyStore

REPLY = b"\x00\xff reply"
DAY = 86_400.0
CLAIM = IdempotencyClaim("ws_a", "key", "asked", "call_1", NOON + 660)


@pytest.fixture
def replies(world: World) -> MemoryReplyStore | DynamoReplyStore:
    return MemoryReplyStore(world.clock) if world.store is None else DynamoReplyStore(world.store)


async def test_what_is_kept_is_found_until_it_is_over(replies: DynamoReplyStore, world: World) -> None:
    assert await replies.find("ws_a", "k") is None
    assert await replies.keep("ws_a", "k", REPLY, 60)
    assert await replies.find("ws_a", "k") == REPLY
    world.clock.now += 59
    assert await replies.find("ws_a", "k") == REPLY
    world.clock.now += 2
    assert await replies.find("ws_a", "k") is None


async def test_another_workspace_and_another_key_find_nothing(replies: DynamoReplyStore) -> None:
    await replies.keep("ws_a", "k", REPLY, 60)
    assert await replies.find("ws_b", "k") is None
    assert await replies.find("ws_a", "other") is None


async def test_what_is_kept_again_is_replaced(replies: DynamoReplyStore, world: World) -> None:
    await replies.keep("ws_a", "k", REPLY, 60)
    await replies.keep("ws_a", "k", b"new", 600)
    world.clock.now += 300
    assert await replies.find("ws_a", "k") == b"new"


async def test_a_claim_of_another_workspace_is_neither_seen_nor_in_the_way(replies: DynamoReplyStore) -> None:
    other = CLAIM._replace(workspace_id="ws_b", request_digest="other", owner="call_2")
    assert await replies.claim(CLAIM) is None
    assert await replies.claim(other) is None
    assert await replies.fulfil(CLAIM, REPLY, DAY)
    with pytest.raises(IdempotencyInFlight):
        await replies.claim(other._replace(owner="call_3"))
    await replies.release(other)
    assert await replies.claim(CLAIM._replace(owner="call_4")) == REPLY


async def test_a_key_that_is_claimed_is_in_flight_for_others(replies: DynamoReplyStore) -> None:
    assert await replies.claim(CLAIM) is None
    with pytest.raises(IdempotencyInFlight) as caught:
        await replies.claim(CLAIM._replace(owner="call_2"))
    assert (caught.value.status, caught.value.param) == (409, "idempotency-key")
    assert caught.value.retry_after_seconds == IN_FLIGHT_RETRY_SECONDS


async def test_the_same_call_may_claim_again(replies: DynamoReplyStore) -> None:
    assert await replies.claim(CLAIM) is None
    assert await replies.claim(CLAIM) is None


async def test_of_many_at_once_one_alone_has_the_key(replies: DynamoReplyStore) -> None:
    claims = [CLAIM._replace(owner=f"call_{n}") for n in range(8)]
    outcomes = await asyncio.gather(*(replies.claim(claim) for claim in claims), return_exceptions=True)
    assert [outcome for outcome in outcomes if not isinstance(outcome, IdempotencyInFlight)] == [None]


async def test_what_came_of_it_is_given_to_whoever_asks_again(replies: DynamoReplyStore, world: World) -> None:
    await replies.claim(CLAIM)
    assert await replies.fulfil(CLAIM, REPLY, DAY)
    assert await replies.claim(CLAIM._replace(owner="call_2")) == REPLY
    world.clock.now += DAY - 1
    assert await replies.claim(CLAIM._replace(owner="call_3", ends_at=NOON + 2 * DAY)) == REPLY


async def test_after_a_day_the_key_is_free(replies: DynamoReplyStore, world: World) -> None:
    await replies.claim(CLAIM)
    await replies.fulfil(CLAIM, REPLY, DAY)
    world.clock.now += DAY + 1
    other = CLAIM._replace(request_digest="something else", owner="call_2", ends_at=NOON + 2 * DAY)
    assert await replies.claim(other) is None


@pytest.mark.parametrize("fulfilled", [False, True])
async def test_another_body_is_refused(replies: DynamoReplyStore, fulfilled: bool) -> None:
    await replies.claim(CLAIM)
    if fulfilled:
        await replies.fulfil(CLAIM, REPLY, DAY)
    with pytest.raises(IdempotencyKeyReused) as caught:
        await replies.claim(CLAIM._replace(request_digest="something else", owner="call_2"))
    assert (caught.value.status, caught.value.param) == (422, "idempotency-key")


async def test_another_workspace_may_use_the_same_key(replies: DynamoReplyStore) -> None:
    await replies.claim(CLAIM)
    assert await replies.claim(CLAIM._replace(workspace_id="ws_b", owner="call_2")) is None


async def test_a_released_key_can_be_taken_at_once(replies: DynamoReplyStore) -> None:
    await replies.claim(CLAIM)
    await replies.release(CLAIM)
    assert await replies.claim(CLAIM._replace(request_digest="something else", owner="call_2")) is None


async def test_a_claim_ends_by_itself_and_who_comes_late_changes_nothing(
    replies: DynamoReplyStore, world: World
) -> None:
    await replies.claim(CLAIM)
    world.clock.now = CLAIM.ends_at + 1
    second = CLAIM._replace(owner="call_2", ends_at=CLAIM.ends_at + 660)
    assert await replies.claim(second) is None
    await replies.release(CLAIM)
    assert not await replies.fulfil(CLAIM, b"late", DAY)
    with pytest.raises(IdempotencyInFlight):
        await replies.claim(second._replace(owner="call_3"))
    assert await replies.fulfil(second, REPLY, DAY)
    assert await replies.claim(second._replace(owner="call_3")) == REPLY


async def test_a_reply_is_not_released(replies: DynamoReplyStore) -> None:
    await replies.claim(CLAIM)
    await replies.fulfil(CLAIM, REPLY, DAY)
    await replies.release(CLAIM)
    assert await replies.claim(CLAIM._replace(owner="call_2")) == REPLY


async def test_what_nobody_has_claimed_is_not_fulfilled(replies: DynamoReplyStore) -> None:
    assert not await replies.fulfil(CLAIM, REPLY, DAY)
    await replies.release(CLAIM)
    assert await replies.claim(CLAIM) is None


async def test_what_is_too_large_is_not_kept(replies: DynamoReplyStore) -> None:
    huge = bytes(17 * 1024 * 1024)
    assert not await replies.keep("ws_a", "k", huge, 60)
    await replies.claim(CLAIM)
    assert not await replies.fulfil(CLAIM, huge, DAY)
    assert await replies.find("ws_a", "k") is None
