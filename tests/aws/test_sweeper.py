"""What a process leaves open when it is killed, and who puts it on record."""

import asyncio
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.infra.roles import KEEPER_ROLE
from tests.store_worlds import NOON, World, key, outcome, with_role, workspace
from tidegate.aws.expressions import Delete, Put
from tidegate.aws.store import ItemKey, Store
from tidegate.aws.sweeper import CHECKPOINT_ITEM_KEY, Sweeper, SweepResult
from tidegate.aws.table import account_item_key, call_item_key
from tidegate.domain.account import SETTLE_GRACE_SECONDS, Account, AccountScope, Hold, Reservation, used_amount
from tidegate.domain.budget_alerts import BudgetAlert
from tidegate.domain.ids import ulid
from tidegate.domain.limits import Amounts, Limits
from tidegate.domain.usage import TokenCounts
from tidegate.domain.workspace import VirtualKey

ASKED = Amounts(tokens=100, words=50, usd=Decimal("0.5"))
DEADLINE = NOON + 600
WHOLE = AccountScope("workspace", "ws_one", Limits(tokens_per_day=1000, usd_per_month=Decimal(10)))
KEY = key()
OF_KEY = AccountScope("key", KEY.id, Limits(tokens_per_month=1000))


def store_of(world: World) -> Store:
    assert world.store is not None
    return world.store


def sweeper(world: World, **fields: Any) -> Sweeper:
    return Sweeper(with_role(store_of(world), KEEPER_ROLE), **fields)


@pytest.fixture
async def tenant(world: World) -> World:
    """The table with one workspace and one key."""
    await world.tenants.put_workspace(workspace())
    await world.keys.put_key(KEY)
    return world


async def abandoned(world: World, *scopes: AccountScope, at: float = NOON, **fields: Any) -> Hold:
    """A call that took its room, and whose process was killed."""
    kinds = tuple(scope.kind for scope in scopes)
    made = Hold(
        ulid(at), "ws_one", KEY.id, "demo/echo-1", ASKED, 40, at, at + 600 + SETTLE_GRACE_SECONDS, kinds, **fields
    )
    taken, _ = await world.ledger.reserve(Reservation(made, scopes))
    return taken


async def test_a_call_that_lost_its_process_is_settled_a_minute_after_its_deadline(tenant: World) -> None:
    hold = await abandoned(tenant, WHOLE)
    tenant.clock.now = DEADLINE + SETTLE_GRACE_SECONDS
    assert await sweeper(tenant).run() == SweepResult(workspaces=1)
    tenant.clock.now += 0.001
    assert await sweeper(tenant).run() == SweepResult(workspaces=1, lost=1)
    account = await tenant.ledger.account(WHOLE)
    assert account.holds == {}
    assert (used_amount(account, "tokens", "day", NOON), used_amount(account, "usd", "month", NOON)) == (
        100,
        Decimal("0.5"),
    )
    [call] = await tenant.usages.calls("ws_one", 10)
    assert (call["id"], call["status"], call["error_code"], call["estimated"]) == (hold.call_id, "lost", "lost", True)
    assert (call["input_tokens"], call["output_tokens"], call["cost_usd"]) == (40, 60, "0.5")
    counters = await tenant.usages.counters("ws_one", "M#2026-11")
    assert counters is not None
    assert (counters["calls"], counters["calls_lost"], counters["output_tokens"]) == (1, 1, 60)


async def test_both_accounts_of_a_call_are_settled_together(tenant: World) -> None:
    await abandoned(tenant, WHOLE, OF_KEY)
    tenant.clock.now = DEADLINE + 61
    assert (await sweeper(tenant).run()).lost == 1
    for scope in (WHOLE, OF_KEY):
        account = await tenant.ledger.account(scope)
        assert (account.holds, used_amount(account, "tokens", "month", NOON)) == ({}, 100)


async def test_the_account_of_a_key_alone_is_swept_too(tenant: World) -> None:
    await abandoned(tenant, OF_KEY)
    tenant.clock.now = DEADLINE + 61
    assert (await sweeper(tenant).run()).lost == 1
    assert (await tenant.ledger.account(OF_KEY)).holds == {}


async def test_a_revoked_key_and_a_suspended_workspace_are_swept_too(tenant: World) -> None:
    await abandoned(tenant, WHOLE, OF_KEY)
    await tenant.keys.revoke_key("ws_one", KEY.id)
    await tenant.tenants.set_workspace_status("ws_one", "suspended")
    tenant.clock.now = DEADLINE + 61
    assert (await sweeper(tenant).run()).lost == 1


async def test_every_shard_is_swept(world: World) -> None:
    await world.tenants.put_workspace(replace(workspace(), shards=4))
    scope = replace(WHOLE, limits=Limits(tokens_per_day=4000), shards=4)
    shards = {(await abandoned(world, scope)).shard for _ in range(12)}
    assert len(shards) > 1
    world.clock.now = DEADLINE + 61
    assert (await sweeper(world).run()).lost == 12
    assert (await sweeper(world).run()).lost == 0


