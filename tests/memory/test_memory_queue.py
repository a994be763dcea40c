"""The reading end of the queue in memory."""

import asyncio

from tests.store_worlds import NOON, Clock
from tidegate.batch.messages import Message, RunPart, Sweep
from tidegate.memory.batch_queue import MemoryBatchQueue


def part(number: int) -> Message:
    return RunPart("ws_a", "batch_1", number)


async def test_messages_come_in_the_order_of_their_times() -> None:
    clock = Clock()
    queue = MemoryBatchQueue(clock)
    for number, delay in enumerate((5, 0, 901, 5, 0)):
        await queue.send(part(number), delay)
    assert queue.take_due(NOON - 1) == []
    assert queue.take_due(NOON) == [part(1), part(4)]
    assert len(queue) == 3
    clock.now += 5
    assert [await queue.receive(), await queue.receive()] == [part(0), part(3)]
    assert (queue.take_due(NOON + 899.9), queue.take_due(NOON + 900)) == ([], [part(2)])


async def test_each_of_several_readers_gets_another_message() -> None:
    queue = MemoryBatchQueue()
    readers = [asyncio.create_task(queue.receive()) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(3):
        await queue.send(part(number))
    assert await asyncio.wait_for(asyncio.gather(*readers), 5) == [part(0), part(1), part(2)]
    assert len(queue) == 0


async def test_a_reader_waits_until_a_message_is_due_and_no_longer() -> None:
    queue = MemoryBatchQueue()
    await queue.send(part(1), 60)
    reader = asyncio.create_task(queue.receive())
    await asyncio.sleep(0)
    await queue.send(part(2), 0.05)
    assert await asyncio.wait_for(reader, 5) == part(2)
    assert len(queue) == 1


async def test_a_cancelled_reader_takes_no_message() -> None:
    queue = MemoryBatchQueue()
    readers = [asyncio.create_task(queue.receive()) for _ in range(2)]
    await asyncio.sleep(0)
    await queue.send(Sweep())
    readers[0].cancel()
    assert await asyncio.wait_for(readers[1], 5) == Sweep()
    assert readers[0].cancelled()


def test_a_queue_may_be_used_in_one_event_loop_after_another() -> None:
    queue = MemoryBatchQueue()

    async def exchange() -> Message:
        reader = asyncio.create_task(queue.receive())
        await asyncio.sleep(0)
        await queue.send(Sweep())
        return await asyncio.wait_for(reader, 5)

    assert [asyncio.run(exchange()), asyncio.run(exchange())] == [Sweep(), Sweep()]
