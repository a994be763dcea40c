"""Requests that a provider gets in their caller's own dialect, and its replies, which the caller gets as they are.

The reply is translated as well, by the same functions as ever: usage, texts and the end of a call are read from that.
The provider's own reply, or its events, stand beside it under the key `NATIVE`, for the caller's surface.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import TypeAlias

from tidegate.chat.completion import Chunk, Completion
from tidegate.chat.request import ChatCall
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.domain.operation import NATIVE, Reply
from tidegate.json import Json, JsonObject
from tidegate.providers.base import StreamEvent

ParseStream: TypeAlias = Callable[[AsyncIterator[Sequence[StreamEvent]]], AsyncGenerator[list[Chunk]]]

_NOTHING: Chunk = {
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {}, "finish_reason": None}],
    "system_fingerprint": None,
}


def caller_body(call: ChatCall, model: str, limit_name: str) -> JsonObject:
    """Return the body that the caller sent, for `model`. If the answer was shortened, `limit_name` has its limit."""
    request, origin = call.request, call.request.origin
    sent = (origin.body if origin is not None else None) or {}
    body = {name: value for name, value in sent.items() if name not in GATEWAY_FIELDS} | {"model": model}
    limit = request.output_limit
    if limit is not None and sent.get(limit_name) != limit:
        body[limit_name] = limit
    return body


def with_native_reply(completion: Completion, body: Json) -> Reply:
    """Return the translated reply with the provider's own one."""
    return {**completion, NATIVE: body}


async def with_native_events(
    parse: ParseStream, events: AsyncIterator[Sequence[StreamEvent]]
) -> AsyncGenerator[list[Chunk]]:
    """Translate a stream, and add the provider's events to its chunks: those that came since the chunk before.

    The stamper of chat leaves out chunks without choices, so that events always stand in one that has some.
    """
    arrived: list[StreamEvent] = []

    async def recorded() -> AsyncGenerator[Sequence[StreamEvent]]:
        async for batch in events:
            arrived.extend(batch)
            yield batch

    async with aclosing(recorded()) as source, aclosing(parse(source)) as batches:
        async for chunks in batches:
            yield _with_events(chunks, arrived) if arrived else chunks
    if arrived:
        yield _with_events([], arrived)


def _with_events(chunks: list[Chunk], arrived: list[StreamEvent]) -> list[Chunk]:
    index = next((index for index, chunk in enumerate(chunks) if chunk["choices"]), None)
    native = {NATIVE: list(arrived)}
    arrived.clear()
    if index is None:
        return [{**_NOTHING, **native}, *chunks]  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
    return [*chunks[:index], {**chunks[index], **native}, *chunks[index + 1 :]]  # pyright: ignore[reportReturnType]  # as above
