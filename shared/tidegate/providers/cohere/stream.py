"""A streamed reply of Cohere's as chunks: a role, contents, one finish, then usage.

Source: https://docs.cohere.com/docs/streaming (2026-11) and streams recorded up to 2026-07. `message-end` ends a reply;
`[DONE]` may follow it, and says nothing.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import msgspec

from tidegate.chat.completion import Chunk
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode
from tidegate.providers import stream_loop
from tidegate.providers.base import StreamEvent
from tidegate.providers.cohere import normalise
from tidegate.providers.openai import failure
from tidegate.providers.openai.toolcalls import ToolCallStream


def parse(events: AsyncIterator[Sequence[StreamEvent]]) -> AsyncGenerator[list[Chunk]]:
    """The chunks of each batch of events. Raises `UpstreamError`, and `StreamCut` where no `message-end` comes."""
    return stream_loop.translate_stream(_CohereStreamTranslator(), events)


class _CohereStreamTranslator:
    def __init__(self) -> None:
        self.done = False
        self._heard = False
        self._calls = ToolCallStream()
        self._texts: dict[int, int] = {}  # how long each text is by now, by its place in the list of contents

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunks that the event makes."""
        raw = _decoded(event)
        if event.type == "error":
            raise failure.from_event("cohere", raw)
        match raw:
            case {"type": "content-start" | "content-delta", "delta": {"message": {"content": dict(said)}}, **rest}:
                self._say(said, rest, out)
            case {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": str(plan)}}} if plan:
                out.append(self._chunk(normalise.reasoning_fields(plan, normalise.PLAN_FORMAT)))
            case {"type": "tool-call-start" | "tool-call-delta", "delta": {"message": {"tool_calls": called}}, **rest}:
                self._call(called, rest.get("index"), out)
            case {"type": "citation-start", "delta": {"message": {"citations": cited}}}:
                self._cite(cited, out)
            case {"type": "message-end", "delta": dict(end)}:
                self._end(end, out)
            case {"type": "message-start"}:
                if not self._heard:
                    out.append(self._chunk({"content": ""}))
            case {"type": "error"} | {"error": _} | {"message": str()} as failed:
                raise failure.from_event("cohere", failed)
            case {"type": str()} | None:
                pass
            case _:
                raise ProviderMalformed("Cohere sent an event that is none of its own.")

    def _say(self, said: JsonObject, rest: JsonObject, out: list[Chunk]) -> None:
        place = rest.get("index")
        match said:
            case {"thinking": str(thought)} if thought:
                out.append(self._chunk(normalise.reasoning_fields(thought, normalise.THINKING_FORMAT)))
            case {"text": str(text)} if text:
                if isinstance(place, int):
                    self._texts[place] = self._texts.get(place, 0) + len(text)
                chances = normalise.parse_logprobs(rest.get("logprobs"))
                out.append(self._chunk({"content": text}, {} if chances is None else {"logprobs": chances}))
            case _:
                pass

    def _call(self, called: Json, index: Json, out: list[Chunk]) -> None:
        calls: list[Json] = [
            {**call, "index": index}
            for call in (called if isinstance(called, list) else [called])
            if isinstance(call, dict)
        ]
        deltas = self._calls.deltas(calls)
        if deltas:
            out.append(self._chunk({"tool_calls": deltas}))  # pyright: ignore[reportArgumentType]  # TypedDicts are JSON

    def _cite(self, cited: Json, out: list[Chunk]) -> None:
        place = cited.get("content_index") if isinstance(cited, dict) else None
        before = sum(length for at, length in self._texts.items() if isinstance(place, int) and at < place)
        came, notes = normalise.parse_citations(cited, before)
        delta: JsonObject = {"citations": came, **({"annotations": notes} if notes else {})}
        if came:
            out.append(self._chunk(delta))

    def _end(self, end: JsonObject, out: list[Chunk]) -> None:
        if end.get("error"):
            raise failure.from_event("cohere", {"message": end["error"], "code": "ERROR"})
        reason, native = normalise.finish_reason(end.get("finish_reason"), bool(self._calls))
        owed = self._calls.pending()
        if owed:
            out.append(self._chunk({"tool_calls": owed}))  # pyright: ignore[reportArgumentType]  # as above
        ending: JsonObject = {"finish_reason": reason}
        if native is not None:
            ending["native_finish_reason"] = native
        out.append(self._chunk({}, ending))
        counted = normalise.normalise_usage(end.get("usage"))
        if counted is not None:
            out.append(stream_loop.usage_chunk(counted))
        self.done = True

    def end(self) -> list[Chunk]:
        """Everything came with `message-end`, if it came."""
        if not self.done:
            raise StreamCut("Cohere's stream ended before the reply did.")
        return []

    def _chunk(self, delta: JsonObject, more: JsonObject | None = None) -> Chunk:
        if not self._heard:
            delta = {"role": "assistant", **delta}
            self._heard = True
        choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": None, **(more or {})}
        return {"object": "chat.completion.chunk", "choices": [choice]}  # pyright: ignore[reportReturnType]  # as above


def _decoded(event: StreamEvent) -> Json:
    """What the event says, None for nothing at all."""
    if event.data == "[DONE]" or not event.data.strip():
        return None
    try:
        return decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProviderMalformed("Cohere sent an event that is not JSON.") from None
