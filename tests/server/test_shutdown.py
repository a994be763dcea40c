"""The end of a server: replies are completed, what is slow is cancelled, and the application is closed last."""

import asyncio
import logging
import socket
import time
from typing import Any

import pytest

from tests.server.serving import GET, QUICK, answer, echo, error_code, read_replies, running, status, until_closed
from tidegate.runtime.lifespan import StartupFailed
from tidegate.server.server import Server, serving


class Slow:
    """An application whose request ends when `go` is set, or `settle_seconds` after it was cancelled."""

    def __init__(self, settle_seconds: float = 0.0) -> None:
        self.began, self.go = asyncio.Event(), asyncio.Event()
        self.events: list[str] = []
        self._settle_seconds = settle_seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.events.append("closed")
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.began.set()
        try:
            await self.go.wait()
            await answer(send, b"tide")
            self.events.append("answered")
        except asyncio.CancelledError:
            await asyncio.sleep(self._settle_seconds)
            self.events.append("settled")
            raise


async def started(app: Any, grace_seconds: float = 3.0) -> tuple[Server, "asyncio.Task[None]", int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server, ready = Server(app, limits=QUICK, grace_seconds=grace_seconds), asyncio.Event()
    port = listener.getsockname()[1]
    task = asyncio.create_task(server.serve([listener], ready.set))
    await ready.wait()
    return server, task, port


async def test_a_running_request_is_answered_and_its_connection_closed() -> None:
    app = Slow()
    server, task, port = await started(app)
    idle_reader, idle = await asyncio.open_connection("127.0.0.1", port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET * 2)
    await app.began.wait()
    server.stop()
    assert await until_closed(idle_reader) == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    app.go.set()
    ((number, headers, body),) = await read_replies(reader, (b"GET",))
    assert (number, headers[b"connection"], body) == (200, b"close", b"tide")
    assert await until_closed(reader) == b""
    await task
    assert app.events == ["answered", "closed"]
    for each in (writer, idle):
        each.close()


async def test_a_slow_request_is_cancelled_and_has_settled_before_the_application_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Slow(settle_seconds=0.1)
    server, task, port = await started(app, grace_seconds=0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    await app.began.wait()
    server.stop()
    received = await until_closed(reader)
    assert (status(received), error_code(received)) == (503, "shutting_down")
    await task
    assert app.events == ["settled", "closed"]
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == ["requests.cancelled"]
    writer.close()


async def test_a_stream_that_is_cut_is_not_complete() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"The", "more_body": True})
        await asyncio.Event().wait()

    async with running(app, QUICK, grace_seconds=0.05) as server:
        reader, writer = await server.open(GET)
        await reader.readuntil(b"The\r\n")
        server.server.stop()
        assert await until_closed(reader) == b""
        writer.close()


async def test_forced_it_waits_for_nothing() -> None:
    app = Slow(settle_seconds=5)
    server, task, port = await started(app)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    await app.began.wait()
    began = time.monotonic()
    server.stop()
    await asyncio.sleep(0.05)
    assert not task.done()
    server.stop(at_once=True)
    await task
    assert time.monotonic() - began < 1
    assert app.events == []
    for exchange in tuple(server.state.exchanges):
        assert exchange.task is not None
        exchange.task.cancel()
    app.go.set()
    writer.close()


async def test_a_start_that_fails_is_told_with_its_cause() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed"})
        raise ValueError("no table")

    with pytest.raises(StartupFailed) as caught:
        async with serving(Server(app), socket.create_server(("127.0.0.1", 0))):
            pass
    assert isinstance(caught.value.__cause__, ValueError)


async def test_each_request_has_a_copy_of_the_state() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["count"] = scope["state"].get("count", 0) + 1
        await answer(send, b"%d" % scope["state"]["count"])

    async with running(app) as server:
        assert [reply[2] for reply in await server.replies(GET * 3, *[b"GET"] * 3)] == [b"1"] * 3


async def test_nothing_is_left_of_closed_connections() -> None:
    async with running(echo) as server:
        for _ in range(20):
            await server.replies(GET, b"GET")
        async with asyncio.timeout(2):
            while server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        state = server.server.state
        assert (state.exchanges, state.waiting) == (set(), {})
