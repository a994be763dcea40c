"""The loop over a provider's stream, batch by batch, that every dialect shares; and the chunks of usage."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Any, Protocol

from tidegate.chat.completion import Chunk, Usage
from tidegate.errors import UpstreamError
from tidegate.lazy import load
from tidegate.providers.base import StreamEvent, StreamParser, StreamTranslator


class _Pairs(Protocol):
    """See `surrogate_pairs.SurrogatePairs`."""

    def join(self, events: Iterable[StreamEvent]) -> list[StreamEvent]: ...

    def end(self) -> list[StreamEvent]: ...


class StreamLoop:
    """Translates one stream, batch by batch. See `StreamParser`."""

    def __init__(self, stream: StreamTranslator) -> None:
        self.done = False
        self.failure: UpstreamError | None = None
        self._stream = stream
        self._pairs: _Pairs | None = None

    def feed(self, batch: Sequence[StreamEvent]) -> list[Chunk]:
        """Return the chunks of a batch of events. Raises `UpstreamError`.

        If a batch fails midway, returns its chunks so far, and `failure` is the error; but not for mere roles, so that
        the call can be retried.
        """
        stream = self._stream
        if self._pairs is None and _may_have_half_pair(batch):
            self._pairs = _create_pairs()
        if self._pairs is not None:
            batch = self._pairs.join(batch)
        chunks: list[Chunk] = []
        try:
            for event in batch:
                stream.feed(event, chunks)
                if stream.done:
                    self.done = True
                    return chunks + stream.end()
        except UpstreamError as error:
            if not any(map(_has_more_than_role, chunks)):
                raise
            self.failure = error
        return chunks

    def end(self) -> list[Chunk]:
        """Return the last chunks of a stream whose events have ended. Raises `UpstreamError`."""
        chunks: list[Chunk] = []
        for event in self._pairs.end() if self._pairs is not None else ():
            self._stream.feed(event, chunks)
        return chunks + self._stream.end()


def translate_stream(
    stream: StreamTranslator, events: AsyncIterator[Sequence[StreamEvent]]
) -> AsyncGenerator[list[Chunk]]:
    """Yield the chunks of each batch of events, then the last chunks. Raises `UpstreamError`."""
    return parse_events(StreamLoop(stream), events)


async def parse_events(
    parser: StreamParser, events: AsyncIterator[Sequence[StreamEvent]]
) -> AsyncGenerator[Any]:  # the chunks that the parser makes: of a type of its own
    """Yield the chunks of each batch of events, then the last chunks. Raises `UpstreamError`."""
    async for batch in events:
        chunks = parser.feed(batch)
        if chunks:
            yield chunks
        if parser.failure is not None:
            raise parser.failure
        if parser.done:
            return
    yield parser.end()


def _create_pairs() -> _Pairs:
    return load("tidegate.providers.surrogate_pairs", "SurrogatePairs")()


def _may_have_half_pair(events: Iterable[StreamEvent]) -> bool:
    """True if one of the events may have an escaped surrogate: `\\ud83d`."""
    for event in events:
        data = event.data
        if isinstance(data, str):
            if "\\u" in data and ("\\ud" in data or "\\uD" in data):
                return True
        elif b"\\ud" in data or b"\\uD" in data:
            return True
    return False


def _has_more_than_role(chunk: Chunk) -> bool:
    return any(value for choice in chunk["choices"] for name, value in choice["delta"].items() if name != "role")


def usage_chunk(usage: Usage) -> Chunk:
    """Return the chunk of usage that ends a stream."""
    return {"object": "chat.completion.chunk", "choices": [], "usage": usage, "system_fingerprint": None}


def early_usage_chunk(usage: Usage) -> Chunk:
    """Return the chunk of usage for the start of a stream: the input tokens, and 0 output tokens."""
    prompt = usage["prompt_tokens"]
    early: Usage = {**usage, "completion_tokens": 0, "total_tokens": prompt}
    early.pop("completion_tokens_details", None)
    return usage_chunk(early)
