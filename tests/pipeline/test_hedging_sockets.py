"""Hedging over real connections: nothing of the slower call is left in this process.

httpx closes its connection as well. pyreqwest 0.15.1 does not before the head of the answer has come: it forgets the
request, which its own thread goes on with until the provider answers or the time of the call is over.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.world import KEY, SECRET, STREAM, USER, WORKSPACE, completion, new_call, sse
from tidegate.memory.world import open_memory_gateway
from tidegate.ports import Keys, Tenants
from tidegate.settings import Settings


class Host(asyncio.Protocol):
    """A provider of the smallest kind, for one call. A `silent` one never answers; `left`: its caller has gone."""

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent
        self.left = asyncio.Event()
        self.port = 0
        self._received = b""
        self._connection: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        _, _, body = self._received.partition(b"\r\n\r\n")
        if self.silent or not body.endswith(b"}"):
            return
        streams = json.loads(body).get("stream")
        answer = sse(*STREAM) if streams else json.dumps(completion()).encode()
        kind = b"text/event-stream" if streams else b"application/json"
        self._connection.write(b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: " % kind)
        self._connection.write(b"%d\r\n\r\n%s" % (len(answer), answer))

    def connection_lost(self, exc: Exception | None) -> None:
        self.left.set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Host"]:
        server = await asyncio.get_running_loop().create_server(lambda: self, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
            self._connection.close()
            await self.left.wait()


@asynccontextmanager
async def gateway(*hosts: Host, transport: str) -> AsyncIterator[Any]:
    async def seed(tenants: Tenants, keys: Keys) -> None:
        await tenants.put_workspace(WORKSPACE)
        await keys.put_key(KEY)

    targets = [{"model": "openai/gpt-4.1-mini", "base_url": f"http://127.0.0.1:{host.port}/v1"} for host in hosts]
    routes = json.dumps([{"name": "fast", "targets": targets, "hedge_after_seconds": 0.01}])
    env = {"TIDEGATE_TABLE": "t", "AWS_REGION": "us-east-1", "OPENAI_API_KEY": "provider-secret"}
    settings = Settings.from_env({**env, "TIDEGATE_ROUTES": routes, "TIDEGATE_TRANSPORT": transport})
    async with open_memory_gateway(settings, seed=seed) as made:
        yield made


@pytest.mark.parametrize("transport", ["httptools", "pyreqwest", "aiohttp", "httpx"])
@pytest.mark.parametrize("stream", [False, True])
async def test_nothing_is_left_of_the_slower_call(transport: str, stream: bool) -> None:
    async with Host(silent=True).listening() as slow, Host().listening() as fast:
        async with gateway(slow, fast, transport=transport) as here:
            before = asyncio.all_tasks()
            call = await new_call(here, {"model": "fast", "messages": USER, "stream": stream}, SECRET)
            async with here.answer(call) as answer:
                assert (answer.attempts, answer.deployment.label) == (2, "fast#2")
                if transport != "pyreqwest":
                    await asyncio.wait_for(slow.left.wait(), 30)
                batches = [] if answer.batches is None else [batch async for batch in answer.batches]
                assert bool(batches) is stream
            assert asyncio.all_tasks() == before
