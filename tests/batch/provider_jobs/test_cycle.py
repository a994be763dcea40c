"""Batches at providers, from the file to the results, in each dialect."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.batch.provider_jobs.fakes import PROVIDERS, FakeJobs, FakeOpenAI
from tests.batch.provider_jobs.world import MODE, provider_world, run
from tests.batch.world import BatchWorld, numbers, requests
from tests.world import KEY
from tidegate.batch.batches import cancel_batch
from tidegate.domain.batch import Batch
from tidegate.domain.limits import Limits
from tidegate.providers.batch_jobs.openai import OpenAIJobs

pytestmark = pytest.mark.jumping_clock


async def check_money(world: BatchWorld, batch: Batch, price: Decimal) -> None:
    """What was charged is `price` for each answer in the output, once; nothing is held."""
    output = await world.output(batch)
    total = price * len(output)
    assert [Decimal(str(line["response"]["body"]["usage"]["cost"])) for line in output] == [price] * len(output)
    assert batch.usage.cost_usd == total
    counters = await world.memory.meter.counters(batch.workspace_id, "M#2026-11")
    assert counters is not None
    assert Decimal(str(counters["cost_usd"])) == total
    assert (counters["calls_ok"], counters["calls"]) == (batch.usage.completed, batch.total)
    assert world.held() == []
    booked = world.memory.ledger.accounts["workspace", batch.workspace_id].booked
    assert booked.get("usd#M#2026-11-01", 0) == total
    assert booked.get("tokens#D#2026-11-21", 0) == 1100 * len(output)


HALF_PRICES = {
    "openai/gpt-5-mini": Decimal("0.000225"),
    "anthropic/claude-haiku-4-5": Decimal("0.00075"),
    "gemini/gemini-2.5-pro": Decimal("0.001125"),
    "bedrock/amazon.nova-lite-v1:0": Decimal("0.000042"),
}
"""Half of the price of 1,000 tokens of input and 100 of output."""


@pytest.mark.parametrize("make", PROVIDERS)
async def test_every_line_is_answered_once_in_order_and_at_half_the_price(make: type[FakeJobs]) -> None:
    provider = make()
    provider.answers.update({"Line 7.": "refused", "Line 60.": "refused"})
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert (batch.status, batch.mode, batch.mode_reason) == ("completed", "provider_batch", None)
        output, errors = await world.output(batch), await world.errors(batch)
        assert numbers(output) == [number for number in range(120) if number not in (7, 60)]
        assert numbers(errors) == [7, 60]
        for number, line in zip(numbers(output), output, strict=True):
            body = line["response"]["body"]
            assert body["choices"][0]["message"]["content"] == f"Re: Line {number}."
            assert (body["object"], body["model"]) == ("chat.completion", provider.model)
        assert {line["response"]["status_code"] for line in errors} == {400}
        assert "refused" in errors[0]["response"]["body"]["error"]["message"]
        assert "theirs" not in str((output, errors))
        assert (len(provider.jobs), provider.prompts) == (1, [])
        assert (batch.usage.completed, batch.usage.failed, batch.usage.input_tokens) == (118, 2, 118_000)
        [record] = await world.records()
        assert (record["status"], record["lines"], record["batch_id"]) == ("batch", 120, batch.id)
        await check_money(world, batch, HALF_PRICES[provider.model])


@pytest.mark.parametrize("make", PROVIDERS)
async def test_what_the_provider_does_not_answer_in_time_is_expired(make: type[FakeJobs]) -> None:
    provider = make(ends_as="ended" if make in (PROVIDERS[1],) else "expired")
    if provider.ends_as == "ended":
        provider.answers.update({f"Line {number}.": "late" for number in range(120)})
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert batch.status == "expired"
        assert (batch.output_file_id, numbers(await world.errors(batch))) == (None, [*range(120)])
        assert {line["error"]["code"] for line in await world.errors(batch)} == {"batch_expired"}
        await check_money(world, batch, HALF_PRICES[provider.model])


@pytest.mark.parametrize("make", PROVIDERS)
async def test_a_cancelled_batch_cancels_the_job_and_bills_what_was_answered(make: type[FakeJobs]) -> None:
    provider = make(polls=10**6)
    async with provider_world(provider) as world:
        batch = await world.submit(requests(120, model=provider.model), metadata=MODE)
        await world.run_until_idle(until=lambda: any(job.polls > 3 for job in provider.jobs))
        assert len(world.held()) == 1
        await cancel_batch(world.components, batch.workspace_id, batch.id)
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        assert (batch.status, provider.jobs[0].status) == ("cancelled", "cancelled")
        assert numbers(await world.output(batch)) == [*range(0, 120, 2)]
        assert numbers(await world.errors(batch)) == [*range(1, 120, 2)]
        assert {line["error"]["code"] for line in await world.errors(batch)} == {"batch_cancelled"}
        assert provider.asked.count("cancel") == 1
        await check_money(world, batch, HALF_PRICES[provider.model])


@pytest.mark.parametrize("make", PROVIDERS)
async def test_a_job_that_never_ends_is_cancelled_with_its_batch(make: type[FakeJobs]) -> None:
    provider = make(polls=10**6)
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert (batch.status, provider.jobs[0].status) == ("expired", "cancelled")
        assert numbers(await world.output(batch)) == [*range(0, 120, 2)]
        assert {line["error"]["code"] for line in await world.errors(batch)} == {"batch_expired"}
        await check_money(world, batch, HALF_PRICES[provider.model])


@pytest.mark.parametrize("make", PROVIDERS)
async def test_a_batch_of_errors_alone_has_no_output(make: type[FakeJobs]) -> None:
    provider = make()
    provider.answers.update({f"Line {number}.": "refused" for number in range(120)})
    async with provider_world(provider) as world:
        batch = await run(world, provider)
        assert (batch.status, batch.output_file_id) == ("completed", None)
        assert numbers(await world.errors(batch)) == [*range(120)]
        await check_money(world, batch, HALF_PRICES[provider.model])


@pytest.mark.parametrize("make", PROVIDERS)
async def test_messages_that_come_twice_create_one_job(make: type[FakeJobs]) -> None:
    provider = make()
    async with provider_world(provider, copies=3) as world:
        batch = await run(world, provider)
        assert (batch.status, len(provider.jobs), len(await world.records())) == ("completed", 1, 1)
        await check_money(world, batch, HALF_PRICES[provider.model])


async def test_lines_are_divided_into_jobs_of_whole_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = FakeOpenAI()
    limits = OpenAIJobs("", {}).limits
    monkeypatch.setattr(OpenAIJobs, "limits", replace(limits, max_lines=100), raising=False)
    async with provider_world(provider) as world:
        batch = await run(world, provider, 220)
        assert [len(job.lines) for job in provider.jobs] == [100, 100, 20]
        assert numbers(await world.output(batch)) == [*range(220)]
        assert (batch.status, len(await world.records())) == ("completed", 3)
        await check_money(world, batch, HALF_PRICES[provider.model])


async def test_a_key_pays_from_its_own_budget() -> None:
    provider = FakeOpenAI()
    async with provider_world(provider, key=replace(KEY, limits=Limits(usd_per_day=Decimal(50)))) as world:
        batch = await run(world, provider)
        account = world.memory.ledger.accounts["key", KEY.id]
        assert (account.booked["usd#D#2026-11-21"], account.holds) == (batch.usage.cost_usd, {})
