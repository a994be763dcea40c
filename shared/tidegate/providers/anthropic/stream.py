"""A streamed reply of Anthropic's as chunks: the role, content, one finish reason, then usage.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming, and streams recorded up to 2026-08.
"""

import msgspec
from msgspec import Struct

from tidegate.chat.completion import Chunk, citation_fields
from tidegate.chat.reasoning_order import START, Place
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode_reply_or_none
from tidegate.providers import stream_loop
from tidegate.providers.anthropic import failure, normalise, usage
from tidegate.providers.base import StreamEvent, StreamTranslator


def new_stream() -> StreamTranslator:
    """Return the translator of one stream."""
    return _AnthropicStreamTranslator()


class _TextDelta(Struct, tag_field="type", tag="text_delta"):
    text: str


class _TextEvent(Struct, tag_field="type", tag="content_block_delta"):
    """The most frequent event: a piece of a text."""

    index: int
    delta: _TextDelta


_decode_text = msgspec.json.Decoder(_TextEvent).decode


class _ContentBlock:
    """A content block that has started: text, thinking or a tool call.

    `ordinal` counts the blocks of its kind. `tool_input` is the input of a call that came with its start.
    `text_start` is where its text begins in the message, in characters. `place` is told with its first detail only,
    since clients join the pieces of an entry.
    """

    __slots__ = ("citations", "has_input", "kind", "ordinal", "place", "text_start", "tool_input")

    def __init__(
        self, kind: str, ordinal: int = 0, tool_input: Json = None, text_start: int = 0, place: Place = START
    ) -> None:
        self.kind = kind
        self.ordinal = ordinal
        self.tool_input = tool_input
        self.text_start = text_start
        self.place = place
        self.has_input = False
        self.citations: list[Json] = []


_SKIPPED_BLOCK = _ContentBlock("")
_WHOLE = -1


def _index(raw: JsonObject) -> int | None:
    """Return the index of an event's block, None if the server sent none."""
    index = raw.get("index")
    return index if isinstance(index, int) else None


