"""A provider's streamed reply: its bytes, cut anywhere, become batches of chunks."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from tidegate.domain.operation import ReplyChunk
from tidegate.errors import ProviderMalformed, ProviderUnreachable, StreamCut
from tidegate.json import Json, decode_reply, encode
from tidegate.lazy import load
from tidegate.providers.base import Framing, StreamEvent, StreamParser, Translator, UpstreamRequest
from tidegate.transport.base import take_notes

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_STREAM_BYTES = 256 * 1024 * 1024
"""Enough for a million tokens with one event each: a longer stream would never end."""


_DECODERS: dict[Framing, tuple[str, str]] = {
    "sse": ("tidegate.upstream.sse", "SseDecoder"),
    "eventstream": ("tidegate.upstream.eventstream", "EventStreamDecoder"),
}


class Pieces(Protocol):
    """The body of a response, as it arrives. `transport.silence.TimedResponse` implements it."""

    async def next_chunk(self) -> bytes | None: ...


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


async def first_piece(translator: Translator, pieces: Pieces) -> bytes:
    """Return the start of the body, which tells JSON from events: content types are not reliable."""
    start = b""
    with _cut_if_unreachable(translator):
        while not start.strip():
            piece = await pieces.next_chunk()
            if piece is None:
                break
            start += piece
    return start


async def read_json(
    translator: Translator, request: UpstreamRequest, start: bytes, pieces: Pieces
) -> AsyncGenerator[Sequence[ReplyChunk]]:
    """Read a JSON body in place of a stream: a whole reply, or the events in a list. Yields its chunks.

    Raises the reply's `UpstreamError` if it is an error.
    """
    collected, size = [start], len(start)
    with _cut_if_unreachable(translator):
        while (piece := await pieces.next_chunk()) is not None:
            collected.append(piece)
            size += len(piece)
            if size > MAX_REPLY_BYTES:
                raise ProviderMalformed(f"The response of {translator.name} is larger than {MAX_REPLY_BYTES} bytes.")
    body = decode_body(b"".join(collected))
    if isinstance(body, str):
        raise ProviderMalformed(f"{translator.name} answered with something that is not JSON.")
    if not isinstance(body, list):
        yield translator.reply_chunks(translator.parse_reply(request, body))
        return
    events = [StreamEvent("message", encode(item).decode()) for item in body]
    async for batch in _last_batches(translator.open_stream(request), events):
        yield batch


def _create_decoder(translator: Translator) -> StreamDecoder:
    module, name = _DECODERS[translator.framing]
    return load(module, name)()


async def parsed_batches(
    translator: Translator, request: UpstreamRequest, start: bytes, pieces: Pieces
) -> AsyncGenerator[Sequence[ReplyChunk]]:
    """Yield the chunks of each piece of the body that completes some. Raises `UpstreamError`."""
    parser, decoder, size, piece = translator.open_stream(request), _create_decoder(translator), 0, start
    with _cut_if_unreachable(translator):
        while piece is not None:
            size += len(piece)
            if size > MAX_STREAM_BYTES:
                raise ProviderMalformed(f"The provider's stream is larger than {MAX_STREAM_BYTES} bytes.")
            events = decoder.feed(piece)
            if events:
                chunks = parser.feed(events)
                if chunks:
                    yield chunks
                if parser.failure is not None:
                    raise parser.failure
                if parser.done:
                    return
            if decoder.broken is not None:
                raise decoder.broken
            piece = await pieces.next_chunk()
    async for batch in _last_batches(parser, decoder.end()):
        yield batch


async def _last_batches(parser: StreamParser, events: Sequence[StreamEvent]) -> AsyncIterator[Sequence[ReplyChunk]]:
    chunks = parser.feed(events)
    if chunks:
        yield chunks
    if parser.failure is not None:
        raise parser.failure
    if not parser.done:
        yield parser.end()


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
