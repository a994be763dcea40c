"""The parser of a provider's stream, batch by batch, that every dialect shares; and the chunks that many make."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from tidegate.chat.completion import Chunk, Usage
from tidegate.domain.operation import ReplyChunk
from tidegate.errors import UpstreamError
from tidegate.json import JsonObject
from tidegate.lazy import load
from tidegate.providers.base import StreamEvent, StreamParser, StreamTranslator


class _Pairs(Protocol):
    """See `surrogate_pairs.SurrogatePairs`."""

    def join(self, events: Iterable[StreamEvent]) -> list[StreamEvent]: ...

    def end(self) -> list[StreamEvent]: ...


class StreamLoop:
    """Translates one stream, batch by batch. See `StreamParser`."""

    __slots__ = ("_pairs", "_stream", "done", "failure")

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
        stream, pairs = self._stream, self._pairs
        if pairs is None:
            for event in batch:
                data = event.data
                if type(data) is str and "\\u" not in data:
                    continue
                if _may_have_half_pair(data):
                    pairs = self._pairs = _create_pairs()
                    break
        if pairs is not None:
            batch = pairs.join(batch)
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


class ChangedStream:
    """A `StreamParser` that gives the chunks of `parser` as `change` returns them."""

    __slots__ = ("_change", "_parser")

    def __init__(self, parser: StreamParser, change: Callable[[Sequence[ReplyChunk]], Sequence[ReplyChunk]]) -> None:
        self._parser = parser
        self._change = change

    @property
    def done(self) -> bool:
        return self._parser.done

    @property
    def failure(self) -> UpstreamError | None:
        return self._parser.failure

    def feed(self, batch: Sequence[StreamEvent]) -> Sequence[ReplyChunk]:
        """See `StreamParser.feed`."""
        return self._change(self._parser.feed(batch))

    def end(self) -> Sequence[ReplyChunk]:
        """See `StreamParser.end`."""
        return self._change(self._parser.end())


def _create_pairs() -> _Pairs:
    return load("tidegate.providers.surrogate_pairs", "SurrogatePairs")()


def _may_have_half_pair(data: str | bytes) -> bool:
    """True if the data may have an escaped surrogate: `\\ud83d`."""
    if isinstance(data, str):
        return "\\ud" in data or "\\uD" in data
    return data.find(b"\\ud") >= 0 or data.find(b"\\uD") >= 0  # `in` takes 20 times as long


def _has_more_than_role(chunk: Chunk) -> bool:
    return any(value for choice in chunk["choices"] for name, value in choice["delta"].items() if name != "role")


def choice_chunk(choice: JsonObject) -> Chunk:
    """Return the chunk of one choice: its index, delta and finish reason."""
    # A TypedDict is JSON.
    return {"object": "chat.completion.chunk", "choices": [choice], "system_fingerprint": None}  # pyright: ignore[reportReturnType]


def usage_chunk(usage: Usage) -> Chunk:
    """Return the chunk of usage that ends a stream."""
    return {"object": "chat.completion.chunk", "choices": [], "usage": usage, "system_fingerprint": None}


def early_usage_chunk(usage: Usage) -> Chunk:
    """Return the chunk of usage for the start of a stream: the input tokens, and 0 output tokens."""
    prompt = usage["prompt_tokens"]
    early: Usage = {**usage, "completion_tokens": 0, "total_tokens": prompt}
    early.pop("completion_tokens_details", None)
    return usage_chunk(early)
