"""A worker and its part: budgets, faults, deadlines, cancellation, and lines that work as live calls do."""

import asyncio
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.batch.parts import PLENTY, part_world
from tests.batch.world import NOON, Provider, numbers, request, requests
from tests.world import KEY, completion
from tidegate.batch.engine import Engine
from tidegate.batch.messages import RunPart
from tidegate.batch.ports import TryLater
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.batch import Batch
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.limits import Amounts, Limits, period_at

pytestmark = pytest.mark.jumping_clock

USAGE = {"prompt_tokens": 14, "completion_tokens": 12, "total_tokens": 26}

LINE_TOKENS, LINE_NEEDS = 26, 150
"""The tokens that a line uses, by the provider's usage, and what it holds until then; from line 10 on, 2 more."""

LARGE = BatchOptions(parallel_calls=8)


def failing(status: int, times: Callable[[str], int], **headers: str) -> Provider:
    """A provider that fails so many times for a prompt, before it answers."""

    def answer(prompt: str, number: int) -> httpx.Response:
        if number <= times(prompt):
            return httpx.Response(status, json={"error": {"message": "No."}}, headers=headers)
        return httpx.Response(200, json=completion(f"Re: {prompt}"))

    return Provider(answer, 0.2)


async def test_a_part_has_one_record_one_log_line_and_the_counters_of_its_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with part_world(lines=6) as parts:
        await parts.deliver()
        await parts.check()
        [record] = await parts.world.records()
        batch, part = await parts.batch(), await parts.part()
        assert (record["status"], record["batch_id"], record["part"], record["lines"]) == ("batch", batch.id, 0, 6)
        assert record["endpoint"] == batch.endpoint
        assert (batch.status, batch.running, batch.usage) == ("finalizing", (), part.usage)
        assert (part.status, part.lease, part.slice_id, part.output_bytes > 0) == ("done", None, None, True)
        output, _ = await parts.results()
        ids = {line["response"]["request_id"] for line in output}
        assert (len(ids), {line["error"] for line in output}) == (6, {None})
    told = [line.message for line in caplog.records if line.name.startswith("tidegate.")]
    assert told == ["part.ended"]


async def test_a_message_for_a_part_that_somebody_has_comes_later() -> None:
    async with part_world() as parts:
        part = await parts.part()
        now = parts.world.clock()
        assert await parts.components.table.save(replace(part, status="running", lease="x", lease_until=now + 30))
        with pytest.raises(TryLater) as caught:
            await Engine(parts.components).handle(RunPart("ws_test", parts.batch_id, 0), now + 800)
        assert 30 < caught.value.seconds < 32
        assert parts.world.provider.prompts == []


async def test_errors_are_what_a_live_call_would_get() -> None:
    lines: list[Any] = [
        request(0),
        request(1, model="nowhere/model"),
        request(2, max_tokens="many"),
        request(3, dry_run=True),
        b"nothing",
        {**request(5), "url": "/v1/other"},
    ]
    async with part_world(failing(400, lambda _: 9), lines=lines, limits=Limits(tokens_per_day=10**6)) as parts:
        await parts.deliver()
        output, errors = await parts.results()
        assert [line["custom_id"] for line in output] == ["line-3"]
        assert output[0]["response"]["body"]["object"] == "tidegate.dry_run"
        assert [line["custom_id"] for line in errors] == ["line-0", "line-1", "line-2", None, "line-5"]
        replies = [line["response"] and line["response"]["status_code"] for line in errors]
        assert replies == [400, 404, 400, None, None]
        bodies = [line["response"]["body"]["error"]["code"] for line in errors[:3]]
        assert bodies == ["provider_bad_request", "model_not_found", "invalid_request"]
        assert [line["error"]["code"] for line in errors[3:]] == ["invalid_json_line", "invalid_url"]
        assert (await parts.account()).holds == {}


@pytest.mark.parametrize(("status", "code"), [(500, "provider_error"), (503, "provider_overloaded")])
async def test_passing_faults_are_asked_again_and_lasting_ones_are_errors(status: int, code: str) -> None:
    def times(prompt: str) -> int:
        return {"Line 1.": 7, "Line 2.": 99}.get(prompt, 0)

    async with part_world(failing(status, times)) as parts:
        await parts.deliver()
        output, errors = await parts.results()
        assert (numbers(output), numbers(errors)) == ([0, 1, 3, 4, 5], [2])
        assert errors[0]["response"]["body"]["error"]["code"] == code
        # Each of three rounds has the pipeline's two retries.
        assert parts.world.provider.counts["Line 2."] == 9
        usage = (await parts.batch()).usage
        assert (usage.completed, usage.failed, usage.lost) == (5, 1, 0)


