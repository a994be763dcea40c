"""Exchanges on kept connections: read, pushed, given up, and what becomes of their connections."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvloop

from tests.transport.server import OK, always_ok, server
from tidegate.errors import ProviderMalformed
from tidegate.transport.base import HttpRequest, RememberedHead, Timeouts
from tidegate.transport.connection_pool import KEEPALIVE_SECONDS, MAX_IDLE, ConnectionPool, LoopPools
from tidegate.transport.dialer import Dialer, DialLimits
from tidegate.transport.exchange import MAX_BUFFERED_BYTES, Exchange, ExchangeError
from tidegate.transport.httptools import HttptoolsTransport
from tidegate.transport.origin import parse_origin

LIMITS = DialLimits(5.0)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
Run = Callable[[Coroutine[Any, Any, None]], None]
on_both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def pooled(
    answer: Callable[[int, int, asyncio.StreamWriter], Awaitable[None]], clock: Clock | None = None
) -> AsyncIterator[tuple[ConnectionPool, LoopPools]]:
    """The pool of a server that answers so."""
    async with server(answer) as url:
        pools = LoopPools(asyncio.get_running_loop(), Dialer(), clock or Clock())
        try:
            yield pools.find(url.removesuffix("/v1/x"), parse_origin), pools
        finally:
            await pools.close()


def exchange_of(pool: ConnectionPool, body: bytes = b"{}", max_bytes: int | None = None) -> Exchange:
    return Exchange(pool.encode_head("POST", "/v1/x", {}), body, max_bytes)


async def ask(pool: ConnectionPool) -> bytes:
    exchange = exchange_of(pool, max_bytes=1000)
    try:
        await pool.send(exchange, LIMITS)
        return exchange.take()
    finally:
        exchange.close()


async def push(exchange: Exchange, receive: Callable[[bytes], bool]) -> bool:
    """True if the receiver wants no more, False at the end of the content."""
    try:
        await exchange.start_pushing(receive)
    finally:
        wants_no_more = exchange.stop_pushing()
    if exchange.failure is not None and not wants_no_more:
        raise exchange.failure
    return wants_no_more


async def until(is_so: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    while not is_so():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)


class Counted:
    """Answers "ok", and keeps the number of the connection of each request."""

    def __init__(self) -> None:
        self.connections: list[int] = []

    async def __call__(self, connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        self.connections.append(connection)
        writer.write(OK)


@on_both_loops
def test_a_whole_reply_comes_over_a_kept_connection_without_tasks_and_timers(run: Run) -> None:
    async def main() -> None:
        counted = Counted()
        async with pooled(counted) as (pool, _):
            assert await ask(pool) == b"ok"
            tasks = asyncio.all_tasks()
            exchange = exchange_of(pool, max_bytes=1000)
            sending = asyncio.ensure_future(pool.send(exchange, LIMITS))
            await asyncio.sleep(0)
            assert asyncio.all_tasks() - tasks == {sending}
            await sending
            assert (exchange.status, exchange.take(), counted.connections) == (200, b"ok", [0, 0])

    run(main())


@on_both_loops
def test_a_stream_is_pushed_as_it_arrives(run: Run) -> None:
    async def main() -> None:
        first = asyncio.Event()

        async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
            writer.write(CHUNKED + b"3\r\none\r\n")
            await writer.drain()
            await first.wait()
            writer.write(b"3\r\ntwo\r\n2\r\nme\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(b"0\r\n\r\n")

        chunks: list[bytes] = []

        def take(chunk: bytes) -> bool:
            chunks.append(chunk)
            first.set()
            return True

        async with pooled(answer) as (pool, _):
            exchange = exchange_of(pool)
            await pool.send(exchange, LIMITS)
            assert (await push(exchange, take), chunks) == (False, [b"one", b"twome"])
            exchange.close()

    run(main())


@pytest.mark.parametrize(("ending", "said"), [(b"tide\r\n", "not valid HTTP"), (b"", "the server closed")])
async def test_an_error_is_pushed_after_all_that_came_before_it(ending: bytes, said: str) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"3\r\none\r\n" + ending)
        await writer.drain()
        writer.close()

    chunks: list[bytes] = []

    def take(chunk: bytes) -> bool:
        chunks.append(chunk)
        return True

    async with pooled(answer) as (pool, _):
        exchange = exchange_of(pool)
        await pool.send(exchange, LIMITS)
        with pytest.raises(ExchangeError, match=said):
            await push(exchange, take)
        assert chunks == [b"one"]


async def test_what_was_not_wanted_is_pushed_or_read_later() -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        for text in (CHUNKED + b"3\r\none\r\n", b"3\r\ntwo\r\n", b"4\r\nfour\r\n0\r\n\r\n"):
            writer.write(text)
            await writer.drain()
            await asyncio.sleep(0.02)

    chunks: list[bytes] = []

    def take_one(chunk: bytes) -> bool:
        chunks.append(chunk)
        return False

    async with pooled(answer) as (pool, _):
        exchange = exchange_of(pool)
        await pool.send(exchange, LIMITS)
        assert (await push(exchange, take_one), await push(exchange, take_one)) == (True, True)
        assert chunks == [b"one", b"two"]
        assert (await exchange.read_chunk(), await push(exchange, take_one)) == (b"four", False)
        assert chunks == [b"one", b"two"]


class Endless:
    """Writes content for as long as it is taken. `written` are its bytes so far."""

    written = 0
    was_left = False

    async def __call__(self, connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        try:
            while True:
                writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                await writer.drain()
                self.written += 0x10000
        finally:
            self.was_left = True

    async def stands_still(self) -> int:
        """Return the bytes once none were taken for a moment."""
        async with asyncio.timeout(20):
            while True:
                before = self.written
                await asyncio.sleep(0.2)
                if self.written == before > 0:
                    return before


@on_both_loops
@pytest.mark.parametrize("is_pushed", [False, True])
def test_a_slow_reader_lets_the_server_wait(run: Run, is_pushed: bool) -> None:
    async def main() -> None:
        endless = Endless()
        async with pooled(endless) as (pool, _):
            exchange, pushed = exchange_of(pool), 0

            def take(chunk: bytes) -> bool:
                nonlocal pushed
                pushed += len(chunk)
                return pushed < held

            await pool.send(exchange, LIMITS)
            held = 0
            if is_pushed:
                assert await push(exchange, take)
            held = await endless.stands_still()
            assert exchange.size <= 3 * MAX_BUFFERED_BYTES
            assert held < 32 * 1024 * 1024
            if is_pushed:
                kept = exchange.size + pushed
                assert await push(exchange, take)
                assert pushed >= kept
            else:
                kept = exchange.size
                assert len(await exchange.read_chunk()) == kept
                while endless.written == held:
                    await exchange.read_chunk()
            await until(lambda: endless.written > held)
            exchange.close()
            await until(lambda: endless.was_left)

    run(main())


async def test_more_than_the_limit_is_refused_and_the_connection_left() -> None:
    endless = Endless()
    async with pooled(endless) as (pool, _):
        exchange = exchange_of(pool, max_bytes=100_000)
        with pytest.raises(ProviderMalformed, match="larger than 100000 bytes"):
            await pool.send(exchange, LIMITS)
        await until(lambda: endless.was_left)


@on_both_loops
def test_a_large_request_is_sent_as_the_server_takes_it(run: Run) -> None:
    async def main() -> None:
        body = os.urandom(1 << 20) * 16
        may_read = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await may_read.wait()
            is_equal = await reader.readexactly(len(body)) == body
            writer.write(OK if is_equal else b"HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        pools = LoopPools(asyncio.get_running_loop(), Dialer())
        pool = pools.find(f"http://127.0.0.1:{port}", parse_origin)
        exchange = exchange_of(pool, body, 1000)
        sending = asyncio.ensure_future(pool.send(exchange, LIMITS))
        await asyncio.sleep(0.1)
        assert not sending.done()
        may_read.set()
        await sending
        assert (exchange.status, exchange.take()) == (200, b"ok")
        await pools.close()
        listening.close()

    run(main())


async def test_a_response_to_half_a_request_is_read_and_ends_its_connection() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        try:
            await writer.drain()
            await asyncio.sleep(0.2)
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    pools = LoopPools(asyncio.get_running_loop(), Dialer())
    pool = pools.find(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", parse_origin)
    for _ in range(2):
        exchange = exchange_of(pool, bytes(32 << 20), 1000)
        await pool.send(exchange, LIMITS)
        assert (exchange.status, exchange.take()) == (413, b"no")
        exchange.close()
    assert connections == 2
    await pools.close()
    listening.close()


@pytest.mark.parametrize(
    "surplus",
    [b"x", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"],
)
@pytest.mark.parametrize("is_late", [False, True])
async def test_what_nobody_asked_for_is_not_the_answer_to_the_next_request(surplus: bytes, is_late: bool) -> None:
    connections: list[int] = []

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        connections.append(connection)
        writer.write(OK)
        if is_late:
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.write(surplus)

    async with pooled(answer) as (pool, _):
        for _ in range(3):
            assert await ask(pool) == b"ok"
            await until(lambda: pool.is_empty)
    assert connections == [0, 1, 2]


@on_both_loops
@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
def test_a_cancelled_exchange_closes_its_connection(run: Run, head: bytes) -> None:
    async def main() -> None:
        closed = asyncio.Event()
        connections: list[int] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(1)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            try:
                with suppress(ConnectionError):
                    await reader.read()
                closed.set()
            finally:
                writer.close()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        pools = LoopPools(asyncio.get_running_loop(), Dialer())
        pool = pools.find(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", parse_origin)
        sending = asyncio.ensure_future(pool.send(exchange_of(pool, max_bytes=100), LIMITS))
        await until(lambda: len(connections) == 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        async with asyncio.timeout(5):
            await closed.wait()
        assert pool.is_empty or await _becomes_empty(pool)
        await pools.close()
        listening.close()

    run(main())


async def _becomes_empty(pool: ConnectionPool) -> bool:
    await until(lambda: pool.is_empty)
    return True


async def test_unused_connections_are_closed_in_time_and_no_more_than_some_are_kept() -> None:
    clock = Clock()
    counted = Counted()
    async with pooled(counted, clock) as (pool, _):
        await asyncio.gather(*(ask(pool) for _ in range(MAX_IDLE + 5)))
        assert len(set(counted.connections)) == MAX_IDLE + 5
        await asyncio.gather(*(ask(pool) for _ in range(MAX_IDLE + 5)))
        assert len(set(counted.connections)) == MAX_IDLE + 10
        clock.now += KEEPALIVE_SECONDS
        assert pool.close_expired()
        assert await ask(pool) == b"ok"
        assert len(set(counted.connections)) == MAX_IDLE + 10
        clock.now += 0.1
        assert pool.close_expired()  # the one that has just been used
        clock.now += KEEPALIVE_SECONDS
        assert await ask(pool) == b"ok"
        assert len(set(counted.connections)) == MAX_IDLE + 11
        clock.now += KEEPALIVE_SECONDS + 1
        assert not pool.close_expired()
        assert await _becomes_empty(pool)


@pytest.mark.jumping_clock
async def test_a_timer_closes_unused_connections() -> None:
    loop = asyncio.get_running_loop()
    pools = LoopPools(loop, Dialer(), loop.time)
    async with server(always_ok) as url:
        pool = pools.find(url.removesuffix("/v1/x"), parse_origin)
        assert await ask(pool) == b"ok"
        await asyncio.sleep(2 * KEEPALIVE_SECONDS)
        await asyncio.sleep(0)
        assert pool.is_empty
        await pools.close()


async def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    connections: list[int] = []

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        connections.append(connection)
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with pooled(answer) as (pool, _):
        for _ in range(3):
            assert await ask(pool) == b"ok"
            await until(lambda: pool.is_empty)
    assert connections == [0, 1, 2]


async def test_closing_the_pools_ends_exchanges_that_run() -> None:
    async with pooled(Endless()) as (pool, pools):
        exchange = exchange_of(pool)
        await pool.send(exchange, LIMITS)
        await pools.close()
        with pytest.raises(ExchangeError):
            await exchange.read(1 << 30)


def served_in_a_thread() -> tuple[str, list[int], Callable[[], None]]:
    """A server in a thread and loop of its own, its connections, and what ends it."""
    loop, counted = asyncio.new_event_loop(), Counted()
    started, ended = threading.Event(), asyncio.Event()
    urls: list[str] = []

    async def main() -> None:
        async with server(counted) as url:
            urls.append(url)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    started.wait(10)

    def end() -> None:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left) if left else asyncio.sleep(0))
        loop.close()

    return urls[0].removesuffix("/v1/x"), counted.connections, end


def test_each_event_loop_has_connections_of_its_own() -> None:
    url, connections, end = served_in_a_thread()
    transport = HttptoolsTransport()
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def ask_twice() -> None:
        for _ in range(2):
            assert await ask(transport.pool_of(url)) == b"ok"

    for loop in (first, second, first):
        loop.run_until_complete(ask_twice())
    assert connections == [0, 0, 1, 1, 0, 0]
    for loop in (first, second):
        loop.run_until_complete(transport.close())
        loop.close()
    end()


def test_a_remembered_head_serves_each_event_loop_and_a_transport_that_was_closed() -> None:
    url, connections, end = served_in_a_thread()
    request = HttpRequest("POST", f"{url}/v1/x", {}, b"{}", remembered_head=RememberedHead())
    transport = HttptoolsTransport()
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()

    async def ask_once() -> None:
        async with transport.open(request, Timeouts(5)) as response:
            assert await response.read(10) == b"ok"

    for loop in (first, first, second, first):
        loop.run_until_complete(ask_once())
    assert connections == [0, 0, 1, 0]
    for loop in (first, second):
        loop.run_until_complete(transport.close())
        loop.run_until_complete(ask_once())
        loop.run_until_complete(transport.close())
        loop.close()
    assert connections == [0, 0, 1, 0, 2, 3]
    end()


def test_a_child_of_a_fork_leaves_its_parents_connections_alone() -> None:
    url, connections, end = served_in_a_thread()
    transport = HttptoolsTransport()
    parent = asyncio.new_event_loop()

    async def ask_once() -> bytes:
        return await ask(transport.pool_of(url))

    assert parent.run_until_complete(ask_once()) == b"ok"
    child = os.fork()
    if child == 0:
        status = 1
        try:

            async def main() -> None:
                assert await ask_once() == b"ok"
                await transport.close()

            asyncio.run(main())
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert parent.run_until_complete(ask_once()) == b"ok"
    assert connections == [0, 1, 0]
    parent.run_until_complete(transport.close())
    parent.close()
    end()
