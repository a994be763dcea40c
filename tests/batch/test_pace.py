"""The pace of workers at a provider: refusals slow them down and fail nothing, and declared rates are shared."""

import asyncio
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.batch.parts import PartWorld, part_world
from tests.batch.world import NOON, Provider, batch_world, numbers, request
from tests.world import WORKSPACE, completion
from tidegate.batch.pace import Pace
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.provider_pace import ProviderPace
from tidegate.domain.workspace import WorkspaceCredential

pytestmark = pytest.mark.jumping_clock


class RateLimited:
    """A provider that allows so many requests in a second, and says how long to wait, or not."""

    def __init__(self, per_second: int, retry_after: str | None = None) -> None:
        self.per_second, self.retry_after = per_second, retry_after
        self.times: list[float] = []
        self.refused: list[float] = []

    def __call__(self, prompt: str, number: int) -> httpx.Response:
        now = asyncio.get_running_loop().time()
        if sum(at > now - 1 for at in self.times) >= self.per_second:
            self.refused.append(now)
            headers = {} if self.retry_after is None else {"retry-after": self.retry_after}
            return httpx.Response(429, json={"error": {"message": "Slow down."}}, headers=headers)
        self.times.append(now)
        return httpx.Response(200, json=completion())


@pytest.mark.parametrize("retry_after", [None, "7"])
async def test_refusals_slow_a_worker_down_and_fail_no_line(retry_after: str | None) -> None:
    limited = RateLimited(5, retry_after)
    async with part_world(Provider(limited, 0.3), lines=100, options=BatchOptions(parallel_calls=32)) as parts:
        await parts.deliver()
        await parts.check(asked=sorted(set(parts.world.provider.prompts)))
        assert (await parts.batch()).usage.failed == 0
        # Three attempts of the pipeline in each call; and few calls in vain once the worker has learned.
        assert len(limited.refused) < 100 * 3
        if retry_after:
            begins = sorted(limited.times)
            for at in limited.refused:
                assert not any(at + 1 < begin < at + 6.9 for begin in begins)


async def test_the_end_of_a_wait_is_told_to_other_workers() -> None:
    limited = RateLimited(0, "30")
    async with part_world(Provider(limited, 0.1), lines=4, parts=2) as parts:
        first = asyncio.create_task(parts.deliver(0, worker_seconds=60))
        await asyncio.sleep(5)
        pace = await parts.components.table.find_pace("openai")
        assert 24.5 < pace.blocked_until - parts.world.clock() < 25.5
        refused = len(limited.refused)
        second = asyncio.create_task(parts.deliver(1, worker_seconds=60))
        await asyncio.sleep(10)
        assert len(limited.refused) == refused
        limited.per_second = 100
        await asyncio.gather(first, second)
        await parts.finish()
        output, errors = await parts.results()
        assert (numbers(output), errors) == ([0, 1, 2, 3], [])


async def test_refusals_of_a_workspaces_own_key_slow_no_other_workspace() -> None:
    own = replace(WORKSPACE, credentials=(WorkspaceCredential("OPENAI_API_KEY", NOON),))

    def answer(prompt: str, number: int) -> httpx.Response:
        if number <= 3:
            return httpx.Response(429, json={"error": {"message": "Slow down."}}, headers={"retry-after": "600"})
        return httpx.Response(200, json=completion())

    async with batch_world(Provider(answer), workspace=own) as world:
        await world.memory.vault.update(own.id, lambda _: {"OPENAI_API_KEY": "provider-secret-3"})
        batch = await world.submit([request(0), request(1, model="mistral/mistral-small-latest")])
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        assert (batch.status, batch.providers) == ("completed", ("mistral", "openai@ws_test"))
        paces = [await world.components.table.find_pace(name) for name in ("openai@ws_test", "openai", "mistral")]
        assert [pace.blocked_until > NOON + 500 for pace in paces] == [True, False, True]
        world.clock.move(900)
        batch = await world.submit([request(2)])
        await world.run_until_idle()
        assert (await world.batch(batch.id)).providers == ("openai@ws_test",)
        assert [each["provider"] for each in await world.records() if each["batch_id"] == batch.id] == ["openai"]


