"""Both transports, against a server whose every byte the test decides."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from tests.transport.server import OK, always_ok, serving, transports
from tidegate.errors import ProviderMalformed, ProviderTimeout, ProviderUnreachable
from tidegate.transport.base import HttpRequest, Timeouts, Transport, take_notes


async def fetch(
    transport: Transport, url: str, seconds: float = 5.0, limit: int = 1000, address: str | None = None
) -> tuple[int, bytes]:
    request = HttpRequest("POST", url, {"content-type": "application/json"}, b"{}", address)
    async with transport.open(request, Timeouts(total=seconds)) as response:
        return response.status, await response.read(limit)


class Dropping:
    """Answers the first request of all, and drops the connections of the others."""

    calls = 0

    async def __call__(self, connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        if self.calls == 1:
            writer.write(OK)
        else:
            writer.transport.abort()


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_request_does_not_print_its_key_and_its_body() -> None:
    request = HttpRequest("POST", "https://user:word@h/", {"authorization": "Bearer x"}, b"a prompt")
    assert repr(request) == "HttpRequest(...)"


@transports
async def test_the_answer_has_its_status_headers_in_lower_case_and_its_body(make: type[Transport]) -> None:
    async with serving(make, always_ok) as (transport, url):
        request = HttpRequest("POST", url, {}, b"{}")
        async with transport.open(request, Timeouts(total=5)) as response:
            body = await response.read(1000)
            assert (response.status, response.headers["x-name"], body) == (200, "Value", b"ok")


@transports
async def test_a_large_body_arrives_whole_and_with_its_length(make: type[Transport]) -> None:
    body = bytes(range(256)) * 40_000
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK if await reader.readexactly(len(body)) == body else b"HTTP/1.1 400 Bad\r\n\r\n")
        writer.close()

    transport, listening = make(), await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    async with transport.open(HttpRequest("PUT", url, {}, body), Timeouts(total=5)) as response:
        assert (response.status, await response.read(10)) == (200, b"ok")
    assert f"content-length: {len(body)}".encode() in heads[0].lower()
    assert b"transfer-encoding" not in heads[0].lower()
    listening.close()
    await transport.close()


@transports
async def test_a_chunk_is_there_before_the_next_one_is_sent(make: type[Transport]) -> None:
    got_first = asyncio.Event()

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await writer.drain()
        await got_first.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with serving(make, answer) as (transport, url):
        async with transport.open(HttpRequest("POST", url, {}, b"{}"), Timeouts(total=5)) as response:
            pieces: list[bytes] = []
            async for piece in response.chunks():
                pieces.append(piece)
                got_first.set()
        assert pieces == [b"one", b"two"]


@transports
async def test_a_connection_that_died_while_nobody_called_costs_the_caller_nothing(make: Any) -> None:
    clock = Clock()

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        if connection == 0 and request == 1:
            writer.transport.abort()
        else:
            writer.write(OK)

    async with serving(lambda: make(clock=clock), answer) as (transport, url):
        assert await fetch(transport, url) == (200, b"ok")
        clock.now += 60
        assert await fetch(transport, url) == (200, b"ok")


@transports
async def test_a_provider_that_drops_a_connection_in_use_is_not_asked_again_unseen(make: Any) -> None:
    answer, clock = Dropping(), Clock()
    async with serving(lambda: make(clock=clock), answer) as (transport, url):
        await fetch(transport, url)
        clock.now += 1
        for _ in range(3):
            with pytest.raises(ProviderUnreachable):
                await fetch(transport, url)
        assert answer.calls == 4


@transports
async def test_the_second_try_has_what_the_first_has_left_of_the_deadline(make: Any) -> None:
    clock = Clock()

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        if connection == 0 and request == 0:
            writer.write(OK)
        elif connection == 0:
            await asyncio.sleep(0.4)
            writer.transport.abort()
        else:
            await asyncio.Event().wait()

    async with serving(lambda: make(clock=clock), answer) as (transport, url):
        await fetch(transport, url)
        clock.now += 60
        began = asyncio.get_running_loop().time()
        with pytest.raises(ProviderTimeout):
            await fetch(transport, url, 0.5)
        assert asyncio.get_running_loop().time() - began < 0.75


@transports
async def test_several_dead_connections_cost_their_callers_nothing_either(make: Any) -> None:
    clock, connected = Clock(), asyncio.Barrier(4)

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        if connection < 4 and request == 0:
            await connected.wait()  # or the second call could take the connection of the first
        if connection < 4 and request == 1:
            writer.transport.abort()
        else:
            writer.write(OK)

    async with serving(lambda: make(clock=clock), answer) as (transport, url):
        await asyncio.gather(*(fetch(transport, url) for _ in range(4)))
        clock.now += 60
        assert await asyncio.gather(*(fetch(transport, url) for _ in range(4))) == [(200, b"ok")] * 4


@transports
async def test_a_reset_on_a_first_connection_is_an_error(make: type[Transport]) -> None:
    calls = 0

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1
        writer.transport.abort()

    async with serving(make, answer) as (transport, url):
        with pytest.raises(ProviderUnreachable):
            await fetch(transport, url)
        assert calls == 1


@transports
async def test_a_server_that_always_resets_is_tried_once_more_only(make: Any) -> None:
    answer, clock = Dropping(), Clock()
    async with serving(lambda: make(clock=clock), answer) as (transport, url):
        await fetch(transport, url)
        clock.now += 60
        for _ in range(2):
            with pytest.raises(ProviderUnreachable):
                await fetch(transport, url)
        assert answer.calls == 4


@transports
@pytest.mark.parametrize("head", [b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"])
async def test_a_body_that_breaks_off_is_an_error(make: type[Transport], head: bytes) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head)
        await writer.drain()
        writer.close()

    async with serving(make, answer) as (transport, url):
        with pytest.raises(ProviderUnreachable):
            await fetch(transport, url)


@transports
async def test_a_body_whose_framing_breaks_is_an_error_long_before_the_deadline(make: type[Transport]) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await writer.drain()
        await came.wait()
        writer.write(b"tide\r\n")

    came = asyncio.Event()
    async with serving(make, answer) as (transport, url):
        async with transport.open(HttpRequest("POST", url, {}, b"{}"), Timeouts(total=600)) as response:
            with pytest.raises(ProviderUnreachable):
                async for _ in response.chunks():
                    came.set()


@transports
@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
async def test_silence_before_or_within_the_body_ends_with_the_deadline(make: type[Transport], head: bytes) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()
        await asyncio.Event().wait()

    async with serving(make, answer) as (transport, url):
        with pytest.raises(ProviderTimeout) as caught:
            await fetch(transport, url, seconds=0.2)
        assert "/v1/x" not in caught.value.message


@transports
async def test_an_answer_over_the_limit_is_refused(make: type[Transport]) -> None:
    async with serving(make, always_ok) as (transport, url):
        with pytest.raises(ProviderMalformed):
            await fetch(transport, url, limit=1)


@transports
@pytest.mark.parametrize("address", [None, "127.0.0.1"])
@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
async def test_a_wait_ends_with_the_scope_that_it_is_in(
    make: type[Transport], head: bytes, address: str | None
) -> None:
    asked = asyncio.Event()

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()
        asked.set()
        await asyncio.Event().wait()

    async with serving(make, answer) as (transport, url):

        async def leave(scope: anyio.CancelScope) -> None:
            await asked.wait()
            scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave, tasks.cancel_scope)
            await fetch(transport, url, 60, address=address)
        current = asyncio.current_task()
        assert current is not None and not current.cancelling()


@transports
async def test_an_answer_over_the_limit_is_left_while_more_of_it_is_awaited(make: type[Transport]) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ntide")
        await writer.drain()
        await asyncio.Event().wait()

    async with serving(make, answer) as (transport, url):
        async with asyncio.timeout(20):
            with pytest.raises(ProviderMalformed):
                await fetch(transport, url, seconds=60, limit=3)


@transports
async def test_a_redirect_is_an_answer_and_not_a_journey(make: type[Transport]) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")

    async with serving(make, answer) as (transport, url):
        assert await fetch(transport, url) == (307, b"")


@transports
@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://nowhere.invalid/x", "nonsense", "ftp://127.0.0.1/x"])
async def test_what_cannot_be_reached_is_an_error(make: type[Transport], url: str) -> None:
    async with serving(make, always_ok) as (transport, _):
        with pytest.raises(ProviderUnreachable) as caught:
            await fetch(transport, url)
    assert caught.value.message in ("The provider could not be reached.", "The provider broke off the connection.")
    note = take_notes(caught.value)
    assert note is not None
    assert note.startswith(url.removesuffix("/x").replace("nonsense", "://"))
    assert take_notes(caught.value) is None


@transports
async def test_an_error_names_the_peer_and_not_its_address(make: type[Transport]) -> None:
    request = HttpRequest("POST", "http://user:word@127.0.0.1:1/account", {}, b"", peer="openai")
    async with serving(make, always_ok) as (transport, _):
        with pytest.raises(ProviderUnreachable) as caught:
            async with transport.open(request, Timeouts(5)):
                pass
    assert caught.value.message == "openai could not be reached."
    note = take_notes(caught.value) or ""
    assert note.startswith("http://127.0.0.1:1: ")
    assert not any(part in note for part in ("user", "word", "account"))


@transports
async def test_a_header_that_cannot_be_sent_is_not_repeated(make: type[Transport]) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)

    async with serving(make, answer) as (transport, url):
        request = HttpRequest("POST", url, {"authorization": "Bearer line\nbreak"}, b"{}")
        with pytest.raises(ProviderUnreachable) as caught:
            async with transport.open(request, Timeouts(5)):
                pass
        assert "line" not in str(caught.value)


@transports
async def test_what_came_before_a_break_is_handed_on_first(make: type[Transport]) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3\r\none\r\n3\r\ntwo\r\n")
        await writer.drain()
        writer.close()

    async with serving(make, answer) as (transport, url):
        async with transport.open(HttpRequest("POST", url, {}, b"{}"), Timeouts(total=5)) as response:
            got = b""
            with pytest.raises(ProviderUnreachable):
                async for piece in response.chunks():
                    got += piece
        assert got == b"onetwo"


@transports
async def test_leaving_early_closes_the_connection(make: type[Transport]) -> None:
    async def read_one(transport: Transport, url: str) -> None:
        async with transport.open(HttpRequest("POST", url, {}, b"{}"), Timeouts(total=5)) as response:
            async for _ in response.chunks():
                break

    await closes(make, read_one)


@transports
async def test_being_cancelled_within_the_body_closes_the_connection(make: type[Transport]) -> None:
    async def read_for_a_while(transport: Transport, url: str) -> None:
        async with transport.open(HttpRequest("POST", url, {}, b"{}"), Timeouts(total=5)) as response:
            async for _ in response.chunks():
                pass

    async def cancelled(transport: Transport, url: str) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read_for_a_while(transport, url), 0.2)

    await closes(make, cancelled)


@transports
async def test_a_cancellation_counts_though_a_piece_comes_in_the_same_moment(make: type[Transport]) -> None:
    async def flood(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(OSError):
            while True:
                writer.write(b"3\r\none\r\n")
                await writer.drain()
                await asyncio.sleep(0)

    async with serving(make, flood) as (transport, url):
        for _ in range(30):
            flowing = asyncio.Event()
            task = asyncio.create_task(_read_all(transport, url, flowing))
            await flowing.wait()
            await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def _read_all(transport: Transport, url: str, flowing: asyncio.Event) -> None:
    async with transport.open(HttpRequest("POST", url, {}, b"{}"), Timeouts(total=1)) as response:
        async for _ in response.chunks():
            flowing.set()


async def closes(make: type[Transport], leave: Callable[[Transport, str], Awaitable[None]]) -> None:
    """The server of an endless body learns that `leave` has left."""
    closed = asyncio.Event()

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await writer.drain()
        try:
            while True:
                await asyncio.sleep(0.01)
                writer.write(b"1\r\nx\r\n")
                await writer.drain()
        finally:
            closed.set()

    async with serving(make, answer) as (transport, url):
        await leave(transport, url)
        await asyncio.wait_for(closed.wait(), 5)
