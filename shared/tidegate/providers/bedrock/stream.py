"""ConverseStream's events as chunks.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html (2026), and
recorded streams: texts and reasoning start without `contentBlockStart`, the counts come after `messageStop`, and every
event is padded with a field `p`.
"""

from typing import Any

import msgspec
from msgspec import Struct

from tidegate.chat.completion import Chunk, ChunkChoice, Delta
from tidegate.chat.reasoning_order import START, Place
from tidegate.domain.usage import merge_counts
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode_reply_or_none
from tidegate.providers import stream_loop
from tidegate.providers.base import StreamEvent, StreamTranslator
from tidegate.providers.bedrock import failure, normalise, reasoning_replay


class _TextDelta(Struct, forbid_unknown_fields=True):
    text: str


class _TextEvent(Struct, forbid_unknown_fields=True):
    """The most frequent event: a piece of a text, with padding."""

    delta: _TextDelta
    contentBlockIndex: Any = None
    p: Any = None


_decode_text = msgspec.json.Decoder(_TextEvent).decode


def new_stream() -> StreamTranslator:
    """Return the translator of one stream."""
    return _BedrockStreamTranslator()


class _BedrockStreamTranslator:
    """The state of one stream. The finish reason and usage are sent at the end, so that no content follows them."""

    def __init__(self) -> None:
        self.done = False  # the counts come after the end of the message
        self._role_sent = False
        self._has_text = True
        """True if the next piece is probably one of a text."""
        self._stop_reason: Json = None
        self._usage: JsonObject = {}
        self._call_indexes: dict[int | None, int] = {}  # positions of the caller's calls, by the index of their block
        self._blocks_without_arguments: set[int | None] = set()
        self._reasoning_indexes: dict[int | None, int] = {}
        self._text_length = 0
        self._searches = 0
        self._citations: list[tuple[int, Json]] = []
        self._native_fields: JsonObject = {}

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunk for the event, if any, to `out`. The first chunk has the role."""
        content: Delta | None = None
        if event.type == "contentBlockDelta" and self._has_text:
            try:
                text = _decode_text(event.data).delta.text
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                self._has_text = False
                content = self._translate(event)
            else:
                self._text_length += len(text)
                content = {"content": text} if text else None
        else:
            content = self._translate(event)
        if content is None:
            return
        delta: Delta = content if self._role_sent else {"role": "assistant", **content}
        self._role_sent = True
        out.append(_chunk({"index": 0, "delta": delta, "finish_reason": None}))

    def _translate(self, event: StreamEvent) -> Delta | None:
        raw = _decode_event(event)
        match event.type:
            case "contentBlockDelta":
                return self._translate_delta(raw)
            case "contentBlockStart":
                return self._start_block(raw)
            case "contentBlockStop":
                self._has_text = True
                return self._end_block(_block_index(raw))
            case "messageStop":
                self._stop_reason = raw.get("stopReason")
                if raw.get("additionalModelResponseFields"):
                    self._native_fields["additionalModelResponseFields"] = raw["additionalModelResponseFields"]
                normalise.finish_reason(self._stop_reason, bool(self._call_indexes))  # raises for a broken reply
            case "metadata":
                if isinstance(raw_usage := raw.get("usage"), dict):
                    self._usage = merge_counts(self._usage, raw_usage)
                self._native_fields |= normalise.service_tier_fields(raw.get("serviceTier"))
                if raw.get("trace"):
                    self._native_fields["trace"] = raw["trace"]
            case event_type if event_type.startswith(("exception:", "error:")):
                raise failure.from_event(event_type.partition(":")[2], raw)
            case _:
                pass  # `messageStart`, and event types that are unknown yet
        return None

    def _translate_delta(self, raw: JsonObject) -> Delta | None:
        match raw.get("delta"):
            case {"text": str(text)}:
                self._text_length += len(text)
                return {"content": text} if text else None
            case {"toolUse": {"input": str(json_fragment)}}:
                return self._arguments_delta(_block_index(raw), json_fragment)
            case {"reasoningContent": dict(reasoning)}:
                return self._reasoning_delta(_block_index(raw), reasoning)
            case {"citation": dict(source)}:
                self._citations.append((self._text_length, source))
                return None
            case {"image": dict(raw_image)}:
                image = normalise.image_part({"format": "png", **raw_image})
                return {"images": [image]} if image is not None else None
            case _:
                return None  # the results of tools that Bedrock runs itself

    def _start_block(self, raw: JsonObject) -> Delta | None:
        block_index = _block_index(raw)
        match raw.get("start"):
            case {"toolUse": {"type": "server_tool_use"} as tool_use}:
                self._searches += normalise.is_web_search(tool_use)
                return None
            case {"toolUse": {"name": str(name)} as tool_use} if name:
                call_index = self._call_indexes[block_index] = len(self._call_indexes)
                call_id = normalise.call_id(tool_use.get("toolUseId"), call_index, name)
                self._blocks_without_arguments.add(block_index)
                function = {"name": name, "arguments": ""}
                return {"tool_calls": [{"index": call_index, "id": call_id, "type": "function", "function": function}]}  # pyright: ignore[reportReturnType]  # a literal of TypedDicts
            case _:
                return None

    def _arguments_delta(self, block_index: int | None, json_fragment: str) -> Delta | None:
        call_index = self._call_indexes.get(block_index)
        if call_index is None or not json_fragment:
            return None  # of a tool that Bedrock runs itself, or of a call without a name
        self._blocks_without_arguments.discard(block_index)
        return {"tool_calls": [{"index": call_index, "function": {"arguments": json_fragment}}]}

    def _reasoning_delta(self, block_index: int | None, reasoning: JsonObject) -> Delta | None:
        if not any(reasoning.values()):
            return None
        is_new = block_index not in self._reasoning_indexes
        index = self._reasoning_indexes.setdefault(block_index, len(self._reasoning_indexes))
        # The place is told once, since clients join the pieces of an entry.
        place = Place(self._text_length, len(self._call_indexes)) if is_new else START
        match reasoning:
            case {"text": str(text)} if text:
                detail = reasoning_replay.reasoning_text_detail(text, None, index, place)
                return {"reasoning": text, "reasoning_content": text, "reasoning_details": [detail]}
            case {"signature": str(signature)} if signature:
                return {"reasoning_details": [reasoning_replay.signature_detail(signature, index, place)]}
            case {"redactedContent": str(blob)}:
                return {"reasoning_details": [reasoning_replay.encrypted_detail(blob, index, place)]}
            case _:
                return None

    def _end_block(self, block_index: int | None) -> Delta | None:
        """Return the delta at a block's end: the arguments of a call that streamed none, or the citations of a text."""
        if block_index in self._blocks_without_arguments:
            self._blocks_without_arguments.discard(block_index)
            return {"tool_calls": [{"index": self._call_indexes[block_index], "function": {"arguments": "{}"}}]}
        if not self._citations:
            return None
        citations, self._citations = self._citations, []
        notes = [normalise.annotation(source, start, self._text_length) for start, source in citations]
        annotations: list[Json] = [note for note in notes if note is not None]
        return {"annotations": annotations} if annotations else None

    def end(self) -> list[Chunk]:
        """Return the chunks with the finish reason and usage. Raises `StreamCut` if no stop reason came."""
        stop_reason = self._stop_reason
        if not isinstance(stop_reason, str):
            raise StreamCut("bedrock's stream ended before the reply was complete.")
        finish_reason = normalise.finish_reason(stop_reason, bool(self._call_indexes))
        choice: ChunkChoice = {"index": 0, "delta": {}, "finish_reason": finish_reason}
        if stop_reason != finish_reason:
            choice["native_finish_reason"] = stop_reason
        chunks = [_chunk(choice, self._native_fields)]
        if not self._role_sent:
            first_delta: Delta = {"role": "assistant", "content": ""}
            chunks.insert(0, _chunk({"index": 0, "delta": first_delta, "finish_reason": None}))
        if self._usage:
            chunks.append(stream_loop.usage_chunk(normalise.normalise_usage(self._usage, self._searches)))
        return chunks


def _chunk(choice: ChunkChoice, native_fields: JsonObject | None = None) -> Chunk:
    chunk: Chunk = {"object": "chat.completion.chunk", "choices": [choice], "system_fingerprint": None}
    return {**chunk, **native_fields} if native_fields else chunk  # pyright: ignore[reportReturnType]  # unknown fields pass through


def _block_index(raw: JsonObject) -> int | None:
    """Return the index of an event's content block, None if it has none."""
    index = raw.get("contentBlockIndex")
    return index if isinstance(index, int) else None


def _decode_event(event: StreamEvent) -> JsonObject:
    raw = decode_reply_or_none(event.data)
    if not isinstance(raw, dict):
        raise ProviderMalformed("bedrock sent an event that is not a JSON object.")
    return raw
