"""How long a provider is waited for: until its first byte, between two of them, and not while the reader is slow."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.transport.server import always_ok, serving, transports
from tidegate.errors import ProviderTimeout
from tidegate.transport.base import HttpRequest, HttpResponse, StreamedResponse, Timeouts, Transport
from tidegate.transport.httptools import HttptoolsTransport
from tidegate.transport.silence import open_with_timeouts

ASKED = HttpRequest("POST", "http://provider.test/v1/x", {}, b"{}")


@dataclass
class Slow(StreamedResponse):
    """A provider that lets `head` seconds pass before its head, and before each piece its own."""

    head: float = 0.0
    pieces: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_left: bool = False

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
        try:
            await asyncio.sleep(self.head)
            yield self
        finally:
            self.is_left = True

    async def chunks(self) -> AsyncGenerator[bytes]:
        for seconds, piece in self.pieces:
            await asyncio.sleep(seconds)
            yield piece

    async def close(self) -> None:
        pass


async def read(provider: Transport, first_byte: float | None, between: float | None) -> tuple[bytes, float]:
    """What came, and when."""
    began = asyncio.get_running_loop().time()
    timeouts = Timeouts(total=10_000, first_byte=first_byte, between=between)
    async with open_with_timeouts(provider, ASKED, timeouts) as response:
        body = await response.read(1000)
    return body, asyncio.get_running_loop().time() - began


@pytest.mark.jumping_clock
@pytest.mark.parametrize(("first_byte", "between"), [(None, None), (9.5, None), (None, 8.0), (9.5, 8.0)])
async def test_what_comes_in_time_comes_whole(first_byte: float | None, between: float | None) -> None:
    provider = Slow(4, [(5, b"a"), (7, b"b"), (7.5, b"c"), (0, b"d")])
    assert await read(provider, first_byte, between) == (b"abcd", 23.5)


@pytest.mark.jumping_clock
@pytest.mark.parametrize(
    ("provider", "ends_at", "message"),
    [
        (Slow(11), 10, "The provider did not start to respond within 10 seconds."),
        (Slow(4, [(7, b"a")]), 10, "The provider did not start to respond within 10 seconds."),
        (Slow(0, [(9, b"a"), (6, b"b")]), 14, "The provider stopped sending for 5 seconds."),
        (Slow(0, [(9, b"a"), (4, b"b"), (6, b"c")]), 18, "The provider stopped sending for 5 seconds."),
    ],
)
async def test_a_silence_is_a_timeout_and_the_connection_is_left(provider: Slow, ends_at: float, message: str) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(ProviderTimeout) as caught:
        await read(provider, 10, 5)
    assert asyncio.get_running_loop().time() - began == ends_at
    assert (caught.value.message, provider.is_left) == (message, True)
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0


@pytest.mark.jumping_clock
async def test_a_slow_reader_is_not_the_providers_silence() -> None:
    provider = Slow(0, [(4, b"a"), (4, b"b"), (4, b"c"), (4, b"d")])
    async with open_with_timeouts(provider, ASKED, Timeouts(total=10_000, first_byte=5, between=5)) as response:
        got: list[bytes] = []
        async for piece in response.chunks():
            got.append(piece)
            await asyncio.sleep(100)
    assert got == [b"a", b"b", b"c", b"d"]


@pytest.mark.jumping_clock
async def test_nobody_waits_for_an_answer_that_has_ended() -> None:
    async with open_with_timeouts(Slow(0, [(4, b"a")]), ASKED, Timeouts(total=10_000, between=5)) as response:
        assert await response.read(10) == b"a"
        await asyncio.sleep(100)


@pytest.mark.jumping_clock
async def test_a_task_may_hand_the_answer_on_to_another() -> None:
    provider = Slow(0, [(0, b"a"), (0, b"b"), (6, b"c")])
    async with open_with_timeouts(provider, ASKED, Timeouts(total=10_000, between=5)) as response:
        pieces = aiter(response.chunks())

        async def two() -> list[bytes]:
            return [await anext(pieces), await anext(pieces)]

        assert await asyncio.create_task(two()) == [b"a", b"b"]
        with pytest.raises(ProviderTimeout):
            await anext(pieces)


@pytest.mark.jumping_clock
async def test_a_reader_that_is_cancelled_meanwhile_stays_cancelled() -> None:
    task = asyncio.create_task(read(Slow(0, [(0, b"a"), (6, b"b")]), None, 5))
    loop = asyncio.get_running_loop()
    loop.call_at(loop.time() + 5, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.jumping_clock
async def test_a_timeout_of_somebody_elses_is_passed_on() -> None:
    class Broken(Slow):
        @asynccontextmanager
        async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
            raise TimeoutError
            yield self

    with pytest.raises(TimeoutError):
        await read(Broken(), 10, None)


@transports
@pytest.mark.parametrize(
    ("written", "timeouts"),
    [
        (b"", Timeouts(total=30, first_byte=0.05)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", Timeouts(total=30, first_byte=0.05)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Timeouts(total=30, first_byte=10, between=0.05)),
    ],
)
async def test_both_transports_let_go_when_a_provider_is_silent(
    make: type[Transport], written: bytes, timeouts: Timeouts
) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(written)
        await writer.drain()
        await asyncio.Event().wait()

    async with serving(make, answer) as (transport, url):
        with pytest.raises(ProviderTimeout, match=r"0\.05 seconds"):
            async with open_with_timeouts(transport, HttpRequest("POST", url, {}, b"{}"), timeouts) as response:
                await response.read(1000)


@transports
async def test_a_body_that_comes_slowly_comes_whole(make: type[Transport]) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for number in range(8):
            writer.write(b"%d" % number)
            await writer.drain()
            await asyncio.sleep(0.1)

    async with serving(make, answer) as (transport, url):
        for first_byte in (None, 0.5):
            timeouts = Timeouts(total=30, first_byte=first_byte, between=0.5)
            async with open_with_timeouts(transport, HttpRequest("POST", url, {}, b"{}"), timeouts) as response:
                assert await response.read(1000) == b"01234567"


@transports
async def test_a_body_that_stops_without_a_limit_for_its_first_byte(make: type[Transport]) -> None:
    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        await asyncio.Event().wait()

    async with serving(make, answer) as (transport, url):
        with pytest.raises(ProviderTimeout, match=r"stopped sending for 0\.05 seconds"):
            async with open_with_timeouts(
                transport, HttpRequest("POST", url, {}, b"{}"), Timeouts(total=30, between=0.05)
            ) as response:
                await response.read(1000)


@contextmanager
def full_door() -> Iterator[str]:
    """Where nobody answers the knock: the kernel drops what it has no place for in the queue of a listening socket."""
    with socket.socket() as door, ExitStack() as stack:
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(door.getsockname())
        yield f"http://127.0.0.1:{door.getsockname()[1]}/v1/x"


@transports
async def test_a_connection_that_is_not_made_in_time_is_a_timeout_of_its_own(make: type[Transport]) -> None:
    transport = make()
    try:
        with full_door() as url:
            for connect in (0.05, 0.1):
                with pytest.raises(ProviderTimeout, match="could not be reached in time"):
                    async with open_with_timeouts(
                        transport, HttpRequest("POST", url, {}, b"{}"), Timeouts(30, connect)
                    ):
                        pass
    finally:
        await transport.close()


def _timers(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times of the timers that are started from now on."""
    times: list[float] = []
    call_at = loop.call_at

    def counted(when: float, *arguments: Any, **options: Any) -> asyncio.TimerHandle:
        times.append(when)
        return call_at(when, *arguments, **options)

    monkeypatch.setattr(loop, "call_at", counted)
    return times