async def test_two_sweeps_at_once_count_a_call_once(tenant: World) -> None:
    hold = await abandoned(tenant, WHOLE, OF_KEY)
    tenant.clock.now = DEADLINE + 61
    one, other = sweeper(tenant), sweeper(tenant)
    assert [await one._settle_lost(hold), await other._settle_lost(hold)] == [True, False]
    assert await other.run() == SweepResult(workspaces=1)
    counters = await tenant.usages.counters("ws_one", "D#2026-11-21")
    assert counters is not None
    assert counters["calls"] == 1


async def test_a_settle_that_comes_after_the_sweep_changes_nothing(tenant: World) -> None:
    hold = await abandoned(tenant, WHOLE, OF_KEY)
    tenant.clock.now = DEADLINE + 61
    await sweeper(tenant).run()
    await tenant.meter.record(outcome(id=hold.call_id, hold=hold))
    assert used_amount(await tenant.ledger.account(WHOLE), "tokens", "day", NOON) == 100
    assert [call["status"] for call in await tenant.usages.calls("ws_one", 10)] == ["lost"]


async def test_a_hold_that_a_settled_part_of_a_batch_left_is_released_and_not_charged_again(tenant: World) -> None:
    hold = await abandoned(tenant, WHOLE, OF_KEY, is_batch=True)
    await tenant.meter.record(outcome(id=hold.call_id, hold=hold))
    await tenant.ledger.reserve(Reservation(hold, (WHOLE, OF_KEY)))
    tenant.clock.now = DEADLINE + 61
    assert await sweeper(tenant).run() == SweepResult(workspaces=1)
    for scope in (WHOLE, OF_KEY):
        account = await tenant.ledger.account(scope)
        assert (account.holds, used_amount(account, "tokens", "month", NOON)) == ({}, 23)


async def test_a_settled_call_is_left_alone(tenant: World) -> None:
    hold = await abandoned(tenant, WHOLE)
    await tenant.meter.record(outcome(id=hold.call_id, hold=hold))
    tenant.clock.now = DEADLINE + 61
    assert await sweeper(tenant).run() == SweepResult(workspaces=1)
    assert used_amount(await tenant.ledger.account(WHOLE), "tokens", "day", NOON) == 23


async def test_a_hold_whose_reserving_was_not_confirmed_gives_way_to_the_record(tenant: World) -> None:
    """The write arrived and its answer did not: the call failed, and was recorded without a hold."""
    hold = await abandoned(tenant, WHOLE, OF_KEY)
    await tenant.meter.record(outcome(id=hold.call_id, tokens=TokenCounts(), cost_usd=Decimal(0), status="failed"))
    tenant.clock.now = DEADLINE + 61
    assert await sweeper(tenant).run() == SweepResult(workspaces=1)
    for scope in (WHOLE, OF_KEY):
        account = await tenant.ledger.account(scope)
        assert (account.holds, used_amount(account, "tokens", "month", NOON)) == ({}, 0)
    assert [call["status"] for call in await tenant.usages.calls("ws_one", 10)] == ["failed"]


async def test_a_hold_that_one_of_its_accounts_has_lost_is_settled_in_the_other(tenant: World) -> None:
    await abandoned(tenant, WHOLE, OF_KEY)
    store = store_of(tenant)
    await store.write([Delete(store.table, account_item_key("key", KEY.id)._asdict())])
    tenant.clock.now = DEADLINE + 61
    await sweeper(tenant).run()
    assert (await tenant.ledger.account(WHOLE)).holds == {}
    assert [call["status"] for call in await tenant.usages.calls("ws_one", 10)] == ["lost"]


async def test_one_workspace_that_fails_does_not_stop_the_others(
    tenant: World, caplog: pytest.LogCaptureFixture
) -> None:
    await abandoned(tenant, WHOLE)
    store = store_of(tenant)
    broken = {**ItemKey("WORKSPACES", "WS#ws_aaa")._asdict(), "id": "ws_aaa"}
    await store.write([Put(store.table, broken)])
    await tenant.tenants.put_workspace(workspace("ws_bbb"))
    await store.write([Put(store.table, {**account_item_key("workspace", "ws_bbb")._asdict(), "holds": {"x": 5}})])
    tenant.clock.now = DEADLINE + 61
    with caplog.at_level(logging.ERROR):
        assert await sweeper(tenant).run() == SweepResult(workspaces=3, lost=1, failed=2)
    assert [record.message for record in caplog.records] == ["sweeper.failed"] * 2


def ticking(*seconds: float) -> Iterator[float]:
    yield from seconds
    while True:
        yield seconds[-1]


async def test_a_run_ends_in_time_and_the_next_one_goes_on_where_it_stopped(world: World) -> None:
    for name in ("ws_a", "ws_b", "ws_c"):
        await world.tenants.put_workspace(workspace(name))
    time = ticking(0, 1, 2, 100)
    first = await sweeper(world, run_seconds=50, monotonic=lambda: next(time)).run()
    assert first == SweepResult(workspaces=2, is_done=False)
    assert (await store_of(world).read(CHECKPOINT_ITEM_KEY))[CHECKPOINT_ITEM_KEY]["reached"] == "WS#ws_b"
    assert await sweeper(world).run() == SweepResult(workspaces=1)
    assert await sweeper(world).run() == SweepResult(workspaces=3)


