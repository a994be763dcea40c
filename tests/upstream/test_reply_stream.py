"""Streams that are pushed as they are pulled: batch by batch the same chunks, and the same error."""

import random
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from tests.providers.recorded import PROVIDERS, chats, dialect
from tidegate.domain.operation import ReplyChunk
from tidegate.errors import UpstreamError
from tidegate.providers.base import Provider, StreamParser, Translator, UpstreamRequest
from tidegate.providers.stream_loop import StreamLoop
from tidegate.upstream.reply_stream import ParsedBatches, first_content_batch

REQUEST = UpstreamRequest("https://host.invalid/v1", b"{}")


class Dialect:
    """A translator whose chunks nobody changes."""

    framing = "sse"

    def __init__(self, provider: Provider) -> None:
        self.name = provider.name
        self._provider = provider

    def open_stream(self, request: UpstreamRequest) -> StreamParser:
        return StreamLoop(self._provider.new_stream())

    def has_content(self, chunk: Any) -> bool:
        return any(len(choice["delta"]) > 1 for choice in chunk["choices"])


class Pieces:
    """A body in pieces of random sizes, which follow from the `seed`."""

    def __init__(self, body: bytes, seed: str) -> None:
        chance, self._pieces = random.Random(seed), list[bytes]()
        while body:
            size = chance.choice((1, 7, 100, 1500))
            self._pieces.append(body[:size])
            body = body[size:]
        self._pieces.reverse()

    async def next_chunk(self) -> bytes | None:
        return self._pieces.pop() if self._pieces else None

    async def push_chunks(self, receive: Callable[[bytes], bool]) -> bool:
        while self._pieces:
            if not receive(self._pieces.pop()):
                return True
        return False


async def pulled(batches: ParsedBatches, out: list[Any]) -> None:
    async for batch in batches:
        keep(out, batch)


def keep(out: list[Any], batch: Sequence[ReplyChunk]) -> None:
    """Add a batch, unless it is empty: an empty one is not pushed."""
    if batch:
        out.append(batch)


async def pushed(batches: ParsedBatches, out: list[Any], chance: random.Random) -> None:
    """Push all batches, to a receiver that lets some of them wait."""

    def receive(batch: Sequence[ReplyChunk]) -> bool:
        keep(out, batch)
        return chance.random() < 0.8

    def mask(error: UpstreamError) -> None:
        error.message += " (masked)"

    while await batches.push(receive, None, mask):
        pass


async def outcome(provider: Provider, body: bytes, seed: str, *, pushes: bool) -> tuple[list[Any], str]:
    """All batches of a stream, and its error."""
    translator = cast("Translator", Dialect(provider))
    out: list[Any] = []
    batches = ParsedBatches(translator, REQUEST, b"", Pieces(body, seed))
    try:
        out.append(await first_content_batch(translator, batches))
    except UpstreamError as error:
        return out, error.message
    try:
        await (pushed(batches, out, random.Random(seed)) if pushes else pulled(batches, out))
    except UpstreamError as error:
        assert error.message.endswith(" (masked)") == pushes
        return out, error.message.removesuffix(" (masked)")
    return out, ""


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_recorded_stream_is_pushed_as_it_is_pulled(provider: str) -> None:
    longest = 0
    for one in chats(provider, streams=True):
        body = one.body.encode()
        for end in (len(body), len(body) * 2 // 3):
            expected = await outcome(dialect(provider), body[:end], one.id, pushes=False)
            assert await outcome(dialect(provider), body[:end], one.id, pushes=True) == expected, one.id
            longest = max(longest, len(expected[0]))
    assert longest > 1 or not chats(provider, streams=True)