async def test_a_line_that_times_out_is_charged_for_what_the_provider_may_have_done() -> None:
    async def answer(prompt: str, number: int) -> httpx.Response:
        if prompt == "Line 1." and number == 1:
            raise httpx.ReadTimeout("slow")
        return httpx.Response(200, json=completion())

    async with part_world(Provider(answer, 0.2), lines=[*requests(1), request(1, num_retries=0)]) as parts:
        await parts.deliver()
        output, _ = await parts.results()
        assert numbers(output) == [0, 1]
        cost = sum(Decimal(str(line["response"]["body"]["usage"]["cost"])) for line in output)
        usage, counters = (await parts.batch()).usage, await parts.counters()
        assert usage.cost_usd == Decimal(str(counters["cost_usd"])) > cost
        assert (await parts.account()).holds == {}


async def test_an_exhausted_budget_pauses_the_batch_and_tells_what_it_needs() -> None:
    limits = Limits(tokens_per_month=LINE_NEEDS + 3 * LINE_TOKENS)
    async with part_world(lines=12, limits=limits, options=LARGE) as parts:
        await parts.deliver()
        batch, part = await parts.batch(), await parts.part()
        assert (batch.status, batch.pause, batch.running, batch.returned) == ("in_progress", "budget", (), (0,))
        assert batch.paused_needs is not None and batch.paused_needs.tokens == LINE_NEEDS
        assert [kind for kind, _ in parts.world.events.emitted] == ["BatchPaused"]
        assert (part.status, part.slice_id, part.usage.lost, part.usage.completed) == ("returned", None, 0, 4)
        assert len(parts.world.provider.prompts) == 4
        account = await parts.account()
        assert (account.holds, account.booked[f"tokens#{period_at('month', NOON).name}"]) == ({}, 4 * LINE_TOKENS)
        await _resume(parts, Limits(tokens_per_month=1000))
        await parts.finish()
        await parts.check()


async def _resume(parts: Any, limits: Limits) -> None:
    tenants, table = parts.world.memory.tenants, parts.components.table
    tenants.workspaces["ws_test"] = replace(tenants.workspaces["ws_test"], limits=limits)
    batch, part = await parts.batch(), await parts.part()
    resumed = replace(batch, pause=None, paused_at=None, paused_needs=None, running=(0,), returned=())
    assert await table.save(resumed, replace(part, status="queued"))


async def test_a_small_budget_makes_progress_line_by_line() -> None:
    """The budget pays for one open line at a time, and for all of them one after the other."""
    limits = Limits(tokens_per_month=11 * LINE_TOKENS + LINE_NEEDS + 2)
    async with part_world(lines=12, limits=limits, options=LARGE) as parts:
        await parts.deliver()
        await parts.check()
        assert parts.world.provider.most == 2


async def test_a_line_that_can_never_fit_is_an_error_and_the_others_are_answered() -> None:
    lines = [*requests(2), request(2, max_tokens=100_000), *[request(number) for number in range(3, 6)]]
    async with part_world(lines=lines, limits=Limits(tokens_per_day=5000)) as parts:
        await parts.deliver()
        output, errors = await parts.results()
        assert (numbers(output), numbers(errors)) == ([0, 1, 3, 4, 5], [2])
        error = errors[0]["response"]["body"]["error"]
        assert (errors[0]["response"]["status_code"], error["code"]) == (429, "insufficient_quota")
        assert "can never allow this call" in error["message"]


async def test_room_that_live_calls_hold_is_waited_for() -> None:
    async with part_world(lines=6, limits=Limits(tokens_per_day=300)) as parts:
        clock, ledger = parts.world.clock, parts.components.gateway.ledger
        scope = AccountScope("workspace", "ws_test", Limits(tokens_per_day=300))
        live = Hold("live", "ws_test", KEY.id, "m", Amounts(290), 0, clock(), clock() + 600)
        await ledger.reserve(Reservation(live, (scope,)))

        async def end() -> None:
            await asyncio.sleep(10)
            parts.world.memory.ledger.settle_call(live, Amounts(20))

        ending = asyncio.create_task(end())
        await parts.deliver()
        await ending
        output, _ = await parts.results()
        assert numbers(output) == list(range(6))
        assert (await parts.batch()).pause is None


async def test_room_that_others_hold_for_long_pauses_the_batch() -> None:
    async with part_world(lines=6, limits=Limits(tokens_per_day=300)) as parts:
        clock, ledger = parts.world.clock, parts.components.gateway.ledger
        scope = AccountScope("workspace", "ws_test", Limits(tokens_per_day=300))
        live = Hold("live", "ws_test", KEY.id, "m", Amounts(290), 0, clock(), clock() + 600)
        await ledger.reserve(Reservation(live, (scope,)))
        await parts.deliver()
        batch = await parts.batch()
        assert (batch.pause, batch.returned, parts.world.provider.prompts) == ("budget", (0,), [])
        assert (await parts.account()).holds == {"live": live}


@pytest.mark.parametrize("reason", ["key", "workspace"])
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_revoked_key_or_a_suspended_workspace_stops_the_batch(reason: str, is_late: bool) -> None:
    async with part_world(Provider(seconds=4.0), lines=12) as parts:
        tenants = parts.world.memory.tenants

        async def stop() -> None:
            if reason == "key":
                await tenants.revoke_key("ws_test", KEY.id)
            else:
                await tenants.set_workspace_status("ws_test", "suspended")

        async def stop_later() -> None:
            await asyncio.sleep(6)
            await stop()

        if is_late:
            stopping = asyncio.create_task(stop_later())
            await parts.deliver()
            await stopping
        else:
            await stop()
            await parts.deliver()
        batch, part = await parts.batch(), await parts.part()
        assert (batch.pause, batch.returned, batch.running) == (reason, (0,), ())
        asked = len(parts.world.provider.prompts)
        # Three at a time, every four seconds; the worker looks every five.
        assert (asked, part.usage.completed) == ((9, 9) if is_late else (0, 0))
        assert (await parts.account()).holds == {}


