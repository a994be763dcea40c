"""The contracts of `Meter` and `UsageReader`, for every implementation."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, TOKENS, World, hold, outcome, workspace
from tidegate.domain.account import AccountScope, Reservation
from tidegate.domain.call_event import CallEvent
from tidegate.domain.deployment import Deployment
from tidegate.domain.limits import Limits
from tidegate.domain.record import RETENTION_SECONDS
from tidegate.domain.settlement import build_settlement
from tidegate.domain.usage import TokenCounts

RECORD: dict[str, Any] = {
    "id": "01M7YZMHG0AAAAAAAAAAAAAAAA",
    "time": "2026-11-21T12:00:00.000Z",
    "surface": "openai",
    "endpoint": None,
    "stream": True,
    "model": "demo/echo",
    "provider": "demo",
    "answered_model": "echo-1",
    "deployment": None,
    "status": "ok",
    "error_code": None,
    "finish_reason": "stop",
    "native_finish_reason": None,
    "attempts": 1,
    "failed_attempts": None,
    "input_tokens": 11,
    "output_tokens": 12,
    "cached_tokens": 3,
    "written_tokens": 5,
    "reasoning_tokens": 2,
    "searches": 1,
    "estimated": False,
    "usage_fault": None,
    "words": 9,
    "input_words": 8,
    "output_words": 9,
    "words_method": "tokens",
    "cost_usd": "0.00012345",
    "held_usd": None,
    "first_event_seconds": 0.25,
    "seconds": 1.5,
    "tokens_per_second": None,
    "workspace_id": "ws_one",
    "key_id": "key_one",
    "app_id": "app",
    "session_id": None,
    "agent_id": None,
    "parent_agent_id": None,
    "batch_id": None,
    "cache": None,
    "guardrails": None,
    "ignored": None,
    "timeline": None,
    "trace_until": None,
    "trace_id": None,
}

ADDED_LATER = (
    *("endpoint", "held_usd", "tokens_per_second", "session_id", "agent_id", "batch_id", "cache", "guardrails"),
    *("ignored", "timeline", "trace_until", "trace_id", "parent_agent_id"),
)

COUNTERS = {
    "calls": 1,
    "calls_ok": 1,
    "calls_cancelled": 0,
    "calls_failed": 0,
    "calls_cached": 0,
    "calls_lost": 0,
    "calls_dry_run": 0,
    "calls_unpriced": 0,
    "input_tokens": 11,
    "output_tokens": 12,
    "cached_tokens": 3,
    "written_tokens": 5,
    "reasoning_tokens": 2,
    "searches": 1,
    "words": 9,
    "input_words": 8,
    "cost_usd": "0.00012345",
}

NOTHING = {**dict.fromkeys(COUNTERS, 0), "cost_usd": "0"}


async def test_a_record_says_all_but_the_content(world: World) -> None:
    await world.meter.record(outcome(id=RECORD["id"]))
    calls = await world.usages.calls("ws_one", 10)
    assert calls == [RECORD]
    assert "secret prompt" not in json.dumps(calls)


async def test_a_record_says_what_happened_in_the_call(world: World) -> None:
    scope, held = AccountScope("workspace", "ws_one", Limits(usd_per_month=Decimal(10))), hold(RECORD["id"])
    await world.ledger.reserve(Reservation(held, (scope,)))
    made = outcome(
        id=RECORD["id"],
        hold=held,
        events=(CallEvent(0.002, "authenticated"), CallEvent(0.003, "cache", "miss"), CallEvent(1.5, "settled")),
        ignored=("seed", "logit_bias"),
        guardrails={"pii": "mask", "length": "pass"},
        generation_seconds=0.5,
        trace_until=1_796_083_200.0,
    )
    named = {"endpoint": "/v1/chat/completions", "session_id": "s", "agent_id": "a", "batch_id": "batch_1"}
    named["parent_agent_id"] = "p"
    await world.meter.record(replace(made, call=replace(made.call, **named)))
    happened = {
        **named,
        "held_usd": "0.5",
        "tokens_per_second": 24.0,
        "cache": "miss",
        "guardrails": "pii=mask length=pass",
        "ignored": "seed logit_bias",
        "timeline": "auth@2 cache@3:miss end@1500",
        "trace_until": "2026-12-01T00:00:00.000Z",
    }
    assert await world.usages.calls("ws_one", 10) == [{**RECORD, **happened}]


async def test_a_record_of_an_earlier_version_is_read_with_all_fields(world: World) -> None:
    settlement = build_settlement(outcome(id=RECORD["id"]))
    earlier = replace(settlement.record, **dict.fromkeys(ADDED_LATER))
    assert await world.meter.settle(replace(settlement, record=earlier))
    assert await world.usages.calls("ws_one", 10) == [RECORD]


async def test_a_call_that_got_nowhere_has_gaps_in_its_record(world: World) -> None:
    failed = outcome(
        id=RECORD["id"],
        status="failed",
        deployment=None,
        attempts=0,
        first_event_seconds=None,
        finish_reason=None,
        error_code="model_not_found",
        cost_usd=Decimal(0),
    )
    await world.meter.record(failed)
    gaps = {
        "status": "failed",
        "provider": None,
        "answered_model": None,
        "attempts": 0,
        "failed_attempts": None,
        "first_event_seconds": None,
        "finish_reason": None,
        "native_finish_reason": None,
        "error_code": "model_not_found",
        "cost_usd": "0",
    }
    assert await world.usages.calls("ws_one", 10) == [{**RECORD, **gaps}]


async def test_a_record_says_what_is_wrong_with_its_usage(world: World) -> None:
    await world.meter.record(outcome(id=RECORD["id"], tokens=replace(TOKENS, usage_fault="clamped")))
    assert await world.usages.calls("ws_one", 10) == [{**RECORD, "usage_fault": "clamped"}]


async def test_a_record_names_which_target_of_a_route_answered(world: World) -> None:
    second = Deployment("demo", "echo-1", "https://demo.invalid", label="fast#2")
    await world.meter.record(outcome(id=RECORD["id"], deployment=second))
    assert await world.usages.calls("ws_one", 10) == [{**RECORD, "deployment": "fast#2"}]


async def test_month_and_day_are_counted(world: World) -> None:
    await world.meter.record(outcome())
    assert await world.usages.counters("ws_one", "M#2026-11") == COUNTERS
    assert await world.usages.counters("ws_one", "D#2026-11-21") == COUNTERS
    assert await world.usages.counters("ws_one", "M#2026-12") is None
    assert await world.usages.counters("ws_two", "M#2026-11") is None


async def test_a_call_belongs_to_the_day_on_which_it_began(world: World) -> None:
    midnight = NOON + 12 * 3600
    await world.meter.record(outcome(at=midnight - 1))
    await world.meter.record(outcome(at=midnight))
    assert await world.usages.counters("ws_one", "D#2026-11-21") == COUNTERS
    assert await world.usages.counters("ws_one", "D#2026-11-22") == COUNTERS


@pytest.mark.parametrize("status", ["ok", "cancelled", "failed", "cached"])
async def test_each_way_to_end_has_its_counter(world: World, status: str) -> None:
    await world.meter.record(outcome(status=status, tokens=TokenCounts(), cost_usd=Decimal(0)))
    expected = {**NOTHING, "calls": 1, f"calls_{status}": 1, "words": 9, "input_words": 8}
    assert await world.usages.counters("ws_one", "M#2026-11") == expected


async def test_an_unpriced_call_is_counted_and_costs_null(world: World) -> None:
    await world.meter.record(outcome(id=RECORD["id"], cost_usd=None))
    expected = {**COUNTERS, "calls_unpriced": 1, "cost_usd": "0"}
    assert await world.usages.counters("ws_one", "M#2026-11") == expected
    assert await world.usages.calls("ws_one", 10) == [{**RECORD, "cost_usd": None}]


async def test_the_same_call_again_changes_nothing(world: World) -> None:
    first = outcome(id=RECORD["id"])
    await world.meter.record(first)
    await world.meter.record(first)
    await world.meter.record(replace(first, status="failed", attempts=2))
    assert await world.usages.calls("ws_one", 10) == [RECORD]
    assert await world.usages.counters("ws_one", "M#2026-11") == COUNTERS


async def test_sums_of_money_are_exact(world: World) -> None:
    costs = [Decimal("0.1"), Decimal("0.2"), Decimal("3e-7"), Decimal("0.000000000000000012"), Decimal("1234567.89")]
    for cost in costs:
        await world.meter.record(outcome(cost_usd=cost))
    counters = await world.usages.counters("ws_one", "M#2026-11")
    assert counters is not None
    assert counters["cost_usd"] == "1234568.190000300000000012"


async def test_calls_at_the_same_time_are_all_counted(world: World) -> None:
    await asyncio.gather(*(world.meter.record(outcome(at=NOON + n / 1000)) for n in range(20)))
    counted = {name: 20 * value for name, value in COUNTERS.items() if isinstance(value, int)}
    expected = {**counted, "cost_usd": "0.002469"}
    assert await world.usages.counters("ws_one", "M#2026-11") == expected
    assert await world.usages.counters("ws_one", "D#2026-11-21") == expected
    assert len(await world.usages.calls("ws_one", 100)) == 20


async def test_the_newest_calls_come_first(world: World) -> None:
    made = [outcome(at=NOON + n, workspace_id=workspace_id) for n in range(3) for workspace_id in ("ws_one", "ws_two")]
    for call in made:
        await world.meter.record(call)
    newest = [call["id"] for call in await world.usages.calls("ws_one", 2)]
    assert newest == [made[4].call.id, made[2].call.id]


async def test_an_expired_record_is_not_seen_and_its_counters_stay(world: World) -> None:
    await world.meter.record(outcome())
    world.clock.now = NOON + RETENTION_SECONDS
    assert await world.usages.calls("ws_one", 10) == []
    assert await world.usages.counters("ws_one", "M#2026-11") == COUNTERS


async def test_days_are_counted_apart(world: World) -> None:
    for day in (0, 1, 1, 3):
        await world.meter.record(outcome(at=NOON - day * 86400))
    days = await world.usages.days("ws_one", "2026-11-19", "2026-11-21")
    assert {day: (each["calls"], each["cost_usd"]) for day, each in days.items()} == {
        "2026-11-20": (2, "0.0002469"),
        "2026-11-21": (1, "0.00012345"),
    }
    assert days["2026-11-21"] == COUNTERS
    assert await world.usages.days("ws_two", "2026-11-19", "2026-11-21") == {}
    assert await world.usages.days("ws_one", "2026-11-21", "2026-11-19") == {}


async def test_records_lie_between_two_ids(world: World) -> None:
    made = [outcome(at=NOON + n) for n in range(5)]
    for call in made:
        await world.meter.record(call)
    ids = [each.call.id for each in made]
    found = await world.usages.records("ws_one", ids[0], ids[4], 2)
    assert [each["id"] for each in found] == [ids[3], ids[2]]
    assert [each["id"] for each in await world.usages.records("ws_one", "", "Z", 10)] == ids[::-1]
    assert await world.usages.records("ws_one", ids[4], ids[0], 10) == []


async def test_the_shards_of_a_workspace_are_read_as_one(world: World) -> None:
    spread = replace(workspace(), shards=3)
    made = [outcome(at=NOON + n) for n in range(8)]
    for each in made:
        await world.meter.record(replace(each, call=replace(each.call, workspace=spread)))
    days = await world.usages.days("ws_one", "2026-11-21", "2026-11-21", 3)
    assert days["2026-11-21"]["calls"] == 8
    found = await world.usages.records("ws_one", "", "Z", 100, 3)
    assert [each["id"] for each in found] == [each.call.id for each in reversed(made)]
