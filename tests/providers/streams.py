"""Streams without I/O: what a parser, or a provider's translator, makes of batches of events."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tidegate.providers.base import StreamEvent, StreamParser, StreamTranslator
from tidegate.providers.stream_loop import StreamLoop


def parsed(parser: StreamParser, batches: Iterable[Sequence[StreamEvent]]) -> Iterator[list[Any]]:
    """Yield the chunks of each batch, then the last ones, as `upstream.reply_stream` does. Raises `UpstreamError`."""
    for batch in batches:
        chunks = parser.feed(batch)
        if chunks:
            yield list(chunks)
        if parser.failure is not None:
            raise parser.failure
        if parser.done:
            return
    yield list(parser.end())


def translated(stream: StreamTranslator, batches: Iterable[Sequence[StreamEvent]]) -> Iterator[list[Any]]:
    """Yield the chunks that a provider's stream translator makes of each batch of events, and of the end."""
    return parsed(StreamLoop(stream), batches)
