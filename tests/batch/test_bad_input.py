"""Inputs that only fail while their lines are answered, and batches that end early: from the file to the files."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.batch.world import BatchWorld, Provider, batch_world, numbers, request, requests
from tidegate.batch.batches import cancel_batch
from tidegate.domain.batch import Batch
from tidegate.domain.batch_options import BatchOptions

OPTIONS = BatchOptions(part_lines=4, batch_window=2, flush_seconds=0.01)


async def finish(world: BatchWorld, batch: Batch) -> tuple[Batch, list[Any], list[Any]]:
    """Run to the end; the batch and the lines of its two files, of which each line of the input is in one."""
    await world.run_until_idle(workers=3)
    ended = await world.batch(batch.id)
    output, errors = await world.output(ended), await world.errors(ended)
    ids = [line["id"] for line in (*output, *errors)]
    assert len(set(ids)) == len(ids) == ended.total
    assert (ended.usage.completed, ended.usage.failed) == (len(output), len(errors))
    assert world.held() == []
    return ended, output, errors


def codes(errors: list[Any]) -> Counter[str]:
    return Counter((line["error"] or line["response"]["body"]["error"])["code"] for line in errors)


async def test_lines_that_only_the_pipeline_can_refuse_are_errors_of_their_own() -> None:
    lines = [
        request(0),
        request(1, model="no-such-model"),
        request(2, messages=[]),
        request(3, stream="yes"),
        request(4, temperature="hot"),
        request(5, model="mistral/mistral-small-latest"),
    ]
    async with batch_world(options=OPTIONS) as world:
        ended, output, errors = await finish(world, await world.submit(lines))
        assert (ended.status, ended.model) == ("completed", None)
        assert (numbers(output), numbers(errors)) == ([0, 5], [1, 2, 3, 4])
        assert [line["response"]["status_code"] for line in errors] == [404, 400, 400, 400]


async def test_numbers_that_are_too_large_are_errors_of_their_line() -> None:
    data = b'{"custom_id":"line-%d","method":"POST","url":"/v1/chat/completions","body":'
    body = b'{"model":"openai/gpt-4.1-mini","messages":[{"role":"user","content":"a"}],"max_tokens":%b}}\n'
    values = [b"1e999", b"9" * 5_000, b"20"]
    text = b"".join(data % number + body % value for number, value in enumerate(values))
    async with batch_world(options=OPTIONS) as world:
        ended, output, errors = await finish(world, await world.submit(text))
        assert (ended.status, numbers(output), numbers(errors)) == ("completed", [2], [0, 1])
        assert [line["response"]["status_code"] for line in errors] == [400, 400]


@pytest.mark.parametrize(("after", "answers"), [(0, 0), (13, 4)])
async def test_an_input_that_is_deleted_while_it_is_answered_ends_the_batch(after: int, answers: int) -> None:
    async with batch_world(Provider(seconds=0.01), options=OPTIONS) as world:
        batch = await world.submit(requests(20))
        await world.run_until_idle(
            until=lambda: len(world.provider.prompts) >= after and bool(world.events.types(batch.id))
        )
        await world.components.objects.delete([batch.input_key])
        ended, output, errors = await finish(world, batch)
        assert (ended.status, len(output) + len(errors)) == ("completed", 20)
        assert len(output) >= answers
        assert errors


async def test_a_batch_that_is_cancelled_while_it_is_answered_keeps_its_answers() -> None:
    async with batch_world(Provider(seconds=0.02), options=OPTIONS) as world:
        batch = await world.submit(requests(40))
        await world.run_until_idle(until=lambda: len(world.provider.prompts) >= 12)
        await cancel_batch(world.components, "ws_test", batch.id)
        ended, output, errors = await finish(world, batch)
        assert ended.status == "cancelled" and ended.cancelled_at is not None and ended.cancelling_at is not None
        assert set(codes(errors)) == {"batch_cancelled"}
        assert numbers(output) == sorted(numbers(output)) and len(output) >= 4


async def test_a_batch_whose_window_is_over_keeps_its_answers() -> None:
    async with batch_world(Provider(seconds=0.02), options=OPTIONS) as world:
        batch = await world.submit(requests(40), window_seconds=3_600.0)
        await world.run_until_idle(until=lambda: len(world.provider.prompts) >= 12)
        world.clock.move(3_600.0)
        ended, output, errors = await finish(world, batch)
        assert ended.status == "expired" and ended.expired_at is not None
        assert set(codes(errors)) == {"batch_expired"}
        assert len(output) + len(errors) == 40


async def test_a_window_that_ends_before_the_lines_are_checked_expires_them_all() -> None:
    async with batch_world(options=OPTIONS) as world:
        batch = await world.submit(requests(10), window_seconds=0.0)
        await asyncio.sleep(0.01)
        ended, output, errors = await finish(world, batch)
        assert (ended.status, output, codes(errors)) == ("expired", [], Counter({"batch_expired": 10}))
        assert (ended.output_file_id, world.provider.prompts) == (None, [])
        assert [line["custom_id"] for line in errors] == [f"line-{number}" for number in range(10)]
