"""A provider's streamed reply: its bytes, cut anywhere, become batches of chunks."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from tidegate.domain.operation import ReplyChunk
from tidegate.errors import ProviderMalformed, ProviderUnreachable, StreamCut
from tidegate.json import Json, decode_reply, encode
from tidegate.lazy import load
from tidegate.providers.base import Framing, StreamEvent, Translator, UpstreamRequest
from tidegate.transport.base import take_notes

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_STREAM_BYTES = 256 * 1024 * 1024
"""Enough for a million tokens with one event each: a longer stream would never end."""


_DECODERS: dict[Framing, tuple[str, str]] = {
    "sse": ("tidegate.upstream.sse", "SseDecoder"),
    "eventstream": ("tidegate.upstream.eventstream", "EventStreamDecoder"),
}


class StreamDecoder(Protocol):
    """Decodes a stream's bytes into events. `SseDecoder` and `EventStreamDecoder` implement it."""

    @property
    def broken(self) -> ProviderMalformed | None: ...

    def feed(self, data: bytes) -> list[StreamEvent]: ...

    def end(self) -> list[StreamEvent]: ...


@contextmanager
def _cut_if_unreachable(translator: Translator) -> Generator[None]:
    """Turn a connection that breaks off within the body into `StreamCut`."""
    try:
        yield
    except ProviderUnreachable as error:
        cut = StreamCut(f"{translator.name}'s stream broke off.")
        cut.add_note(take_notes(error) or error.message)
        raise cut from None


async def first_piece(translator: Translator, pieces: AsyncIterator[bytes]) -> bytes:
    """Return the start of the body, which tells JSON from events: content types are not reliable."""
    start = b""
    with _cut_if_unreachable(translator):
        while not start.strip():
            piece = await anext(pieces, None)
            if piece is None:
                break
            start += piece
    return start


async def read_json(
    translator: Translator, request: UpstreamRequest, start: bytes, pieces: AsyncIterator[bytes]
) -> tuple[AsyncGenerator[Sequence[StreamEvent]], Sequence[ReplyChunk] | None]:
    """Read a JSON body in place of a stream: the chunks of a whole reply, or the events in a list.

    Raises the reply's `UpstreamError` if it is an error.
    """
    collected, size = [start], len(start)
    with _cut_if_unreachable(translator):
        async for piece in pieces:
            collected.append(piece)
            size += len(piece)
            if size > MAX_REPLY_BYTES:
                raise ProviderMalformed(f"The response of {translator.name} is larger than {MAX_REPLY_BYTES} bytes.")
    body = decode_body(b"".join(collected))
    if isinstance(body, str):
        raise ProviderMalformed(f"{translator.name} answered with something that is not JSON.")
    if isinstance(body, list):
        return _events_of(body), None
    return _events_of([]), translator.reply_chunks(translator.parse_reply(request, body))


async def _events_of(items: list[Json]) -> AsyncGenerator[Sequence[StreamEvent]]:
    yield [StreamEvent("message", encode(item).decode()) for item in items]


async def batches_of(chunks: Sequence[ReplyChunk]) -> AsyncIterator[Sequence[ReplyChunk]]:
    """Yield all chunks of a reply at once."""
    yield chunks


def _create_decoder(translator: Translator) -> StreamDecoder:
    module, name = _DECODERS[translator.framing]
    return load(module, name)()


async def decode_events(
    translator: Translator, start: bytes, pieces: AsyncIterator[bytes]
) -> AsyncGenerator[Sequence[StreamEvent]]:
    decoder = _create_decoder(translator)
    size, piece = 0, start
    with _cut_if_unreachable(translator):
        while piece is not None:
            size += len(piece)
            if size > MAX_STREAM_BYTES:
                raise ProviderMalformed(f"The provider's stream is larger than {MAX_STREAM_BYTES} bytes.")
            events = decoder.feed(piece)
            if events:
                yield events
            if decoder.broken is not None:
                raise decoder.broken
            piece = await anext(pieces, None)
    events = decoder.end()
    if events:
        yield events


async def first_content_batch(translator: Translator, batches: AsyncIterator[Sequence[ReplyChunk]]) -> list[ReplyChunk]:
    """Read chunks until one has content; some providers send the usage before it."""
    first: list[ReplyChunk] = []
    async for batch in batches:
        first += batch
        if any(map(translator.has_content, batch)):
            return first
    raise StreamCut("The provider's stream ended before its first content.")


def decode_body(body: bytes) -> Json | str:
    """Return the JSON of a body, or its text if it is not JSON."""
    try:
        return decode_reply(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace")
