"""Streams that are pushed to a client: the order of their events, slow clients, and no garbage afterwards."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
from starlette.types import Message, Receive

from tests.bench.inprocess import chat, open_gateway
from tidegate.api.disconnect import ClientReply
from tidegate.api.stream import EventStream
from tidegate.domain.operation import ReplyChunk

Write = Callable[[Sequence[ReplyChunk]], bool]


class SlowClient:
    """The connection of a client, and the reply to it. What is awaited is not taken before the client `reads`."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.taken: list[bytes] = []

    def watch(self, callback: Callable[[], None]) -> None:
        pass

    def unwatch(self) -> None:
        pass

    def begin_reply(self, status: int, lines: bytes) -> bool:
        return False

    def write(self, data: bytes) -> bool:
        self.taken.append(data)
        return self.reads.is_set()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            await self.reads.wait()
            self.taken.append(message["body"])


class Words:
    """A stream of a surface: each chunk is its own event."""

    keep_alive = b": keep-alive\n"

    def events(self, batch: Sequence[Any]) -> bytes:
        return b"".join(batch)

    def end(self) -> bytes:
        return b"[end]"


class Pushed(AsyncGenerator[Sequence[ReplyChunk]]):
    """Batches that only `push` gives: as `script` pushes them."""

    def __init__(self, script: Callable[[Write, Callable[[], Awaitable[None]]], Awaitable[None]]) -> None:
        self.push = script

    def asend(self, value: None) -> Any:
        raise NotImplementedError

    def athrow(self, *error: Any) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


def batch(*words: bytes) -> Sequence[ReplyChunk]:
    return cast("Sequence[ReplyChunk]", words)


async def test_nothing_passes_what_waits_behind_a_comment() -> None:
    client = SlowClient()

    async def script(write: Write, drain: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(0.1)  # until a comment waits for the client
        assert not write(batch(b"last words, "))
        client.reads.set()  # while the end of the stream is recorded
        await asyncio.sleep(0.01)
        write(batch(b"usage, "))

    await run(client, script)
    assert client.taken[0] == Words.keep_alive
    assert b"".join(client.taken).replace(Words.keep_alive, b"") == b"last words, usage, [end]"


async def run(client: SlowClient, script: Callable[[Write, Callable[[], Awaitable[None]]], Awaitable[None]]) -> None:
    reply = ClientReply(cast("Receive", None), client.send, cast("Any", client))
    with EventStream(cast("Any", Words()), reply, b"", 0.05) as stream:
        await stream.run(b"", Pushed(script))


async def test_a_slow_client_is_waited_for() -> None:
    client = SlowClient()
    waits: list[bool] = []

    async def script(write: Write, drain: Callable[[], Awaitable[None]]) -> None:
        assert not write(batch(b"a"))
        asyncio.get_running_loop().call_later(0.02, client.reads.set)
        await drain()
        waits.append(client.reads.is_set())
        assert write(batch(b"b"))

    await run(client, script)
    assert waits == [True]
    assert b"".join(client.taken) == b"ab[end]"


@pytest.mark.parametrize("fields", [{}, {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}])
async def test_no_call_leaves_cyclic_garbage(fields: dict[str, Any]) -> None:
    """The collector runs seldom: what refers to itself would stay, with the whole prompt."""
    async with open_gateway() as gateway:
        call = chat(**fields)
        await gateway.send(call)
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                await gateway.send(call)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            assert [each for each in gc.garbage if type(each).__module__.startswith("tidegate")] == []
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
