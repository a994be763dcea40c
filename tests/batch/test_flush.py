"""Answers that are put on record while others come: a write takes time, and nothing else may begin it anew."""

import asyncio
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.batch.proof import Watched
from tests.batch.world import Provider, batch_world, numbers, request
from tests.world import WORKSPACE, completion
from tidegate.domain.batch import Part
from tidegate.domain.batch_options import BatchOptions


@pytest.mark.jumping_clock
@pytest.mark.parametrize("is_put", [True, False])
async def test_a_write_that_is_under_way_when_the_last_line_is_answered_is_completed(is_put: bool) -> None:
    async def answer(prompt: str, _: int) -> httpx.Response:
        # The second answer comes while the first one is being put on record.
        await asyncio.sleep(0.9 if prompt == "Line 0." else 1.2)
        return httpx.Response(200, json=completion(prompt))

    async with batch_world(Provider(answer)) as world:
        table, objects = world.components.table, world.components.objects

        async def save(*values: Any) -> bool:
            is_saved = await table.save(*values)
            await asyncio.sleep(0.0 if is_put or not isinstance(values[0], Part) else 0.5)
            return is_saved

        async def put(key: str, data: bytes) -> None:
            await asyncio.sleep(0.5 if is_put else 0.0)
            await objects.put(key, data)

        slow_table, slow_objects = Watched(table, save=save), Watched(objects, put=put)
        world.components = replace(world.components, table=slow_table, objects=slow_objects)
        batch = await world.submit([request(0), request(1)])
        await world.run_until_idle()
        batch = await world.batch(batch.id)
        assert (batch.status, batch.usage.completed, batch.usage.lost) == ("completed", 2, 0)
        assert numbers(await world.output(batch)) == [0, 1]
        assert batch.usage.input_tokens == 2 * 14
        assert [record["lines"] for record in await world.records(WORKSPACE.id)] == [2]
        assert sorted(world.provider.prompts) == ["Line 0.", "Line 1."]


@pytest.mark.jumping_clock
async def test_large_answers_do_not_come_faster_than_they_are_put_on_record() -> None:
    large = Provider(lambda prompt, _: httpx.Response(200, json=completion(prompt + "x" * 1024**2)), seconds=0.01)
    async with batch_world(large, options=BatchOptions(parallel_calls=3)) as world:
        objects, sizes = world.components.objects, list[int]()

        async def put(key: str, data: bytes) -> None:
            if "/journal/" in key:
                sizes.append(len(data) // 1024**2)
                await asyncio.sleep(1.0)
            await objects.put(key, data)

        world.components = replace(world.components, objects=Watched(objects, put=put))
        batch = await world.submit([request(number) for number in range(20)])
        await world.run_until_idle()
        assert (await world.batch(batch.id)).usage.completed == 20
        assert (sum(sizes), max(sizes) <= 3) == (20, True), sizes
