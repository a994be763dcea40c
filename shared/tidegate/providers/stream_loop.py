"""A provider's stream, batch by batch: the loop that is the same for every dialect, and usage that is told early."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from tidegate.chat.completion import Chunk, Usage
from tidegate.errors import UpstreamError
from tidegate.providers.base import StreamEvent


class StreamTranslator(Protocol):
    """One stream of one dialect. `done`: the reply is whole, whatever else may come."""

    done: bool

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunks that the event makes. Raises `UpstreamError`."""
        ...

    def end(self) -> list[Chunk]:
        """What is due at the end. Raises `StreamCut` where the reply is not whole."""
        ...


async def translate_stream(
    stream: StreamTranslator, events: AsyncIterator[Sequence[StreamEvent]]
) -> AsyncGenerator[list[Chunk]]:
    """The chunks of each batch of events, and what is due at the end. Raises `UpstreamError`.

    What came in the same read as a failure comes before it; a role alone does not, for then nothing has begun.
    """
    async for batch in events:
        chunks: list[Chunk] = []
        try:
            for event in batch:
                stream.feed(event, chunks)
                if stream.done:
                    break
            if stream.done:
                chunks += stream.end()
        except UpstreamError:
            if any(map(_says_more_than_a_role, chunks)):
                yield chunks
            raise
        if chunks:
            yield chunks
        if stream.done:
            return
    yield stream.end()


def _says_more_than_a_role(chunk: Chunk) -> bool:
    return any(said for choice in chunk["choices"] for name, said in choice["delta"].items() if name != "role")


def usage_chunk(counted: Usage) -> Chunk:
    """The chunk of usage that ends a stream."""
    return {"object": "chat.completion.chunk", "choices": [], "usage": counted, "system_fingerprint": None}


def early_usage_chunk(counted: Usage) -> Chunk:
    """What a stream's beginning tells: the input, and nothing of an output that is still to come."""
    prompt = counted["prompt_tokens"]
    told: Usage = {**counted, "completion_tokens": 0, "total_tokens": prompt}
    told.pop("completion_tokens_details", None)
    return usage_chunk(told)