async def test_one_timer_serves_all_responses_of_our_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(HttptoolsTransport, always_ok) as (transport, url):
        request, timeouts = HttpRequest("POST", url, {}, b"{}"), Timeouts(30, first_byte=20, between=10)

        async def ask() -> None:
            async with open_with_timeouts(transport, request, timeouts) as response:
                assert await response.read(10) == b"ok"

        await ask()
        times = _timers(asyncio.get_running_loop(), monkeypatch)
        for _ in range(50):
            await ask()
        assert times == []


async def test_a_shorter_limit_is_kept_beside_longer_ones() -> None:
    async def silent(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with serving(HttptoolsTransport, silent) as (transport, url):
        request, ended = HttpRequest("POST", url, {}, b"{}"), list[str]()

        async def wait(timeouts: Timeouts) -> None:
            with pytest.raises(ProviderTimeout) as caught:
                async with open_with_timeouts(transport, request, timeouts):
                    pass
            ended.append(f"{timeouts.total:g} {caught.value.message}")

        async with asyncio.timeout(8):
            await asyncio.gather(*map(wait, (Timeouts(2), Timeouts(0.1), Timeouts(9, first_byte=0.6), Timeouts(1.2))))
    assert ended == [
        "0.1 The provider did not answer in time.",
        "9 The provider did not start to respond within 0.6 seconds.",
        "1.2 The provider did not answer in time.",
        "2 The provider did not answer in time.",
    ]


async def test_the_first_byte_may_not_come_late_because_a_connection_does() -> None:
    transport = HttptoolsTransport()
    with full_door() as url:
        with pytest.raises(ProviderTimeout, match=r"did not start to respond within 0\.1 seconds"):
            async with open_with_timeouts(
                transport, HttpRequest("POST", url, {}, b"{}"), Timeouts(30, connect=20, first_byte=0.1)
            ):
                pass
    await transport.close()
