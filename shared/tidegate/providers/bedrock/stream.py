"""ConverseStream's events as chunks.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html (2026), and
recorded streams: texts and reasoning begin without `contentBlockStart`, the counts come behind `messageStop`, and every
event is padded with a field `p`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import msgspec

from tidegate.chat.completion import Chunk, ChunkChoice, Delta
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode
from tidegate.providers import stream_loop
from tidegate.providers.base import Event
from tidegate.providers.bedrock import failure, normalise, reasoning_replay


def parse(events: AsyncIterator[Sequence[Event]]) -> AsyncGenerator[list[Chunk]]:
    """The chunks of each batch of events, and what is due at the end. Raises `UpstreamError`."""
    return stream_loop.read(_Stream(), events)


class _Stream:
    """What has come so far. The finish and the counts are kept back until the end, so that nothing follows them.

    `_calls` are the caller's tool calls, as ordinals by the index of their block; `_silent` have no arguments yet.
    """

    def __init__(self) -> None:
        self.done = False  # the counts come behind the end
        self._begun = False
        self._native: Json = None
        self._usage: Json = None
        self._calls: dict[Json, int] = {}
        self._silent: set[Json] = set()
        self._served: set[Json] = set()
        self._thoughts: dict[Json, int] = {}
        self._length = 0
        self._searches = 0
        self._cited: list[tuple[int, Json]] = []
        self._rest: JsonObject = {}

    def feed(self, event: Event, out: list[Chunk]) -> None:
        """Append the chunk that the event makes, if it makes one. The first one says the role."""
        said = self._hear(event)
        if said is None:
            return
        delta: Delta = said if self._begun else {"role": "assistant", **said}
        self._begun = True
        out.append(_chunk({"index": 0, "delta": delta, "finish_reason": None}))

    def _hear(self, event: Event) -> Delta | None:
        raw = _read(event)
        match event.type:
            case "contentBlockDelta":
                return self._delta(raw)
            case "contentBlockStart":
                return self._start(raw)
            case "contentBlockStop":
                return self._stop(raw.get("contentBlockIndex"))
            case "messageStop":
                self._native = raw.get("stopReason")
                if raw.get("additionalModelResponseFields"):
                    self._rest["additionalModelResponseFields"] = raw["additionalModelResponseFields"]
                normalise.finish(self._native, bool(self._calls))  # a broken reply fails here
            case "metadata":
                self._usage = raw.get("usage")
                self._rest |= normalise.tier(raw.get("serviceTier"))
                if raw.get("trace"):
                    self._rest["trace"] = raw["trace"]
            case kind if kind.startswith(("exception:", "error:")):
                raise failure.from_event(kind.partition(":")[2], raw)
            case _:
                pass  # `messageStart`, and what Bedrock will think of next
        return None

    def _delta(self, raw: JsonObject) -> Delta | None:
        match raw.get("delta"):
            case {"text": str(text)}:
                self._length += len(text)
                return {"content": text} if text else None
            case {"toolUse": {"input": str(words)}}:
                return self._words(raw.get("contentBlockIndex"), words)
            case {"reasoningContent": dict(thought)}:
                return self._think(raw.get("contentBlockIndex"), thought)
            case {"citation": dict(source)}:
                self._cited.append((self._length, source))
                return None
            case {"image": dict(shown)}:
                made = normalise.image({"format": "png", **shown})
                return {"images": [made]} if made is not None else None
            case dict():
                return None  # the results of tools that Bedrock runs itself
            case _:
                raise ProviderMalformed("bedrock sent a delta that is no object.")

    def _start(self, raw: JsonObject) -> Delta | None:
        place = raw.get("contentBlockIndex")
        match raw.get("start"):
            case {"toolUse": {"type": "server_tool_use"} as use}:
                self._served.add(place)
                self._searches += normalise.is_search(use)
                return None
            case {"toolUse": {"toolUseId": str(given), "name": str(name)}}:
                index = self._calls[place] = len(self._calls)
                self._silent.add(place)
                function = {"name": name, "arguments": ""}
                return {"tool_calls": [{"index": index, "id": given, "type": "function", "function": function}]}  # pyright: ignore[reportReturnType]  # a literal of TypedDicts
            case {"toolUse": _}:
                raise ProviderMalformed("bedrock called a tool without an id or a name.")
            case _:
                return None

    def _words(self, place: Json, words: str) -> Delta | None:
        if place in self._served or not words:
            return None
        index = self._calls.get(place)
        if index is None:
            raise ProviderMalformed("bedrock sent arguments of a tool that it had not called.")
        self._silent.discard(place)
        return {"tool_calls": [{"index": index, "function": {"arguments": words}}]}

    def _think(self, place: Json, thought: JsonObject) -> Delta | None:
        index = self._thoughts.setdefault(place, len(self._thoughts))
        match thought:
            case {"text": str(text)} if text:
                detail = reasoning_replay.text_details(text, None, index)
                return {"reasoning": text, "reasoning_content": text, "reasoning_details": [detail]}
            case {"signature": str(signature)} if signature:
                return {"reasoning_details": [reasoning_replay.signature_details(signature, index)]}
            case {"redactedContent": str(blob)}:
                return {"reasoning_details": [reasoning_replay.redacted_details(blob, index)]}
            case _:
                return None

    def _stop(self, place: Json) -> Delta | None:
        """The end of a block: arguments for a call that has none, and the sources of a text whose end is known now."""
        if place in self._silent:
            self._silent.discard(place)
            return {"tool_calls": [{"index": self._calls[place], "function": {"arguments": "{}"}}]}
        if not self._cited:
            return None
        cited, self._cited = self._cited, []
        notes: list[Json] = [
            note for start, source in cited if (note := normalise.annotation(source, start, self._length)) is not None
        ]
        return {"annotations": notes} if notes else None

    def end(self) -> list[Chunk]:
        """The finish, and the counts. Raises `StreamCut` where the reply has no end."""
        native = self._native
        if not isinstance(native, str):
            raise StreamCut("bedrock's stream ended before the reply did.")
        reason = normalise.finish(native, bool(self._calls))
        choice: ChunkChoice = {"index": 0, "delta": {}, "finish_reason": reason}
        if native != reason:
            choice["native_finish_reason"] = native
        chunks = [_chunk(choice, self._rest)]
        if not self._begun:
            role: Delta = {"role": "assistant", "content": ""}
            chunks.insert(0, _chunk({"index": 0, "delta": role, "finish_reason": None}))
        if self._usage is not None:
            chunks.append(stream_loop.usage(normalise.usage(self._usage, self._searches)))
        return chunks


def _chunk(choice: ChunkChoice, rest: JsonObject | None = None) -> Chunk:
    chunk: Chunk = {"object": "chat.completion.chunk", "choices": [choice], "system_fingerprint": None}
    return {**chunk, **rest} if rest else chunk  # pyright: ignore[reportReturnType]  # unknown fields pass through


def _read(event: Event) -> JsonObject:
    try:
        raw = decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raw = None
    if not isinstance(raw, dict):
        raise ProviderMalformed("bedrock sent an event that is no JSON object.")
    return raw
