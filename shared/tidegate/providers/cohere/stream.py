"""Translates a streamed reply from Cohere into chunks: a role, content, one finish reason, then usage.

Source: https://docs.cohere.com/docs/streaming (2026-11) and streams recorded up to 2026-07. `message-end` ends a reply;
a `[DONE]` after it is ignored.
"""

import msgspec

from tidegate.chat.completion import Chunk
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode_reply
from tidegate.providers import stream_loop
from tidegate.providers.base import StreamEvent, StreamTranslator
from tidegate.providers.cohere import normalise
from tidegate.providers.openai import failure
from tidegate.providers.openai.toolcalls import ToolCallStream


def new_stream() -> StreamTranslator:
    """Return the translator of one stream."""
    return _CohereStreamTranslator()


class _CohereStreamTranslator:
    def __init__(self) -> None:
        self.done = False
        self._has_started = False
        self._calls = ToolCallStream()
        self._text_lengths: dict[int, int] = {}  # each text's length so far, by its index in the content list

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunks of this event to `out`. Raises `UpstreamError`."""
        raw = _decode(event)
        if event.type == "error":
            raise failure.from_event("cohere", raw)
        match raw:
            case {"type": "content-delta" | "content-start", "delta": {"message": {"content": dict(part)}}} as fields:
                self._add_content(part, fields, out)
            case {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": str(plan)}}} if plan:
                out.append(self._chunk(normalise.reasoning_fields(plan, normalise.PLAN_FORMAT)))
            case {"type": "tool-call-start" | "tool-call-delta", "delta": {"message": {"tool_calls": calls}}, **fields}:
                self._add_tool_calls(calls, fields.get("index"), out)
            case {"type": "citation-start", "delta": {"message": {"citations": raw_citations}}}:
                self._add_citations(raw_citations, out)
            case {"type": "message-end", "delta": dict(end)}:
                self._add_end(end, out)
            case {"type": "message-start"}:
                if not self._has_started:
                    out.append(self._chunk({"content": ""}))
            case {"type": "error"} | {"error": str() | dict()} | {"message": str()} as failed:
                raise failure.from_event("cohere", failed)
            case dict() | None:
                pass  # event types that are unknown yet
            case _:
                raise ProviderMalformed("Cohere sent an event that is not a JSON object.")

    def _add_content(self, part: JsonObject, fields: JsonObject, out: list[Chunk]) -> None:
        index = fields.get("index")
        match part:
            case {"thinking": str(thinking)} if thinking:
                out.append(self._chunk(normalise.reasoning_fields(thinking, normalise.THINKING_FORMAT)))
            case {"text": str(text)} if text:
                if isinstance(index, int):
                    self._text_lengths[index] = self._text_lengths.get(index, 0) + len(text)
                logprobs = normalise.parse_logprobs(fields["logprobs"]) if "logprobs" in fields else None
                out.append(self._chunk({"content": text}, {} if logprobs is None else {"logprobs": logprobs}))
            case _:
                pass

    def _add_tool_calls(self, calls: Json, index: Json, out: list[Chunk]) -> None:
        call_list = calls if isinstance(calls, list) else [calls]
        indexed_calls: list[Json] = [{**call, "index": index} for call in call_list if isinstance(call, dict)]
        deltas = self._calls.deltas(indexed_calls)
        if deltas:
            out.append(self._chunk({"tool_calls": deltas}))  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON

    def _add_citations(self, raw_citations: Json, out: list[Chunk]) -> None:
        index = raw_citations.get("content_index") if isinstance(raw_citations, dict) else None
        offset = sum(length for i, length in self._text_lengths.items() if isinstance(index, int) and i < index)
        citations, annotations = normalise.parse_citations(raw_citations, offset)
        delta: JsonObject = {"citations": citations, **({"annotations": annotations} if annotations else {})}
        if citations:
            out.append(self._chunk(delta))

    def _add_end(self, end: JsonObject, out: list[Chunk]) -> None:
        if end.get("error"):
            raise failure.from_event("cohere", {"message": end["error"], "code": "ERROR"})
        reason, native = normalise.finish_reason(end.get("finish_reason"), bool(self._calls))
        pending_calls = self._calls.pending()
        if pending_calls:
            out.append(self._chunk({"tool_calls": pending_calls}))  # pyright: ignore[reportArgumentType]  # as above
        finish_fields: JsonObject = {"finish_reason": reason}
        if native is not None:
            finish_fields["native_finish_reason"] = native
        out.append(self._chunk({}, finish_fields))
        usage = normalise.normalise_usage(end.get("usage"))
        if usage is not None:
            out.append(stream_loop.usage_chunk(usage))
        self.done = True

    def end(self) -> list[Chunk]:
        """Return no chunks: all came with `message-end`. Raises `StreamCut` if it is missing."""
        if not self.done:
            raise StreamCut("Cohere's stream ended before the reply was complete.")
        return []

    def _chunk(self, delta: JsonObject, choice_fields: JsonObject | None = None) -> Chunk:
        if not self._has_started:
            delta = {"role": "assistant", **delta}
            self._has_started = True
        choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": None}
        if choice_fields:
            choice.update(choice_fields)
        return {"object": "chat.completion.chunk", "choices": [choice]}  # pyright: ignore[reportReturnType]  # as above


def _decode(event: StreamEvent) -> Json:
    """Return the event's JSON, None if it has none."""
    if event.data == "[DONE]" or not event.data.strip():
        return None
    try:
        return decode_reply(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProviderMalformed("Cohere sent an event that is not JSON.") from None
