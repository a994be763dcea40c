"""Clients that go: `scope["extensions"]["tidegate.client"]` calls back, once and at once."""

import asyncio
from typing import Any

import pytest

from tests.server.serving import GET, QUICK, answer, read_body, running, turns
from tidegate.server.limits import ConnectionLimits

START = {"type": "http.response.start", "status": 200, "headers": []}


class Watched:
    """An application that watches its client and waits."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.watches, self.go = asyncio.Event(), asyncio.Event()
        self.client: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.client = scope["extensions"]["tidegate.client"]
        await read_body(receive)
        self.client.watch(lambda: self.calls.append("gone"))
        self.watches.set()
        await self.go.wait()
        await answer(send)
        self.calls.append("answered")


async def gone(server: Any) -> None:
    async with asyncio.timeout(2):
        while server.connections:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_client_that_goes_is_told_once() -> None:
    app = Watched()
    async with running(app) as server:
        _, writer = await server.open(GET)
        await app.watches.wait()
        assert app.calls == []
        writer.close()
        await gone(server)
        assert app.calls == ["gone"]
        app.client.watch(lambda: app.calls.append("at once"))
        assert app.calls == ["gone", "at once"]
        app.go.set()
        await turns()
        assert app.calls == ["gone", "at once", "answered"]


async def test_a_client_that_stays_is_never_told() -> None:
    app = Watched()
    app.go.set()
    async with running(app) as server:
        await server.replies(GET, b"GET")
        await gone(server)
        app.client.watch(lambda: app.calls.append("too late"))
        assert app.calls == ["answered"]


async def test_nobody_is_told_after_unwatch() -> None:
    app = Watched()
    async with running(app) as server:
        _, writer = await server.open(GET)
        await app.watches.wait()
        app.client.unwatch()
        writer.close()
        await gone(server)
        assert app.calls == []
        app.go.set()


async def test_a_client_that_resets_its_connection_is_told() -> None:
    app = Watched()
    async with running(app) as server:
        _, writer = await server.open(GET)
        await app.watches.wait()
        writer.transport.abort()
        await gone(server)
        assert app.calls == ["gone"]
        app.go.set()


async def test_a_client_that_is_cut_off_for_its_body_is_told() -> None:
    calls: list[str] = []
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"]["tidegate.client"].watch(lambda: calls.append("gone"))
        while (await receive())["type"] == "http.request":
            pass
        ended.set()

    async with running(app, QUICK) as server:
        await server.all_of(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx")
        await ended.wait()
    assert calls == ["gone"]


async def test_the_client_of_a_request_that_waits_is_told_of_the_running_one_alone() -> None:
    app = Watched()
    async with running(app) as server:
        _, writer = await server.open(GET * 3)
        await app.watches.wait()
        writer.close()
        await gone(server)
        app.go.set()
        await turns()
        assert app.calls == ["gone", "answered"]
        assert server.server.state.exchanges == set()


async def test_a_stream_to_a_client_that_has_gone_is_dropped_and_its_application_goes_on() -> None:
    done = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})
        done.set()

    async with running(app) as server:
        reader, writer = await server.open(GET)
        await reader.read(1000)
        writer.transport.abort()
        await done.wait()
        await turns()
        assert server.server.state.exchanges == set()


@pytest.mark.parametrize("reads", [True, False])
async def test_a_task_that_waits_for_a_slow_client_ends_when_it_goes(reads: bool) -> None:
    done = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if reads:
            await read_body(receive)
        await send(START)
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        done.set()

    async with running(app, ConnectionLimits()) as server:
        _, writer = await server.open(GET, limit=1024)
        await asyncio.sleep(0.2)
        assert not done.is_set()
        writer.transport.abort()
        await done.wait()