async def test_calls_at_once_are_halved_by_a_refusal_and_recover() -> None:
    limits: dict[str, float] = {}
    async with part_world() as parts:
        pace = Pace(parts.components.table, BatchOptions(parallel_calls=64), parts.world.clock, limits)

        async def calls(count: int, *, is_refused: bool) -> None:
            for _ in range(count):
                assert await pace.enter("openai", 10)
            at = parts.world.clock()
            await asyncio.sleep(0.1)
            for _ in range(count):
                if is_refused:
                    await pace.leave_refused("openai", at)
                else:
                    pace.leave("openai", 10)

        await calls(64, is_refused=True)
        assert limits["openai"] == 32.0  # calls that began together are one refusal
        await calls(32, is_refused=True)
        await calls(16, is_refused=True)
        assert limits["openai"] == 8.0
        assert parts.world.clock() - parts.world.clock.begin >= 1 + 2  # each wait is twice the one before
        for _ in range(20):
            await calls(8, is_refused=False)
        assert 12.0 < limits["openai"] < 16.0  # carefully where it was refused
        for _ in range(100):
            await calls(8, is_refused=False)
        assert limits["openai"] == 64.0
        assert Pace(parts.components.table, BatchOptions(), parts.world.clock, limits)._limits is limits


async def test_a_wait_may_end_while_it_is_looked_at() -> None:
    async with part_world() as parts:
        assert await parts.components.table.save(ProviderPace("openai", blocked_until=NOON + 1))
        times = iter([NOON, NOON + 2, NOON + 3])
        pace = Pace(parts.components.table, BatchOptions(), lambda: next(times), {})
        assert not pace.enter_at_once("openai")  # its table was not read yet
        assert await pace.enter("openai", 10)
        assert next(times, None) is None


async def run_paced(options: BatchOptions, *, seconds: float, workers: int = 4, tokens: int = 26) -> list[float]:
    """Run workers for so long; return when the provider was asked."""
    times: list[float] = []
    usage = {"prompt_tokens": tokens - 12, "completion_tokens": 12, "total_tokens": tokens}

    def answer(prompt: str, number: int) -> httpx.Response:
        times.append(asyncio.get_running_loop().time())
        return httpx.Response(200, json=completion(usage=usage))

    async with part_world(Provider(answer, 0.5), lines=4000, parts=4, options=options) as parts:
        began = asyncio.get_running_loop().time()
        tasks = [asyncio.create_task(parts.deliver(number)) for number in range(workers)]
        await asyncio.sleep(seconds)
        await _stop(parts, tasks)
        return [at - began for at in times]


async def _stop(parts: PartWorld, tasks: list[asyncio.Task[Any]]) -> None:
    batch = await parts.batch()
    assert await parts.components.table.save(replace(batch, pause="workspace"))
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("per_minute", [60, 600, 1200])
async def test_workers_together_keep_to_their_share_of_a_declared_rate(per_minute: int) -> None:
    options = BatchOptions(parallel_calls=16, share=0.5, rates={"openai": (per_minute, None)})
    times = await run_paced(options, seconds=125)
    in_two_minutes = sum(at <= 120 for at in times)
    assert 0.9 * per_minute <= in_two_minutes <= 1.1 * per_minute
    for begin in range(0, 60, 5):
        assert sum(begin <= at < begin + 60 for at in times) <= 1.15 * per_minute / 2 + 4


async def test_workers_together_keep_to_their_share_of_declared_tokens() -> None:
    options = BatchOptions(parallel_calls=16, share=0.25, rates={"openai": (None, 40_000)})
    times = await run_paced(options, seconds=125, tokens=112)
    tokens = 112 * sum(at <= 120 for at in times)
    assert 0.9 * 20_000 <= tokens <= 1.1 * 20_000


async def test_a_provider_without_a_declared_rate_costs_one_look_at_its_pace() -> None:
    async with part_world(lines=6) as parts:
        await parts.deliver()
        assert await parts.components.table.find_pace("openai") == ProviderPace("openai")
