"""Translates a streamed response into chunks: a role, content, one finish reason, then usage.

Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11). `response.completed` or
`response.incomplete` ends a reply. Events of unknown types are ignored.
"""

from typing import Any

import msgspec
from msgspec import Struct

from tidegate.chat.completion import Chunk, FinishReason
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode_reply
from tidegate.providers import stream_loop
from tidegate.providers.base import StreamEvent, StreamTranslator
from tidegate.providers.openai import normalise
from tidegate.providers.openai_responses import failure, usage
from tidegate.providers.openai_responses.output_items import OutputItems, text_logprobs

_REASONING_EVENTS = {"response.reasoning_summary_text.delta": True, "response.reasoning_text.delta": False}
"""The events with pieces of reasoning, and whether they are of a summary."""

_ARGUMENT_EVENTS = ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta")
_FAILURES = ("error", "response.failed", "response.cancelled")
_REASONS: dict[Json, FinishReason] = {"content_filter": "content_filter"}


class _TextEvent(Struct, tag_field="type", tag="response.output_text.delta"):
    """The most frequent event: a piece of a text."""

    output_index: int
    content_index: int
    delta: str
    logprobs: list[Any] | None = None


_decode_text = msgspec.json.Decoder(_TextEvent).decode


def new_stream(provider: str) -> StreamTranslator:
    """Return the translator of one stream."""
    return ResponsesStreamTranslator(provider)


class ResponsesStreamTranslator:
    """The state of one stream. See `stream_loop.StreamTranslator`."""

    def __init__(self, provider: str) -> None:
        self.done = False
        self._provider = provider
        self._has_started = False
        self._items = OutputItems()

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunks of this event to `out`. Raises `UpstreamError`."""
        if event.type == "response.output_text.delta" and self._has_started:
            try:
                piece = _decode_text(event.data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                pass  # it is not as usual, or not valid
            else:
                if not piece.logprobs:
                    if piece.delta:
                        delta = self._items.add_text(piece.output_index, piece.content_index, piece.delta)
                        out.append(stream_loop.choice_chunk({"index": 0, "delta": delta, "finish_reason": None}))
                    return
        raw = self._decode(event)
        if raw is None:
            return
        raw_type = raw.get("type")
        event_type = raw_type if isinstance(raw_type, str) and raw_type else event.type
        if event_type == "response.output_text.delta":
            self._add_text(raw, out)
        elif event_type == "response.output_item.added" or event_type == "response.output_item.done":
            self._add_item(raw, event_type == "response.output_item.done", out)
        elif event_type in ("response.completed", "response.incomplete"):
            response = raw.get("response")
            self.end_with(response if isinstance(response, dict) else {}, out)
        elif event_type in _FAILURES or raw.get("error"):
            raise failure.from_event(self._provider, raw)
        else:
            delta = self._other_delta(event_type, raw)
            if delta is not None:
                out.append(self._chunk(delta))

    def end_with(self, response: JsonObject, out: list[Chunk]) -> None:
        """Append the chunks for what the response has and no event has sent, its finish and its usage."""
        if response.get("error") or response.get("status") == "failed":
            raise failure.from_event(self._provider, response)
        output = response.get("output")
        for index, item in enumerate(output if isinstance(output, list) else ()):
            if isinstance(item, dict):
                out += [self._chunk(delta) for delta in self._items.finish(index, item)]
        envelope: JsonObject = {"service_tier": response["service_tier"]} if response.get("service_tier") else {}
        normalise.move_service_tier(envelope)
        finish = self._chunk({}, self._finish(response))
        out.append({**finish, **envelope})  # pyright: ignore[reportArgumentType]  # unknown fields pass through
        counts = usage.normalise(response, self._items.searches)
        if counts is not None:
            out.append({**stream_loop.usage_chunk(counts), **envelope})  # pyright: ignore[reportArgumentType]  # as above
        self.done = True

    def end(self) -> list[Chunk]:
        """Return no chunks: all came with the end of the response. Raises `StreamCut` if that is missing."""
        if not self.done:
            raise StreamCut(f"{self._provider}'s stream ended before the response was complete.")
        return []

    def _decode(self, event: StreamEvent) -> JsonObject | None:
        """Return the event's object, None for one without content."""
        if event.data == "[DONE]" or not event.data.strip():
            return None
        try:
            raw = decode_reply(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ProviderMalformed(f"{self._provider} sent an event that is not JSON.") from None
        return raw if isinstance(raw, dict) else None

    def _finish(self, response: JsonObject) -> JsonObject:
        """Return the finish as fields of the choice. An incomplete response is "length" unless it was filtered."""
        if response.get("status") != "incomplete":
            return {"finish_reason": "tool_calls" if self._items.call_count else "stop"}
        match response.get("incomplete_details"):
            case {"reason": str(native)}:
                reason = _REASONS.get(native, "length")
                return {"finish_reason": reason, **({} if reason == native else {"native_finish_reason": native})}
            case _:
                return {"finish_reason": "length"}

    def _add_text(self, raw: JsonObject, out: list[Chunk]) -> None:
        text = raw.get("delta")
        if isinstance(text, str) and text:
            delta = self._items.add_text(self._index(raw), _number(raw, "content_index"), text)
            out.append(self._chunk(delta | text_logprobs(raw.get("logprobs"))))

    def _add_item(self, raw: JsonObject, is_done: bool, out: list[Chunk]) -> None:
        item = raw.get("item")
        if not isinstance(item, dict):
            return
        index = raw.get("output_index")
        if not isinstance(index, int):
            index = self._items.count - is_done
        deltas = self._items.finish(index, item) if is_done else self._items.begin(index, item)
        out += [self._chunk(delta) for delta in deltas]

    def _other_delta(self, event_type: str | None, raw: JsonObject) -> JsonObject | None:
        text = raw.get("delta")
        if event_type in _REASONING_EVENTS and isinstance(text, str) and text:
            is_summary = _REASONING_EVENTS[event_type]
            part = raw.get("summary_index" if is_summary else "content_index")
            return self._items.add_reasoning(self._index(raw), part, text, is_summary)
        if event_type in _ARGUMENT_EVENTS and isinstance(text, str) and text:
            return self._items.add_arguments(self._index(raw), text)
        if event_type == "response.refusal.delta" and isinstance(text, str) and text:
            return self._items.add_refusal(self._index(raw), text)
        if event_type == "response.output_text.annotation.added":
            return self._items.add_annotation(self._index(raw), _number(raw, "content_index"), raw.get("annotation"))
        return None

    def _index(self, raw: JsonObject) -> int:
        """Return the item's index; that of the last item if the event does not say."""
        index = raw.get("output_index")
        return index if isinstance(index, int) else max(self._items.count - 1, 0)

    def _chunk(self, delta: JsonObject, choice_fields: JsonObject | None = None) -> Chunk:
        logprobs = delta.pop("logprobs", None)
        if not self._has_started:
            delta = {"role": "assistant", **(delta or {"content": ""})}
            self._has_started = True
        choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": None, **(choice_fields or {})}
        if logprobs is not None:
            choice["logprobs"] = logprobs
        return stream_loop.choice_chunk(choice)


def _number(raw: JsonObject, name: str) -> int:
    number = raw.get(name)
    return number if isinstance(number, int) else 0
