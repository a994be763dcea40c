"""The loop over a provider's stream, batch by batch, that every dialect shares; and the chunks of usage."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Protocol

from tidegate.chat.completion import Chunk, Usage
from tidegate.errors import UpstreamError
from tidegate.lazy import load
from tidegate.providers.base import StreamEvent


class _Pairs(Protocol):
    """See `surrogate_pairs.SurrogatePairs`."""

    def join(self, events: Iterable[StreamEvent]) -> list[StreamEvent]: ...

    def end(self) -> list[StreamEvent]: ...


class StreamTranslator(Protocol):
    """Translates one stream for `translate_stream`. `done`: the reply is complete, even if more events follow."""

    done: bool

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunks of this event to `out`. Raises `UpstreamError`."""
        ...

    def end(self) -> list[Chunk]:
        """Return the last chunks. Raises `StreamCut` if the reply is incomplete."""
        ...


async def translate_stream(
    stream: StreamTranslator, events: AsyncIterator[Sequence[StreamEvent]]
) -> AsyncGenerator[list[Chunk]]:
    """Yield the chunks of each batch of events, then the last chunks. Raises `UpstreamError`.

    If a batch fails midway, first yields its chunks so far; but not mere roles, so that the call can be retried.
    """
    pairs: _Pairs | None = None
    async for batch in events:
        if pairs is None and _may_have_half_pair(batch):
            pairs = _create_pairs()
        if pairs is not None:
            batch = pairs.join(batch)
        chunks: list[Chunk] = []
        try:
            for event in batch:
                stream.feed(event, chunks)
                if stream.done:
                    break
            if stream.done:
                chunks += stream.end()
        except UpstreamError:
            if any(map(_has_more_than_role, chunks)):
                yield chunks
            raise
        if chunks:
            yield chunks
        if stream.done:
            return
    chunks = []
    for event in pairs.end() if pairs is not None else ():
        stream.feed(event, chunks)
    yield chunks + stream.end()


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