class _AnthropicStreamTranslator:
    """The state of one stream. The finish reason and usage are sent at the end, so that no content follows them."""

    def __init__(self) -> None:
        self.done = False
        self._role_sent = False
        self._blocks: dict[int | None, _ContentBlock] = {}
        self._has_text = False
        """True if the next event is probably a piece of a text."""
        self._call_count = 0
        self._thinking_count = 0
        self._text_length = 0
        self._usage: JsonObject = {}
        self._stop_reason: str | None = None
        self._refusal: str | None = None

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunks for the event to `out`."""
        if event.type == "content_block_delta" and self._has_text and self._role_sent:
            try:
                piece = _decode_text(event.data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                self._has_text = False
            else:
                text, block = piece.delta.text, self._blocks.get(piece.index)
                if text and block is not None and block.kind == "text":
                    self._text_length += len(text)
                    choice: JsonObject = {"index": 0, "delta": {"content": text}, "finish_reason": None}
                    out.append(stream_loop.choice_chunk(choice))
                return
        raw = decode_reply_or_none(event.data)
        if not isinstance(raw, dict):
            if event.type in ("ping", "message") and not event.data.strip():
                return
            raise ProviderMalformed("anthropic sent an event that is not a JSON object.")
        event_type = raw.get("type")
        if event_type == "content_block_delta":
            delta = self._translate_delta(self._blocks.get(_index(raw), _SKIPPED_BLOCK), raw.get("delta"))
        elif event_type == "error" or event.type == "error" or raw.get("error"):
            raise failure.from_reply(200, {}, raw)
        else:
            delta = self._translate_rare_event(event_type, raw)
        if delta is not None:
            out.append(self._chunk(delta))
        if event_type == "message_start":
            if self._usage:
                out.append(stream_loop.early_usage_chunk(usage.normalise(self._usage)))
            out += map(self._chunk, self._whole_blocks(raw.get("message")))

    def _translate_rare_event(self, event_type: Json, raw: JsonObject) -> JsonObject | None:
        match event_type:
            case "content_block_start":
                return self._start_block(_index(raw), raw.get("content_block"))
            case "content_block_stop":
                return self._end_block(self._blocks.pop(_index(raw), _SKIPPED_BLOCK))
            case "message_start":
                self._read_message_start(raw.get("message"))
                return None if self._role_sent else {}
            case "message_delta":
                self._read_message_delta(raw)
            case "message_stop":
                self.done = True
            case _:
                pass  # pings, and event types that are unknown yet
        return None

    def _read_message_start(self, message: Json) -> None:
        if isinstance(message, dict):
            self._read_end(message, message.get("usage"))

    def _whole_blocks(self, message: Json) -> list[JsonObject]:
        """Return the deltas of content that `message_start` has: of a whole message, as after tools called by code."""
        deltas: list[JsonObject | None] = []
        for block in normalise.content_blocks(message.get("content") if isinstance(message, dict) else None):
            deltas.append(self._start_block(_WHOLE, block))
            started = self._blocks.pop(_WHOLE, _SKIPPED_BLOCK)
            if isinstance(citations := block.get("citations"), list):
                started.citations.extend(citations)
            deltas.append(self._translate_delta(started, {**block, "type": "signature_delta"}))
            deltas.append(self._end_block(started))
        return [delta for delta in deltas if delta]

    def _read_message_delta(self, raw: JsonObject) -> None:
        self._read_end(raw.get("delta"), raw.get("usage"))

    def _read_end(self, ending: Json, raw_usage: Json) -> None:
        """Read the stop reason and the counts. The counts are totals."""
        if isinstance(raw_usage, dict):
            self._usage = usage.merge(self._usage, raw_usage)
        match ending:
            case {"stop_reason": str(reason)} as delta:
                self._stop_reason = reason
                self._refusal = normalise.refusal_text(delta.get("stop_details"))
            case _:
                pass

    def _start_block(self, index: int | None, block: Json) -> JsonObject | None:
        match block:
            case {"type": "text"}:
                self._has_text = True
                self._blocks[index] = _ContentBlock("text", text_start=self._text_length)
                return self._translate_delta(self._blocks[index], {**block, "type": "text_delta"})
            case {"type": "thinking"}:
                self._blocks[index] = _ContentBlock("thinking", self._next_thinking_index(), place=self._place)
                return self._translate_delta(self._blocks[index], {**block, "type": "thinking_delta"})
            case {"type": "redacted_thinking", "data": str(data)}:
                redacted = normalise.encrypted_detail(self._next_thinking_index(), data, self._place)
                return {"reasoning_details": [redacted]}
            case {"type": "tool_use", "name": str(name)} if name:
                ordinal = self._call_count
                call_id = normalise.call_id(block.get("id"), ordinal, name)
                self._call_count += 1
                self._blocks[index] = _ContentBlock("call", ordinal, block.get("input"))
                function: JsonObject = {"name": name, "arguments": ""}
                return {"tool_calls": [{"index": ordinal, "id": call_id, "type": "function", "function": function}]}
            case _:
                return None  # server tools are not the caller's calls; the text contains their results

    @property
    def _place(self) -> Place:
        return Place(self._text_length, self._call_count)

    def _next_thinking_index(self) -> int:
        self._thinking_count += 1
        return self._thinking_count - 1

    def _translate_delta(self, block: _ContentBlock, delta: Json) -> JsonObject | None:
        if not isinstance(delta, dict):
            return None
        match delta.get("type"):
            case "text_delta":
                text = delta.get("text")
                return self._text_delta(text) if isinstance(text, str) and text and block.kind == "text" else None
            case "thinking_delta":
                text = delta.get("thinking")
                if not isinstance(text, str) or not text or block.kind != "thinking":
                    return None
                details: list[Json] = [self._reasoning_detail(block, text)]
                return {"reasoning": text, "reasoning_content": text, "reasoning_details": details}
            case "input_json_delta":
                fragment = delta.get("partial_json")
                return self._arguments_delta(block, fragment) if isinstance(fragment, str) and fragment else None
            case "signature_delta":
                signature = delta.get("signature")
                if not isinstance(signature, str) or not signature or block.kind != "thinking":
                    return None
                return {"reasoning_details": [self._reasoning_detail(block, "", signature)]}
            case "citations_delta":
                if block.kind == "text":
                    block.citations.append(delta.get("citation"))
                return None
            case _:
                return None

    def _reasoning_detail(self, block: _ContentBlock, text: str, signature: str | None = None) -> JsonObject:
        place, block.place = block.place, START
        return normalise.reasoning_text_detail(block.ordinal, text, signature, place)

    def _text_delta(self, text: str) -> JsonObject:
        self._text_length += len(text)
        return {"content": text}

    def _arguments_delta(self, block: _ContentBlock, fragment: str) -> JsonObject | None:
        if block.kind != "call":
            return None
        block.has_input = True
        return {"tool_calls": [{"index": block.ordinal, "function": {"arguments": fragment}}]}

    def _end_block(self, block: _ContentBlock) -> JsonObject | None:
        """Return the delta at a block's end: the arguments of a call that streamed none, or the citations of a text."""
        if block.citations:
            return citation_fields((citation, block.text_start, self._text_length) for citation in block.citations)
        if block.kind == "call" and not block.has_input:
            return self._arguments_delta(block, normalise.arguments_json(block.tool_input))
        return None

    def _chunk(self, delta: JsonObject, finish_fields: JsonObject | None = None) -> Chunk:
        if not self._role_sent:
            self._role_sent = True
            delta = {"role": "assistant", **(delta or {"content": ""})}
        choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": None}
        if finish_fields:
            choice.update(finish_fields)
        return stream_loop.choice_chunk(choice)

    def end(self) -> list[Chunk]:
        """Return the last chunks. Raises `StreamCut` if no stop reason came."""
        has_content = self._text_length or self._call_count or self._thinking_count
        if self._stop_reason is None and not (self.done and has_content):
            raise StreamCut("anthropic's stream ended before the reply was complete.")
        chunks: list[Chunk] = []
        if self._refusal is not None:
            chunks.append(self._chunk({"refusal": self._refusal}))
        finish_reason, native = usage.finish_reason(self._stop_reason, has_calls=self._call_count > 0)
        finish_fields: JsonObject = {"finish_reason": finish_reason}
        if native is not None:
            finish_fields["native_finish_reason"] = native
        tier = usage.service_tier_fields(self._usage)
        chunks.append({**self._chunk({}, finish_fields), **tier})  # pyright: ignore[reportArgumentType]  # unknown fields pass through a TypedDict
        if self._usage:
            chunks.append({**stream_loop.usage_chunk(usage.normalise(self._usage)), **tier})  # pyright: ignore[reportArgumentType]  # as above
        return chunks
