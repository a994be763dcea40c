"""A process that stops begins no line any more; what it has asked is on record, and the next one goes on."""

import pytest
from msgspec.structs import replace

from tests.batch.world import Provider, batch_world, numbers, requests
from tidegate.batch.engine import Engine
from tidegate.batch.messages import RunPart
from tidegate.domain.batch import BatchUsage
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.limits import Limits


@pytest.mark.jumping_clock
async def test_a_process_that_stops_hands_back_its_part_and_loses_no_answer() -> None:
    provider = Provider(seconds=2.0)
    options, limits = BatchOptions(parallel_calls=5), Limits(tokens_per_month=1_000_000)
    async with batch_world(provider, options=options, limits=limits) as world:
        batch = await world.submit(requests(30))
        await world.run_until_idle(until=lambda: RunPart("ws_test", batch.id, 0) in world.queue.sent, workers=1)
        world.queue.due.clear()
        stopping = replace(world.components, is_stopping=lambda: len(provider.prompts) >= 10)
        await Engine(stopping).handle(RunPart("ws_test", batch.id, 0), world.clock() + 800.0)
        stored = await world.batch(batch.id)
        part = (await world.components.table.find_parts(stored, [0]))[0]
        assert (len(provider.prompts), part.usage.completed, part.usage.lost) == (10, 10, 0)
        assert (part.unsettled, world.held()) == (BatchUsage(), [])
        world.queue.due.clear()
        await world.queue.send(RunPart("ws_test", batch.id, 0))
        await world.run_until_idle()
        ended = await world.batch(batch.id)
        assert (ended.status, ended.usage.completed, ended.usage.lost) == ("completed", 30, 0)
        assert numbers(await world.output(ended)) == list(range(30))
        assert (set(provider.counts.values()), world.held()) == ({1}, [])
