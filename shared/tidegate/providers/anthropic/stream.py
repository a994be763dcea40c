"""A streamed reply of Anthropic's as chunks: a role, contents, one finish, then usage.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming, and streams recorded up to 2026-08.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import msgspec

from tidegate.chat.completion import Chunk
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode
from tidegate.providers import stream_loop
from tidegate.providers.anthropic import failure, normalise, usage
from tidegate.providers.base import Event


def parse(events: AsyncIterator[Sequence[Event]]) -> AsyncGenerator[list[Chunk]]:
    """The chunks of each batch of events. Raises `UpstreamError`, and `StreamCut` where no stop reason came."""
    return stream_loop.read(_Stream(), events)


class _Block:
    """One content block that has begun. `kind` is what its deltas become, `place` its ordinal among its kind."""

    __slots__ = ("citations", "given", "has_input", "kind", "place", "start")

    def __init__(self, kind: str, place: int = 0, given: Json = None, start: int = 0) -> None:
        self.kind = kind
        self.place = place
        self.given = given
        self.start = start
        self.has_input = False
        self.citations: list[Json] = []


_SKIPPED = _Block("")


class _Stream:
    """What has come so far. The finish and usage are kept back until the end, so that nothing follows them."""

    def __init__(self) -> None:
        self.done = False
        self._began = False
        self._blocks: dict[Json, _Block] = {}
        self._calls = 0
        self._thoughts = 0
        self._length = 0
        self._usage: JsonObject = {}
        self._stop_reason: str | None = None
        self._refusal: str | None = None

    def feed(self, event: Event, out: list[Chunk]) -> None:
        """Append the chunks that the event makes, if it makes any."""
        try:
            raw = decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raw = None
        if not isinstance(raw, dict):
            if event.type in ("ping", "message") and not event.data.strip():
                return
            raise ProviderMalformed("anthropic sent an event that is no JSON object.")
        kind = raw.get("type")
        if kind == "content_block_delta":
            delta = self._delta(self._blocks.get(raw.get("index"), _SKIPPED), raw.get("delta"))
        elif kind == "error" or event.type == "error" or "error" in raw:
            raise failure.from_reply(200, {}, raw)
        else:
            delta = self._other(kind, raw)
        if delta is not None:
            out.append(self._chunk(delta))
        if kind == "message_start" and self._usage:
            out.append(stream_loop.early_usage(usage.normalise(self._usage)))

    def _other(self, kind: Json, raw: JsonObject) -> JsonObject | None:
        match kind:
            case "content_block_start":
                return self._start(raw.get("index"), raw.get("content_block"))
            case "content_block_stop":
                return self._stop(self._blocks.pop(raw.get("index"), _SKIPPED))
            case "message_start":
                self._begin(raw.get("message"))
                return None if self._began else {}
            case "message_delta":
                self._finish(raw)
            case "message_stop":
                self.done = True
            case _:
                pass  # pings, and events that are still to be invented
        return None

    def _begin(self, message: Json) -> None:
        match message:
            case {"usage": dict(counted)}:
                self._usage = counted
            case _:
                pass

    def _finish(self, raw: JsonObject) -> None:
        """The counts are those of the whole reply: they replace the ones of its beginning."""
        match raw.get("usage"):
            case dict(counted):
                self._usage = {**self._usage, **{name: count for name, count in counted.items() if count is not None}}
            case _:
                pass
        match raw.get("delta"):
            case {"stop_reason": str(reason)} as delta:
                self._stop_reason = reason
                self._refusal = normalise.refusal(delta.get("stop_details"))
            case _:
                pass

    def _start(self, index: Json, block: Json) -> JsonObject | None:
        match block:
            case {"type": "text"}:
                self._blocks[index] = _Block("text", start=self._length)
                return self._delta(self._blocks[index], {**block, "type": "text_delta"})
            case {"type": "thinking"}:
                self._blocks[index] = _Block("thinking", self._next_thought())
                return self._delta(self._blocks[index], {**block, "type": "thinking_delta"})
            case {"type": "redacted_thinking", "data": str(data)}:
                return {"reasoning_details": [normalise.hidden(self._next_thought(), data)]}
            case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
                self._blocks[index] = _Block("call", self._calls, block.get("input"))
                self._calls += 1
                started: JsonObject = {"name": name, "arguments": ""}
                call: JsonObject = {"index": self._calls - 1, "id": call_id, "type": "function", "function": started}
                return {"tool_calls": [call]}
            case _:
                return None  # server tools are no calls of ours: what comes of them is in the text

    def _next_thought(self) -> int:
        self._thoughts += 1
        return self._thoughts - 1

    def _delta(self, block: _Block, delta: Json) -> JsonObject | None:
        if not isinstance(delta, dict):
            raise ProviderMalformed("anthropic sent a delta that is no object.")
        match delta.get("type"):
            case "text_delta":
                text = delta.get("text")
                return self._say(text) if isinstance(text, str) and text and block.kind == "text" else None
            case "thinking_delta":
                text = delta.get("thinking")
                if not isinstance(text, str) or not text or block.kind != "thinking":
                    return None
                return {
                    "reasoning": text,
                    "reasoning_content": text,
                    "reasoning_details": [normalise.thought(block.place, text)],
                }
            case "input_json_delta":
                part = delta.get("partial_json")
                return self._input(block, part) if isinstance(part, str) and part else None
            case "signature_delta":
                signature = delta.get("signature")
                if not isinstance(signature, str) or block.kind != "thinking":
                    return None
                return {"reasoning_details": [normalise.thought(block.place, "", signature)]}
            case "citations_delta":
                if block.kind == "text":
                    block.citations.append(delta.get("citation"))
                return None
            case _:
                return None

    def _say(self, text: str) -> JsonObject:
        self._length += len(text)
        return {"content": text}

    def _input(self, block: _Block, part: str) -> JsonObject | None:
        if block.kind != "call":
            return None
        block.has_input = True
        return {"tool_calls": [{"index": block.place, "function": {"arguments": part}}]}

    def _stop(self, block: _Block) -> JsonObject | None:
        """What a block still owes: the arguments of a call without any, the sources of a text."""
        if block.citations:
            return normalise.cited(block.citations, block.start, self._length)
        if block.kind == "call" and not block.has_input:
            return self._input(block, normalise.arguments(block.given))
        return None

    def _chunk(self, delta: JsonObject, ending: JsonObject | None = None) -> Chunk:
        if not self._began:
            self._began = True
            delta = {"role": "assistant", **(delta or {"content": ""})}
        choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": None}
        if ending:
            choice.update(ending)
        return {"object": "chat.completion.chunk", "choices": [choice], "system_fingerprint": None}  # pyright: ignore[reportReturnType]  # a TypedDict is JSON

    def end(self) -> list[Chunk]:
        """What is due at the end. Raises `StreamCut` where no stop reason came."""
        if self._stop_reason is None:
            raise StreamCut("anthropic's stream ended before the reply did.")
        chunks: list[Chunk] = []
        if self._refusal is not None:
            chunks.append(self._chunk({"refusal": self._refusal}))
        reason, native = usage.finish(self._stop_reason, calls=self._calls > 0)
        ending: JsonObject = {"finish_reason": reason}
        if native is not None:
            ending["native_finish_reason"] = native
        tier = usage.tier(self._usage)
        chunks.append({**self._chunk({}, ending), **tier})  # pyright: ignore[reportArgumentType]  # unknown fields pass through a TypedDict
        if self._usage:
            chunks.append({**stream_loop.usage(usage.normalise(self._usage)), **tier})  # pyright: ignore[reportArgumentType]  # as above
        return chunks
