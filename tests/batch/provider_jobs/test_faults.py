"""Batches at providers whose requests fail, whose workers die, and whose budgets or guardrails refuse."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.batch.provider_jobs.fakes import (
    PROVIDERS,
    FakeAnthropic,
    FakeBedrock,
    FakeGemini,
    FakeJobs,
    FakeOpenAI,
    lost_reply,
)
from tests.batch.provider_jobs.world import MODE, provider_world, run
from tests.batch.world import BatchWorld, numbers, request, requests
from tests.world import KEY, WORKSPACE
from tidegate.batch.batches import cancel_batch
from tidegate.batch.messages import PollJobs
from tidegate.batch.provider_jobs import sorted_results
from tidegate.domain.account import AccountScope
from tidegate.domain.batch import Batch
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.limits import Limits
from tidegate.errors import Conflict
from tidegate.providers.batch_jobs.anthropic import AnthropicJobs
from tidegate.providers.batch_jobs.protocol import JobLimits

TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
HTML = httpx.Response(200, text="<html><body>Bad gateway</body></html>")

pytestmark = pytest.mark.jumping_clock


async def check_money(world: BatchWorld, batch: Batch) -> None:
    """What was charged is the sum over the output, once; nothing is held."""
    costs = [line["response"]["body"]["usage"]["cost"] for line in await world.output(batch)]
    total = sum((Decimal(str(cost)) for cost in costs), Decimal(0))
    counters = await world.memory.meter.counters(batch.workspace_id, "M#2026-11") or {"cost_usd": 0}
    booked = (await world.memory.ledger.account(AccountScope("workspace", batch.workspace_id, Limits()))).booked
    assert batch.usage.cost_usd == Decimal(str(counters["cost_usd"])) == total
    assert booked.get("usd#M#2026-11-01", 0) == total
    assert world.held() == []


async def check_all_answered(world: BatchWorld, batch: Batch, count: int = 120) -> None:
    assert batch.status == "completed"
    assert numbers(await world.output(batch)) == [*range(count)]
    await check_money(world, batch)


@pytest.mark.parametrize("make", PROVIDERS)
async def test_a_job_whose_creation_was_not_answered_is_found_and_not_created_again(make: type[FakeJobs]) -> None:
    provider = make()
    provider.faults["create"] = [lost_reply()]
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert (len(provider.jobs), provider.prompts) == (1, [])
        await check_all_answered(world, batch)


@pytest.mark.parametrize("make", PROVIDERS)
async def test_a_creation_that_failed_is_made_again_after_a_look(make: type[FakeJobs]) -> None:
    provider = make()
    provider.faults["create"] = [httpx.Response(503, json={}), httpx.Response(429, json={}), HTML]
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert (len(provider.jobs), provider.asked.count("create")) == (1, 4)
        await check_all_answered(world, batch)


@pytest.mark.parametrize("kind", ["status", "results", "upload", "list"])
@pytest.mark.parametrize("fault", [HTML, httpx.Response(500), httpx.Response(429, json={}), httpx.Response(200)])
async def test_replies_that_are_no_replies_are_asked_for_again(kind: str, fault: httpx.Response) -> None:
    provider = FakeOpenAI()
    provider.faults = {"create": [lost_reply()], kind: [fault, fault]}
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert len(provider.jobs) == 1
        await check_all_answered(world, batch)


@pytest.mark.parametrize("make", PROVIDERS)
async def test_a_refused_job_is_answered_by_calls(make: type[FakeJobs]) -> None:
    provider = make()
    provider.faults["create"] = [httpx.Response(400, json={"error": {"message": "No batches for provider-secret-1"}})]
    provider.answer = live_answer
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert (batch.mode, batch.status, provider.jobs) == ("calls", "completed", [])
        assert batch.mode_reason == "The provider refused the batch (provider_bad_request)."
        assert len(await world.output(batch)) + len(await world.errors(batch)) == 120
        assert world.held() == []
        if make is FakeOpenAI:
            assert (len(provider.prompts), set(provider.counts.values())) == (120, {1})
            await check_all_answered(world, batch)


def live_answer(prompt: str, _: int) -> httpx.Response:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    message = {"role": "assistant", "content": f"Re: {prompt}"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return httpx.Response(200, json={"id": "x", "object": "chat.completion", "choices": choices, "usage": usage})


async def test_a_job_that_fails_before_it_begins_is_answered_by_calls() -> None:
    provider = FakeOpenAI(ends_as="failed", answer=live_answer)
    provider.answers.update({f"Line {number}.": "lost" for number in range(120)})
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert batch.mode_reason == "The provider's batch ended without any result (token_limit_exceeded)."
        assert (batch.mode, len(provider.prompts)) == ("calls", 120)
        await check_all_answered(world, batch)


async def test_a_line_without_a_result_is_an_error_that_costs_nothing() -> None:
    provider = FakeOpenAI()
    provider.answers["Line 3."] = "lost"
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        [error] = await world.errors(batch)
        assert (numbers([error]), error["response"]["status_code"]) == ([3], 502)
        await check_money(world, batch)


async def test_a_job_of_the_batch_is_not_taken_for_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AnthropicJobs, "limits", JobLimits("body", 100, 10**6), raising=False)
    provider = FakeAnthropic()
    provider.faults["create"] = [None, httpx.Response(500, json={}), lost_reply(529), None]
    async with provider_world(provider) as world:
        batch = await run(world, provider, 200)
        assert ([len(job.lines) for job in provider.jobs], batch.mode) == ([100, 100], "provider_batch")
        await check_all_answered(world, batch, 200)


async def test_results_of_other_batches_are_not_taken() -> None:
    provider = FakeAnthropic(answer=live_answer)
    async with provider_world(provider) as world:
        # Somebody else's batch has as many lines, and the reply about ours is lost before it was created.
        lines = [{"custom_id": f"other-{number}", "params": request(number)["body"]} for number in range(120)]
        provider.create("msgbatch_other", {}, lines)
        provider.faults["create"] = [httpx.Response(500, json={})]
        batch = await run(world, provider)
        assert (batch.mode, "live" in provider.asked, world.held()) == ("calls", True, [])
        assert "other" not in str((await world.output(batch), await world.errors(batch)))


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize(("make", "step"), [(FakeOpenAI, 1), (FakeAnthropic, 6), (FakeGemini, 6), (FakeBedrock, 6)])
async def test_workers_may_die_at_any_access(make: type[FakeJobs], step: int, offset: int) -> None:
    """An access is done if its number is even: with the offset, each is once done and once not."""
    number, died = 1 + offset, 1
    while died:
        provider = make()
        provider.answers["Line 4."] = "refused"
        async with provider_world(provider, kill_at=[number], options=BatchOptions(part_lines=60)) as world:
            world.deaths.accesses = offset
            batch = await run(world, provider, 110)
            died = world.deaths.killed
            assert (batch.status, len(provider.jobs), provider.prompts) == ("completed", 1, []), number
            assert numbers(await world.output(batch)) == [line for line in range(110) if line != 4], number
            assert numbers(await world.errors(batch)) == [4], number
            assert (batch.usage.completed, batch.usage.failed) == (109, 1), number
            await check_money(world, batch)
        number += step
    assert number > 60


async def test_stores_may_fail_at_any_access() -> None:
    for number in range(1, 120, 3):
        provider = FakeOpenAI()
        async with provider_world(provider, fails_at=[number], options=BatchOptions(part_lines=60)) as world:
            batch = await run(world, provider, 110)
            assert len(provider.jobs) == 1, number
            await check_all_answered(world, batch, 110)


@pytest.mark.parametrize("seconds", [61.0, 61.5])
async def test_a_process_with_little_time_leaves_the_rest_to_the_next_one(seconds: float) -> None:
    provider = FakeOpenAI()
    async with provider_world(provider, worker_seconds=seconds, options=BatchOptions(part_lines=10)) as world:
        batch = await run(world, provider)
        assert len(provider.jobs) == 1
        await check_all_answered(world, batch)


async def test_parts_that_the_batch_api_does_not_take_are_answered_by_calls() -> None:
    provider = FakeBedrock()
    lines = requests(200, model=provider.model)
    lines[170] = request(170, model=provider.model, tools=[TOOL])
    async with provider_world(provider) as world:
        batch = await world.submit(lines, metadata=MODE)
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        assert (batch.status, batch.mode, len(provider.jobs[0].lines)) == ("completed", "provider_batch", 150)
        assert numbers(await world.output(batch)) == [*range(150)]
        assert numbers(await world.errors(batch)) == [*range(150, 200)]
        assert "live" in provider.asked
        assert world.held() == []


async def test_lines_of_two_endpoints_are_in_two_ways() -> None:
    provider = FakeOpenAI(answer=live_answer, model="openai/gpt-5.4")
    lines = requests(120, model=provider.model)
    lines[60] = request(60, model=provider.model, tools=[TOOL], reasoning_effort="high")
    async with provider_world(provider) as world:
        batch = await world.submit(lines, metadata=MODE)
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        assert (batch.status, batch.mode, len(provider.jobs[0].lines)) == ("completed", "provider_batch", 70)
        assert sorted(numbers([*await world.output(batch), *await world.errors(batch)])) == [*range(120)]
        assert world.held() == []


async def test_an_exhausted_budget_pauses_the_batch_and_more_room_resumes_it() -> None:
    provider = FakeOpenAI()
    async with provider_world(provider, limits=Limits(usd_per_month=Decimal("0.04"))) as world:
        account = await world.memory.ledger.account(AccountScope("workspace", WORKSPACE.id, Limits()))
        account.booked["usd#M#2026-11-01"] = Decimal("0.04")
        batch = await world.submit(requests(120, model=provider.model), metadata=MODE)
        await world.run_until_idle(seconds=3600)
        batch = await world.batch(batch.id)
        assert (batch.status, batch.pause, provider.jobs) == ("in_progress", "budget", [])
        assert "BatchPaused" in world.events.types(batch.id)
        account.booked["usd#M#2026-11-01"] = Decimal("0")
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        assert (batch.status, batch.pause) == ("completed", None)
        await check_money(world, batch)


async def test_jobs_are_as_small_as_the_budget() -> None:
    provider, limits = FakeOpenAI(), Limits(words_per_month=14_000)
    async with provider_world(provider, limits=limits, options=BatchOptions(part_lines=10)) as world:
        account = await world.memory.ledger.account(AccountScope("workspace", WORKSPACE.id, limits))
        account.booked["words#M#2026-11-01"] = 14_000 - 700
        batch = await world.submit(requests(120, model=provider.model), metadata=MODE)
        await world.run_until_idle(seconds=30)
        assert [len(job.lines) for job in provider.jobs] == [30, 10]
        account.booked["words#M#2026-11-01"] -= 13_300
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        assert sum(len(job.lines) for job in provider.jobs) == 120
        await check_all_answered(world, batch, count=120)


async def test_prompts_are_checked_before_they_are_sent_and_answers_before_they_are_given() -> None:
    provider = FakeOpenAI()
    guardrails = (
        Guardrail("no-seven", "words", words=("Line 7.",), on="input", always=True),
        Guardrail("no-re", "words", words=("Re: Line 9.",), on="output", always=True),
        Guardrail("masked", "words", words=("Line 11.",), on="input", action="mask", always=True),
    )
    workspace = replace(WORKSPACE, guardrails=guardrails)
    async with provider_world(provider, workspace=workspace) as world:
        batch = await world.submit(requests(60, model=provider.model), metadata=MODE)
        await world.run_until_idle(until=lambda: bool(provider.jobs))
        sent = json.dumps(provider.jobs[0].lines)
        assert "Line 7." not in sent
        assert "Line 11." not in sent
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        errors = {numbers([line])[0]: line for line in await world.errors(batch)}
        assert {number: error["response"]["body"]["error"]["code"] for number, error in errors.items()} == {
            7: "guardrail_violation",
            9: "guardrail_violation",
        }
        charged = len(await world.output(batch)) + 1  # an answer that is blocked is charged as well
        assert batch.usage.input_tokens == 1000 * charged
        assert world.held() == []


async def test_a_line_that_requires_a_trace_is_refused_and_one_that_only_asks_is_answered_without() -> None:
    provider = FakeOpenAI()
    lines = requests(60, model=provider.model)
    lines[3]["body"] |= {"observability": True}
    lines[5]["body"] |= {"observability": True, "require_parameters": True}
    async with provider_world(provider) as world:
        batch = await world.submit(lines, metadata=MODE)
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        [refused] = await world.errors(batch)
        error = refused["response"]["body"]["error"]
        assert (refused["custom_id"], error["code"], error["param"]) == (
            "line-5",
            "unsupported_parameter",
            "observability",
        )
        assert len(await world.output(batch)) == 59
        assert "observability" not in json.dumps(provider.jobs[0].lines)
        assert not vars(world.memory.traces)["_traces"]


@pytest.mark.parametrize("ending", ["cancelled", "expired"])
@pytest.mark.parametrize("make", [FakeOpenAI, FakeAnthropic])
async def test_a_batch_may_end_at_any_step_of_its_jobs(make: type[FakeJobs], ending: str) -> None:
    step = 1
    while await messages_until(make(polls=3), ending, step) >= step:
        step += 1
    assert step > 8


async def messages_until(provider: FakeJobs, ending: str, step: int) -> int:
    """End the batch after so many messages, and check it. Return the number of messages until its end."""
    provider.faults["create"] = [httpx.Response(500, json={}), lost_reply()]
    async with provider_world(provider) as world:
        batch = await world.submit(requests(120, model=provider.model), metadata=MODE)
        await world.run_until_idle(workers=1, until=lambda: len(world.handled) >= step)
        if ending == "expired":
            world.clock.move(86_400.0)
        else:
            with suppress(Conflict):
                await cancel_batch(world.components, batch.workspace_id, batch.id)
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        assert batch.status in (ending, "completed"), step
        if batch.total:  # else it was not validated
            everything = [*await world.output(batch), *await world.errors(batch)]
            assert sorted(numbers(everything)) == [*range(120)], step
            assert (batch.usage.completed + batch.usage.failed, len(provider.jobs) < 2) == (120, True), step
            assert all(job.status != "running" for job in provider.jobs), step
            await check_money(world, batch)
        return len(world.handled)


async def test_what_is_at_the_provider_is_collected_after_the_key_was_revoked() -> None:
    provider = FakeOpenAI(polls=5)
    async with provider_world(provider) as world:
        batch = await world.submit(requests(120, model=provider.model), metadata=MODE)
        await world.run_until_idle(until=lambda: bool(provider.jobs))
        await world.memory.tenants.revoke_key(WORKSPACE.id, KEY.id)
        await world.run_until_idle()
        await check_all_answered(world, await world.batch(batch.id))


async def test_a_revoked_key_begins_no_job() -> None:
    provider = FakeOpenAI()
    async with provider_world(provider) as world:
        batch = await world.submit(requests(120, model=provider.model), metadata=MODE)
        await world.run_until_idle(until=lambda: any(isinstance(sent, PollJobs) for sent in world.queue.sent))
        await world.memory.tenants.revoke_key(WORKSPACE.id, KEY.id)
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        assert (batch.status, provider.jobs, world.held()) == ("expired", [], [])


async def test_a_provider_that_does_not_answer_any_more_expires_its_batch() -> None:
    provider = FakeGemini(polls=10**6)
    provider.faults["status"] = [httpx.Response(500, json={}) for _ in range(10_000)]
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert batch.status == "expired"
        assert numbers(await world.errors(batch)) == [*range(120)]
        assert world.held() == []


async def test_a_file_that_is_not_ready_is_waited_for() -> None:
    provider = FakeOpenAI()
    pending = {"id": "file-0", "status": "pending"}
    provider.faults = {
        "upload": [lost_reply(200, pending)],
        "file": [httpx.Response(200, json=pending), httpx.Response(200, json=pending)],
    }
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert provider.asked[:5] == ["upload", "file", "file", "file", "create"]
        await check_all_answered(world, batch)


async def test_results_are_sorted_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_results, "BUFFER_BYTES", 2_000)
    provider = FakeOpenAI()
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        await check_all_answered(world, batch)


async def test_nothing_of_a_job_is_left_in_the_bucket() -> None:
    provider = FakeBedrock()
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        await check_all_answered(world, batch)
        assert await world.components.objects.list_keys("batches/") == []
