"""Requests that a provider gets in their caller's own dialect, and its replies, which the caller gets as they are.

The reply is translated as well, by the same functions as ever: usage, texts and the end of a call are read from that.
The provider's own reply, or its events, stand beside it under the key `NATIVE`, for the caller's surface.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from tidegate.chat.completion import Chunk, Completion
from tidegate.chat.request import ChatCall
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.domain.operation import Reply
from tidegate.domain.origin import NATIVE
from tidegate.errors import ProviderAuth, UpstreamError
from tidegate.json import Json, JsonObject, decode_reply_or_none, encode
from tidegate.providers.base import StreamEvent
from tidegate.providers.openai.error_body import scrub_body
from tidegate.providers.stream_loop import StreamLoop

_FAILURES = ("error", "response.failed")
_MAY_FAIL = frozenset({*_FAILURES, "message"})
_UNTYPED_FAILURE = re.compile(r'\s*\{\s*"type"\s*:\s*"(?:error|response\.failed)"')

_NOTHING: Chunk = {
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {}, "finish_reason": None}],
    "system_fingerprint": None,
}


def caller_body(call: ChatCall, model: str, limit_name: str) -> JsonObject:
    """Return the body that the caller sent, for `model`. If the answer was shortened, `limit_name` has its limit.

    A limit of 0, which fills a cache without an answer, stays 0.
    """
    request, origin = call.request, call.request.origin
    sent = (origin.body if origin is not None else None) or {}
    body = {name: value for name, value in sent.items() if name not in GATEWAY_FIELDS} | {"model": model}
    limit = request.output_limit
    if limit is not None and sent.get(limit_name) not in (limit, 0):
        body[limit_name] = limit
    return body


def with_native_reply(completion: Completion, body: Json) -> Reply:
    """Return the translated reply with the provider's own one."""
    return {**completion, NATIVE: body}


def keep_native_body(error: UpstreamError, body: Json | str) -> None:
    """Keep the provider's own error, which its dialect's clients may know by its words, for the caller.

    What looks like a key or an id of the account is masked in it. An error about the gateway's credentials is not the
    caller's: it stays the gateway's.
    """
    match body:
        case {"error": dict()} if not isinstance(error, ProviderAuth):
            with suppress(RecursionError):
                error.native_body = encode(scrub_body(body)).decode()
        case _:
            pass


class NativeStream:
    """A `StreamParser` that adds the provider's events to its chunks: those that came since the chunk before.

    The stamper of chat leaves out chunks without choices, so that events always stand in one that has some. An event
    that reports an error stands in none: the error that is raised keeps it.
    """

    __slots__ = ("_arrived", "_failed", "_parser", "done", "failure")

    def __init__(self, parser: StreamLoop) -> None:
        self.done = False
        self.failure: UpstreamError | None = None
        self._parser = parser
        self._arrived: list[tuple[str, str | bytes]] = []
        self._failed: StreamEvent | None = None

    def feed(self, batch: Sequence[StreamEvent]) -> list[Chunk]:
        """See `StreamParser.feed`."""
        arrived, parser = self._arrived, self._parser
        self._failed = None
        for event in batch:
            if event.type in _MAY_FAIL and _is_failure(event):
                self._failed = event
                break
            arrived.append((event.type, event.data))
        try:
            chunks = parser.feed(batch)
        except UpstreamError as error:
            self._keep_body(error)
            raise
        self.done = parser.done
        if parser.failure is not None:
            self.failure = parser.failure
            self._keep_body(self.failure)
        if chunks and arrived and chunks[0]["choices"]:  # the common case
            # As in `_with_events`.
            chunks[0][NATIVE] = arrived  # pyright: ignore[reportGeneralTypeIssues]
            self._arrived = []
            return chunks
        return self._with_events(chunks) if arrived and (chunks or self.done) else chunks

    def end(self) -> list[Chunk]:
        """See `StreamParser.end`."""
        try:
            chunks = self._parser.end()
        except UpstreamError as error:
            self._keep_body(error)
            raise
        return self._with_events(chunks) if self._arrived else chunks

    def _with_events(self, chunks: list[Chunk]) -> list[Chunk]:
        """Return the chunks, which are new, with the events in the first one that has choices."""
        events, self._arrived = self._arrived, []
        for chunk in chunks:
            if chunk["choices"]:
                # Unknown fields pass through a TypedDict.
                chunk[NATIVE] = events  # pyright: ignore[reportGeneralTypeIssues]
                return chunks
        return [cast(Chunk, {**_NOTHING, NATIVE: events}), *chunks]

    def _keep_body(self, error: UpstreamError) -> None:
        if self._failed is not None:
            keep_native_body(error, decode_reply_or_none(self._failed.data))


def _is_failure(event: StreamEvent) -> bool:
    """True for an event that reports an error. Some compatible servers leave out the types of their events."""
    if event.type != "message":
        return event.type in _FAILURES
    return isinstance(event.data, str) and _UNTYPED_FAILURE.match(event.data) is not None