@pytest.mark.parametrize("status", ["cancelling", "paused", "expired"])
async def test_a_batch_that_stops_is_handed_back_within_seconds(status: str) -> None:
    window = 10.0 if status == "expired" else 86_400.0
    async with part_world(Provider(seconds=1.0), lines=200, window_seconds=window) as parts:

        async def stop() -> None:
            await asyncio.sleep(8)
            batch = await parts.batch()
            changes: dict[str, Any] = {"status": "cancelling"} if status == "cancelling" else {"pause": "workspace"}
            assert await parts.components.table.save(replace(batch, **changes))

        stopping = asyncio.create_task(stop()) if status != "expired" else None
        started_at = parts.world.clock()
        await parts.deliver()
        if stopping:
            await stopping
        batch, part = await parts.batch(), await parts.part()
        assert (batch.running, batch.returned, part.status) == ((), (0,), "returned")
        assert parts.world.clock() - started_at <= 14.5
        assert 24 <= part.usage.completed == len(parts.world.provider.prompts) <= 42
        assert (await parts.account()).holds == {}
        expected: dict[str, Callable[[Batch], bool]] = {
            "cancelling": lambda batch: (batch.status, batch.ending) == ("finalizing", "cancelled"),
            "expired": lambda batch: (batch.status, batch.ending) == ("finalizing", "expired"),
            "paused": lambda batch: (batch.status, batch.pause) == ("in_progress", "workspace"),
        }
        assert expected[status](batch)


async def test_a_worker_hands_back_what_it_has_no_time_for() -> None:
    async with part_world(Provider(seconds=10.0), lines=60) as parts:
        started_at = parts.world.clock()
        await parts.deliver(worker_seconds=120.0)
        part, batch = await parts.part(), await parts.batch()
        assert parts.world.clock() - started_at <= 100.0
        assert part.usage.completed == len(parts.world.provider.prompts) > 0
        assert (part.usage.lost, batch.status, batch.pause) == (0, "in_progress", None)
        # It went back, and was fed again at once.
        assert (part.status, batch.running) == ("queued", (0,))
        await parts.finish()
        await parts.check()
        assert (await parts.batch()).usage.lost == 0


async def test_a_deleted_input_ends_in_errors_and_not_in_a_stuck_batch() -> None:
    async with part_world(lines=6) as parts:
        await parts.components.objects.delete(["in"])
        await parts.deliver()
        output, errors = await parts.results()
        assert (output, {line["error"]["code"] for line in errors}) == ([], {"input_file_deleted"})
        assert (len(errors), (await parts.batch()).status) == (6, "finalizing")


async def test_guardrails_and_the_cache_work_as_for_live_calls() -> None:
    cached = {"cache": {"ttl": 600}}
    lines = [request(0, "Same.", **cached), request(1, "Same.", **cached), request(2, "Same.", **cached)]
    async with part_world(lines=lines, options=BatchOptions(parallel_calls=1)) as parts:
        await parts.deliver()
        output, _ = await parts.results()
        assert (numbers(output), parts.world.provider.prompts) == ([0, 1, 2], ["Same."])
        usage = (await parts.batch()).usage
        assert (usage.amounts.tokens, usage.completed, usage.cached) == (LINE_TOKENS, 3, 2)
        counters = await parts.counters()
        assert (counters["calls"], counters["calls_ok"], counters["calls_cached"]) == (3, 1, 2)
        choices = [line["response"]["body"]["choices"] for line in output]
        assert choices == [choices[0]] * 3


async def test_several_choices_and_reasoning_are_in_the_output_and_in_the_usage() -> None:
    reply = completion("One.", usage={**USAGE, "completion_tokens_details": {"reasoning_tokens": 7}})
    reply["choices"].append({**reply["choices"][0], "index": 1})
    provider = Provider(lambda prompt, number: httpx.Response(200, json=reply))
    async with part_world(provider, lines=[request(0, n=2), request(1, n=2)]) as parts:
        await parts.deliver()
        output, _ = await parts.results()
        assert [[choice["index"] for choice in line["response"]["body"]["choices"]] for line in output] == [[0, 1]] * 2
        usage, counters = (await parts.batch()).usage, await parts.counters()
        assert (usage.reasoning_tokens, counters["reasoning_tokens"]) == (14, 14)
        await parts.check()


async def test_live_rates_are_not_taken_by_a_batch() -> None:
    async with part_world(lines=6, limits=PLENTY) as parts:
        await parts.deliver()
        account = await parts.account()
        assert (account.minute_calls, account.minute_tokens) == (0, {})