async def test_a_run_may_stop_within_a_workspace(tenant: World) -> None:
    for _ in range(3):
        await abandoned(tenant, WHOLE)
    tenant.clock.now = DEADLINE + 61
    time = ticking(0, 1, 2, 100)
    assert await sweeper(tenant, run_seconds=50, monotonic=lambda: next(time)).run() == SweepResult(
        1, lost=1, is_done=False
    )
    assert await sweeper(tenant).run() == SweepResult(1, lost=2)


async def test_many_keys_are_read_in_batches(world: World) -> None:
    await world.tenants.put_workspace(workspace())
    holders = [replace(key(f"sk-tidegate-{n:03}"), id=f"key_{n:03}") for n in range(30)]
    for each in holders:
        await world.keys.put_key(each)
    await abandoned(world, AccountScope("key", "key_one", Limits(tokens_per_day=100)))  # of no key that is listed
    last: VirtualKey = holders[-1]
    hold = Hold(ulid(NOON), "ws_one", last.id, "demo/echo-1", ASKED, 40, NOON, DEADLINE + 60, ("key",))
    await world.ledger.reserve(Reservation(hold, (AccountScope("key", last.id, Limits(tokens_per_day=100)),)))
    world.clock.now = DEADLINE + 61
    assert (await sweeper(world).run()).lost == 1


async def test_what_was_booked_long_ago_is_forgotten(tenant: World) -> None:
    await abandoned(tenant, WHOLE)
    tenant.clock.now = NOON + 3 * 86400
    assert await sweeper(tenant).run() == SweepResult(workspaces=1, lost=1, pruned=1)
    names = {"tokens#M#2026-11-01", "words#M#2026-11-01", "usd#M#2026-11-01"}
    assert set((await tenant.ledger.account(WHOLE)).booked) == names
    assert await sweeper(tenant).run() == SweepResult(workspaces=1)
    tenant.clock.now = NOON + 50 * 86400
    assert await sweeper(tenant).run() == SweepResult(workspaces=1, pruned=1)
    assert (await tenant.ledger.account(WHOLE)).booked == Account().booked


async def test_a_lost_call_lies_where_its_shard_is(world: World) -> None:
    await world.tenants.put_workspace(replace(workspace(), shards=3))
    hold = await abandoned(world, replace(WHOLE, limits=Limits(tokens_per_day=900), shards=3))
    world.clock.now = DEADLINE + 61
    await sweeper(world).run()
    at = call_item_key("ws_one", hold.call_id, hold.shard)
    assert (await store_of(world).read(at))[at]["status"] == "lost"


class Ears:
    """The port Events."""

    def __init__(self) -> None:
        self.heard: list[BudgetAlert] = []

    async def emit(self, event: BudgetAlert) -> None:
        self.heard.append(event)

    @property
    def said(self) -> list[tuple[object, ...]]:
        return [
            tuple(event.detail.get(name) for name in ("key_id", "limit", "threshold", "used")) for event in self.heard
        ]


async def test_the_sweeper_tells_of_thresholds_that_no_call_has_told_of(world: World) -> None:
    await world.tenants.put_workspace(replace(workspace(), limits=Limits(tokens_per_month=150)))
    await world.keys.put_key(replace(KEY, limits=Limits(usd_per_day=Decimal("0.5"))))
    whole = replace(WHOLE, limits=Limits(tokens_per_month=150))
    await abandoned(world, whole, replace(OF_KEY, limits=Limits(usd_per_day=Decimal("0.5"))))
    ears = Ears()
    await sweeper(world, events=ears).run()
    assert ears.said == []
    world.clock.now = DEADLINE + 61
    sent = [(await sweeper(world, events=ears).run()).alerts for _ in range(2)]
    assert sent == [4, 0]
    assert ears.said == [
        *((KEY.id, "usd_per_day", threshold, "0.5") for threshold in (50, 80, 100)),
        (None, "tokens_per_month", 50, 100),
    ]


async def test_the_parts_of_a_busy_workspace_are_watched_together(world: World) -> None:
    tenant = replace(workspace(), limits=Limits(tokens_per_month=800), shards=2)
    await world.tenants.put_workspace(tenant)
    scope = replace(WHOLE, limits=tenant.limits, shards=2)
    for _ in range(5):
        await abandoned(world, scope)
    world.clock.now = DEADLINE + 61
    ears = Ears()
    await sweeper(world, events=ears).run()
    await sweeper(world, events=ears).run()
    assert ears.said == [(None, "tokens_per_month", 50, 500)]


async def test_two_sweepers_tell_once(world: World) -> None:
    await world.tenants.put_workspace(replace(workspace(), limits=Limits(tokens_per_month=100)))
    await abandoned(world, replace(WHOLE, limits=Limits(tokens_per_month=100)))
    world.clock.now = DEADLINE + 61
    ears = Ears()
    await asyncio.gather(*(sweeper(world, events=ears).run() for _ in range(2)))
    await sweeper(world, events=ears).run()
    assert [said[2] for said in ears.said] == [50, 80, 100]
