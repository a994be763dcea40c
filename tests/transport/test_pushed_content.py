"""Content that is pushed as it arrives: all of it, in order, and no more than is wanted."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.transport.server import recording, serving, transports
from tidegate.errors import ProviderTimeout, ProviderUnreachable
from tidegate.transport.base import HttpRequest, Timeouts, Transport
from tidegate.transport.silence import TimedResponse, open_with_timeouts

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"


@asynccontextmanager
async def opened(
    make: Callable[[], Transport], *pieces: bytes | float | None, between: float | None = None
) -> AsyncGenerator[TimedResponse]:
    """A response of those pieces, with seconds in between; after None, the connection breaks."""

    async def answer(connection: int, request: int, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            if piece is None:
                writer.close()
            elif isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            else:
                await asyncio.sleep(piece)

    async with serving(make, answer) as (transport, url):
        timeouts = Timeouts(total=30, between=between)
        async with open_with_timeouts(transport, HttpRequest("POST", url, {}, b"{}"), timeouts) as response:
            yield response


@transports
async def test_all_of_the_content_is_pushed(make: type[Transport]) -> None:
    pieces: list[bytes] = []

    def take(piece: bytes) -> bool:
        pieces.append(piece)
        return True

    async with opened(make, HEAD + b"ab", b"cd", b"ef", b"gh") as response:
        assert not await response.push_chunks(take)
    assert b"".join(pieces) == b"abcdefgh"


@transports
async def test_the_rest_waits_for_whoever_wants_no_more(make: type[Transport]) -> None:
    taken: list[bytes] = []

    def take_one(piece: bytes) -> bool:
        taken.append(piece)
        return False

    async with opened(make, HEAD + b"ab", b"cd", b"ef", b"gh") as response:
        first = await response.next_chunk()
        calls = 0
        while await response.push_chunks(take_one):
            calls += 1
            assert len(taken) == calls
            await asyncio.sleep(0.02)
    assert (first or b"") + b"".join(taken) == b"abcdefgh"


@transports
async def test_pushed_content_is_recorded_before_it_is_taken(make: type[Transport]) -> None:
    events: list[tuple[str, bytes]] = []

    def take(piece: bytes) -> bool:
        events.append(("taken", piece))
        return True

    async with opened(make, HEAD + b"ab", b"cd", b"ef", b"gh") as response:
        response.recording = recording(lambda piece: events.append(("recorded", piece)))
        assert not await response.push_chunks(take)
    assert [kind for kind, _ in events] == ["recorded", "taken"] * (len(events) // 2)
    assert b"".join(piece for _, piece in events[::2]) == b"".join(piece for _, piece in events[1::2]) == b"abcdefgh"


@transports
async def test_what_the_taker_raises_is_raised(make: type[Transport]) -> None:
    def take(piece: bytes) -> bool:
        raise ValueError(piece.decode())

    async with opened(make, HEAD + b"ab", 0.1, b"cdefgh") as response:
        with pytest.raises(ValueError, match="ab"):
            await response.push_chunks(take)


@transports
async def test_a_connection_that_breaks_is_an_error_after_what_arrived(make: type[Transport]) -> None:
    pieces: list[bytes] = []
    async with opened(make, HEAD + b"ab", b"cd", 0.05, None) as response:
        with pytest.raises(ProviderUnreachable):
            await response.push_chunks(lambda piece: pieces.append(piece) is None)
    assert b"".join(pieces) == b"abcd"


@transports
async def test_a_provider_that_stops_sending_is_a_timeout(make: type[Transport]) -> None:
    pieces: list[bytes] = []
    async with opened(make, HEAD + b"ab", 0.1, b"cd", 0.1, b"ef", 5.0, between=0.5) as response:
        await response.next_chunk()
        with pytest.raises(ProviderTimeout, match=r"stopped sending for 0\.5 seconds"):
            await response.push_chunks(lambda piece: pieces.append(piece) is None)
    assert b"".join(pieces) == b"cdef"


@transports
async def test_a_reader_that_is_cancelled_gets_no_more(make: type[Transport]) -> None:
    pieces: list[bytes] = []

    async def read(response: TimedResponse) -> None:
        await response.push_chunks(lambda piece: pieces.append(piece) is None)

    async with opened(make, HEAD + b"ab", 0.3, b"cdefgh") as response:
        reading = asyncio.create_task(read(response))
        await asyncio.sleep(0.15)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert reading.cancelled()
        assert pieces == [b"ab"]


@transports
async def test_pushed_pieces_are_recorded(make: type[Transport]) -> None:
    recorded: list[bytes] = []
    async with opened(make, HEAD + b"abcdefgh") as response:
        response.recording = recording(recorded.append)
        assert not await response.push_chunks(lambda _: True)
    assert recorded == [b"abcdefgh"]
