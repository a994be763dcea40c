"""Processes of one server: the sockets that they share, and the work that only the first one does."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tidegate.batch.messages import Compose, Message, Validate
from tidegate.errors import ConfigurationError, StoreUnavailable
from tidegate.local import batch_pipe
from tidegate.local.background_batches import open_batches
from tidegate.local.batch_pipe import PipedBatchQueue, receive_piped
from tidegate.local.listener import listen, listen_for_each
from tidegate.local.stores import StoreOptions, open_store
from tidegate.local.workers import WorkerTask
from tidegate.memory.batch_queue import MemoryBatchQueue
from tidegate.sqlite.folder import DataFolder

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, processes share one socket")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def background_tasks() -> int:
    names = ("_sweep", "_send_sweeps", "_watch", "_receive", "_Worker.work")
    return sum(any(f" coro=<{name}()" in repr(task) for name in names) for task in asyncio.all_tasks())


@pytest.mark.parametrize(("number", "tasks"), [(None, 8), (0, 9), (1, 0)], ids=["alone", "the first", "another"])
async def test_only_the_first_process_works_in_the_background(
    number: int | None, tasks: int, tmp_path: Path, pipe: tuple[int, int]
) -> None:
    worker = None if number is None else WorkerTask({}, number, -1, pipe[0 if number == 0 else 1])
    options = StoreOptions("local", DataFolder(tmp_path), has_demo=False, worker=worker)
    with ExitStack() as stack:
        store = await asyncio.to_thread(open_store, options, {}, stack)
        async with store.open_planes() as planes, open_batches(planes.batches) as components:
            await asyncio.sleep(0)
            # The sweeper, the roller, the sweeps of batches, four steps, the drop folder, and for the first the pipe.
            assert (background_tasks(), components is not None) == (tasks, True)


async def test_a_message_of_another_process_reaches_the_first_one_with_its_delay(pipe: tuple[int, int]) -> None:
    received: list[tuple[Message, float]] = []
    arrived = asyncio.Event()

    class Queue:
        async def send(self, message: Message, delay_seconds: float = 0.0) -> None:
            received.append((message, delay_seconds))
            if len(received) == 101:
                arrived.set()

    reading, writing = pipe
    senders = [PipedBatchQueue(writing) for _ in range(4)]
    await senders[0].send(Compose("ws", "first"), 7.5)
    async with asyncio.timeout(10), receive_piped(reading, Queue()):
        await asyncio.gather(*(senders[at % 4].send(Validate("ws", f"b_{at}")) for at in range(100)))
        await arrived.wait()
    assert received[0] == (Compose("ws", "first"), 7.5)
    assert {message for message, _ in received[1:]} == {Validate("ws", f"b_{at}") for at in range(100)}


async def test_messages_that_nobody_reads_are_refused_after_a_while(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_pipe, "SEND_SECONDS", 0.1)
    queue = PipedBatchQueue(pipe[1])
    with pytest.raises(StoreUnavailable):
        for at in range(10_000):
            await queue.send(Validate("ws", f"b_{at}"))
    later = MemoryBatchQueue()
    async with receive_piped(pipe[0], later):  # whoever reads next gets whole messages
        await queue.send(Compose("ws", "last"))
        async with asyncio.timeout(10):
            while (message := await later.receive()) != Compose("ws", "last"):
                assert isinstance(message, Validate)


@on_linux
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_each_process_has_a_socket_at_the_same_address(host: str) -> None:
    listeners = listen_for_each(host, 0, 3)
    port = listeners[0].getsockname()[1]
    assert [each.getsockname()[:2] for each in listeners] == [(host, port)] * 3
    with pytest.raises(ConfigurationError):
        listen_for_each(host, port, 2)
    for each in listeners:
        each.setblocking(False)
    clients = [socket.create_connection((host, port)) for _ in range(60)]
    accepted: list[int] = [accept_all(each) for each in listeners]
    assert sum(accepted) == 60 and min(accepted) > 0
    for each in [*clients, *listeners]:
        each.close()


def accept_all(listener: socket.socket) -> int:
    count = 0
    try:
        while True:
            listener.accept()[0].close()
            count += 1
    except BlockingIOError:
        return count


def test_one_process_has_the_port_for_itself() -> None:
    (listener,) = listen_for_each("127.0.0.1", 0, 1)
    port = listener.getsockname()[1]
    for again in (lambda: listen("127.0.0.1", port), lambda: listen_for_each("127.0.0.1", port, 2)):
        failing: Any = again
        with pytest.raises(ConfigurationError):
            failing()
    listener.close()
