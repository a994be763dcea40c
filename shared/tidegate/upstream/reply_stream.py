"""A provider's streamed reply: its bytes, cut anywhere, become batches of chunks."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from typing import Protocol, Self, TypeAlias

import msgspec

from tidegate.domain.operation import ReplyChunk
from tidegate.errors import ProviderMalformed, ProviderUnreachable, StreamCut, UpstreamError
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

Receive: TypeAlias = Callable[[Sequence[ReplyChunk]], bool]
"""Takes a batch. Returns False if the next one must wait."""


class Pieces(Protocol):
    """The body of a response, as it arrives. `transport.silence.TimedResponse` implements it."""

    async def next_chunk(self) -> bytes | None: ...

    async def push_chunks(self, receive: Callable[[bytes], bool]) -> bool: ...


class StreamDecoder(Protocol):
    """Decodes a stream's bytes into events. `SseDecoder` and `EventStreamDecoder` implement it."""

    @property
    def broken(self) -> ProviderMalformed | None: ...

    def feed(self, data: bytes) -> list[StreamEvent]: ...

    def end(self) -> list[StreamEvent]: ...


def _stream_cut(translator: Translator, error: ProviderUnreachable) -> StreamCut:
    """Return the error of a connection that broke off within the body."""
    cut = StreamCut(f"{translator.name}'s stream broke off.")
    cut.add_note(take_notes(error) or error.message)
    return cut


async def first_piece(translator: Translator, pieces: Pieces) -> bytes:
    """Return the start of the body, which tells JSON from events: content types are not reliable."""
    start = b""
    try:
        while not start.strip():
            piece = await pieces.next_chunk()
            if piece is None:
                break
            start += piece
    except ProviderUnreachable as error:
        raise _stream_cut(translator, error) from None
    return start


async def read_json(
    translator: Translator, request: UpstreamRequest, start: bytes, pieces: Pieces
) -> AsyncGenerator[Sequence[ReplyChunk]]:
    """Read a JSON body in place of a stream: a whole reply, or the events in a list. Yields its chunks.

    Raises the reply's `UpstreamError` if it is an error.
    """
    collected, size = [start], len(start)
    try:
        while (piece := await pieces.next_chunk()) is not None:
            collected.append(piece)
            size += len(piece)
            if size > MAX_REPLY_BYTES:
                raise ProviderMalformed(f"The response of {translator.name} is larger than {MAX_REPLY_BYTES} bytes.")
    except ProviderUnreachable as error:
        raise _stream_cut(translator, error) from None
    body = decode_body(b"".join(collected))
    if isinstance(body, str):
        raise ProviderMalformed(f"{translator.name} answered with something that is not JSON.")
    if not isinstance(body, list):
        yield translator.reply_chunks(translator.parse_reply(request, body))
        return
    events = [StreamEvent("message", encode(item).decode()) for item in body]
    for batch in _last_batches(translator.open_stream(request), events):
        yield batch


def _create_decoder(translator: Translator) -> StreamDecoder:
    module, name = _DECODERS[translator.framing]
    return load(module, name)()


class ParsedBatches:
    """The chunks of a stream, in batches: all that a piece of the body completes. They are pulled, or pushed.

    Raises `UpstreamError`.
    """

    __slots__ = ("_decoder", "_last_batches", "_parser", "_pieces", "_receive", "_size", "_start", "_translator")
    _receive: Receive
    """Set while the batches are pushed."""

    def __init__(self, translator: Translator, request: UpstreamRequest, start: bytes, pieces: Pieces) -> None:
        self._translator = translator
        self._pieces = pieces
        self._parser = translator.open_stream(request)
        self._decoder = _create_decoder(translator)
        self._size = 0
        self._start: bytes | None = start
        self._last_batches: Iterator[Sequence[ReplyChunk]] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[ReplyChunk]:
        try:
            while self._last_batches is None:
                piece, self._start = self._start, None
                if piece is None:
                    if self._is_over():
                        raise StopAsyncIteration
                    piece = await self._pieces.next_chunk()
                if piece is None:
                    self._last_batches = _last_batches(self._parser, self._decoder.end())
                elif chunks := self._parse(piece):
                    return chunks
        except ProviderUnreachable as error:
            raise _stream_cut(self._translator, error) from None
        batch = next(self._last_batches, None)
        if batch is None:
            raise StopAsyncIteration
        return batch

    async def push(
        self, receive: Receive, first: Sequence[ReplyChunk] | None, mask: Callable[[UpstreamError], None]
    ) -> bool:
        """Call `receive` with the `first` batch, and each further one as it arrives, until it returns False.

        Returns True then, and False at the end of the stream. Other batches that were pulled do not come again. Errors
        are masked.
        """
        self._receive = receive
        try:
            if first is not None and not receive(first):
                return True
            del first  # an open stream keeps nothing that was sent
            if self._last_batches is None:  # else the stream was too short to push any of it
                if self._is_over():
                    return False
                try:
                    if await self._pieces.push_chunks(self._receive_piece):
                        return not self._is_over()
                except ProviderUnreachable as error:
                    raise _stream_cut(self._translator, error) from None
                self._last_batches = _last_batches(self._parser, self._decoder.end())
            for batch in self._last_batches:
                receive(batch)
            return False
        except UpstreamError as error:
            mask(error)
            raise
        finally:
            del self._receive  # it refers to these batches, and the garbage collector runs seldom

    def _receive_piece(self, piece: bytes) -> bool:
        # As `_parse` does.
        self._size += len(piece)
        if self._size > MAX_STREAM_BYTES:
            raise self._too_large()
        events, parser = self._decoder.feed(piece), self._parser
        chunks = parser.feed(events) if events else ()
        wants_more = self._receive(chunks) if chunks else True
        if parser.done or parser.failure is not None or self._decoder.broken is not None:
            return not self._is_over()
        return wants_more

    def _parse(self, piece: bytes) -> Sequence[ReplyChunk]:
        self._size += len(piece)
        if self._size > MAX_STREAM_BYTES:
            raise self._too_large()
        events = self._decoder.feed(piece)
        return self._parser.feed(events) if events else ()

    def _too_large(self) -> ProviderMalformed:
        return ProviderMalformed(f"The provider's stream is larger than {MAX_STREAM_BYTES} bytes.")

    def _is_over(self) -> bool:
        """True if the reply is complete. Raises what has failed in the piece that was parsed last."""
        parser = self._parser
        if parser.failure is not None:
            raise parser.failure
        if parser.done:
            return True
        if self._decoder.broken is not None:
            raise self._decoder.broken
        return False


def _last_batches(parser: StreamParser, events: Sequence[StreamEvent]) -> Iterator[Sequence[ReplyChunk]]:
    """Yield the chunks of the events that came last, and those that complete the reply."""
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
