"""Translates a streamed reply into one shape: for each choice a role, content and one finish reason; then usage.

Source: https://platform.openai.com/docs/api-reference/chat-streaming, and streams recorded from each provider up to
2026-07: usage beside choices (Mistral, DeepSeek, OpenRouter), in `x_groq` (Groq), in every chunk (Perplexity,
Databricks); roles in every delta (Ollama, OpenRouter); a finish reason that is repeated (OpenRouter) or missing
(Snowflake); a first chunk without choices (Azure); no `[DONE]` (Perplexity, GPUStack); errors inside a 200 (Groq,
OpenRouter).
"""

from typing import cast

import msgspec
from msgspec import structs

from tidegate.chat.completion import Chunk
from tidegate.domain.usage import merge_counts
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode_reply
from tidegate.providers.base import StreamEvent, StreamTranslator
from tidegate.providers.openai import failure, normalise, usage
from tidegate.providers.openai.choice_stream import OpenAIChoiceStream
from tidegate.providers.openai.completion import choice_content, clean_logprobs
from tidegate.providers.openai.plain import PlainChunk, decode_chunk, decode_text_chunk
from tidegate.providers.openai.quirks import Quirks

_NOISE = frozenset({"obfuscation", "p", "x_groq", "choices", "usage", "object", "citations", "search_results"})
_ENVELOPE = frozenset({"id", "created", "model", "system_fingerprint", "service_tier", "provider"})
_OF_CHOICE = frozenset(
    {"index", "delta", "finish_reason", "native_finish_reason", "logprobs", "message", "text", "usage", "error"}
)
_NO_FIELDS: JsonObject = {}
"""Shared by all streams: never changed."""

_MAX_MISSES = 8
"""After so many chunks in a row that are not plain, the next ones of the stream are not tried."""


def new_stream(provider: str, quirks: Quirks) -> StreamTranslator:
    """Return the translator of one stream."""
    return _OpenAIStreamTranslator(provider, quirks)


class _OpenAIStreamTranslator:
    """The state of one stream. Finish reasons and usage are held back until the end, so that nothing follows them.

    A plain chunk whose envelope is the one before (`_plain_envelope`) differs from it in id, time and choices alone:
    the envelope is not cleaned again, but copied from `_plain_chunk`, which became of that one.
    """

    __slots__ = (
        *("_done_ends", "_envelope", "_first", "_misses", "_other_fields", "_plain_chunk", "_plain_envelope"),
        *("_provider", "_sources", "_streams", "_text_misses", "_think_tags", "_usage", "done"),
    )

    def __init__(self, provider: str, quirks: Quirks) -> None:
        self.done = False
        self._provider = provider
        self._think_tags = quirks.think_tags
        self._done_ends = quirks.done_ends
        self._streams: dict[int, OpenAIChoiceStream] = {}
        self._first: OpenAIChoiceStream | None = None
        """The choice 0, once it has begun."""
        self._usage = self._sources = self._envelope = self._other_fields = self._plain_chunk = _NO_FIELDS
        self._plain_envelope: tuple[str | None, ...] = ()
        self._misses = self._text_misses = 0

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunk of this event to `out`, if there is one. Raises `UpstreamError`."""
        data = event.data
        if data == "[DONE]":
            self.done = True
            return
        first = self._first
        if first is not None and first.passes_texts and self._text_misses < _MAX_MISSES and event.type == "message":
            try:
                piece = decode_text_chunk(data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                self._text_misses += 1
            else:
                self._text_misses = 0
                envelope = piece.model, piece.system_fingerprint, piece.service_tier, piece.provider
                if envelope == self._plain_envelope:
                    text = self._plain_chunk.copy()
                    text["id"], text["created"] = piece.id, piece.created
                    delta: Json = {"content": piece.choices[0].delta.content}
                    text["choices"] = [{"index": 0, "delta": delta, "finish_reason": None}]
                    # Unknown fields pass through a TypedDict.
                    out.append(text)  # pyright: ignore[reportArgumentType]
                    return
        plain, envelope = None, ()
        if self._misses < _MAX_MISSES and event.type == "message":
            try:
                plain = decode_chunk(data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                self._misses += 1
            else:
                self._misses = 0
                envelope = plain.model, plain.system_fingerprint, plain.service_tier, plain.provider
                if envelope == self._plain_envelope:
                    self._add_plain(plain, out)
                    return
        chunk = self._read(event)
        if chunk is not None:
            if plain is not None:
                self._plain_envelope, self._plain_chunk = envelope, cast("JsonObject", {**chunk})
            out.append(chunk)

    def _add_plain(self, plain: PlainChunk, out: list[Chunk]) -> None:
        """Append the chunk of a plain one whose envelope is the one before."""
        if plain.usage:
            self._usage = merge_counts(self._usage, plain.usage)
        choices: list[Json] = []
        for each in plain.choices:
            stream = self._streams.get(each.index)
            if stream is None or each.finish_reason or each.content_filter_results:
                filtered = each.content_filter_results
                extras: JsonObject = {"content_filter_results": filtered} if filtered else _NO_FIELDS
                finish = each.finish_reason, each.native_finish_reason
                choice = self._add(each.index, each.delta, finish, None, extras)
                if choice is not None:
                    choices.append(choice)
            elif (delta := stream.add(each.delta)) is not None:
                choices.append({"index": each.index, "delta": delta, "finish_reason": None})
        if not choices:
            self._store_fields(structs.asdict(plain))
            return
        chunk = self._plain_chunk.copy()
        chunk["id"], chunk["created"], chunk["choices"] = plain.id, plain.created, choices
        # Unknown fields pass through a TypedDict.
        out.append(chunk)  # pyright: ignore[reportArgumentType]

    def _read(self, event: StreamEvent) -> Chunk | None:
        """Return the chunk of any event. Raises `UpstreamError`."""
        data = event.data
        try:
            raw = decode_reply(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raw = data if isinstance(data, str) else data.decode("utf-8", "replace")
            if not raw.strip() or event.type not in ("message", "error"):
                return None
        if not isinstance(raw, dict) or event.type == "error" or raw.get("error"):
            if isinstance(raw, int | float | None):
                return None  # official SDKs skip it too
            raise self._error(event, raw)
        return self._chunk(raw)

    def _error(self, event: StreamEvent, raw: Json) -> Exception:
        match raw:
            case dict() | [{"error": _}, *_]:
                return failure.from_event(self._provider, raw)
            case str() if event.type == "error":
                return failure.from_event(self._provider, raw)
            case _:
                return ProviderMalformed(f"{self._provider} sent an invalid chunk.")

    def _chunk(self, raw: JsonObject) -> Chunk | None:
        if isinstance(raw_usage := raw.get("usage"), dict) and raw_usage:
            self._usage = merge_counts(self._usage, raw_usage)
        if "x_groq" in raw:
            self._read_groq(raw["x_groq"])
        choices = raw.get("choices")
        if not choices or not isinstance(choices, list):
            if choices is None and failure.is_error_body(raw):
                raise failure.from_event(self._provider, raw)
            self._store_fields(raw)
            return None
        clean_choices: list[Json] = [
            clean
            for position, choice in enumerate(choices)
            if isinstance(choice, dict) and (clean := self._choice(choice, position)) is not None
        ]
        if not clean_choices or not self._envelope or "citations" in raw:
            self._store_fields(raw)
        if not clean_choices:
            return None
        chunk: JsonObject = {
            name: value for name, value in raw.items() if name not in _NOISE and value not in (None, "")
        }
        if "service_tier" in chunk:
            normalise.move_service_tier(chunk)
        chunk["object"] = "chat.completion.chunk"
        chunk["choices"] = clean_choices
        if not isinstance(chunk.get("system_fingerprint"), str):
            chunk["system_fingerprint"] = None
        return chunk  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict

    def _read_groq(self, extra: Json) -> None:
        match extra:
            case {"error": str(message)}:
                raise failure.from_event(self._provider, {"error": message})
            case {"usage": dict(usage_counts)}:
                self._usage = merge_counts(self._usage, usage_counts)
            case _:
                pass

    def _store_fields(self, raw: JsonObject) -> None:
        """Store a chunk's fields other than its choices: they go into the last chunks if this one is not passed on."""
        envelope, sources, other_fields = self._envelope or {}, self._sources or {}, self._other_fields or {}
        for name, value in raw.items():
            if value in normalise.EMPTY_VALUES:
                continue
            if name in _ENVELOPE:
                envelope[name] = value
            elif name in ("citations", "search_results"):
                sources[name] = value
            elif name not in _NOISE:
                other_fields[name] = value
        self._envelope, self._sources, self._other_fields = envelope, sources or _NO_FIELDS, other_fields or _NO_FIELDS

    def _choice(self, raw: JsonObject, position: int) -> JsonObject | None:
        index, delta = raw.get("index"), raw.get("delta")
        if not isinstance(index, int):
            index = position
        if not isinstance(delta, dict):
            # A late result of Azure's content filter has no delta; others send a whole message in its place.
            delta = {} if index in self._streams else choice_content(raw)
        if raw.get("error"):
            raise failure.from_event(self._provider, {"error": raw["error"]})
        if isinstance(raw_usage := raw.get("usage"), dict):  # Moonshot
            self._usage = merge_counts(self._usage, raw_usage)
        extras: JsonObject = {}
        if not _OF_CHOICE.issuperset(raw):
            others = {name: value for name, value in raw.items() if name not in _OF_CHOICE}
            extras = {name: value for name, value in others.items() if value not in normalise.EMPTY_VALUES}
        finish = raw.get("finish_reason"), raw.get("native_finish_reason")
        return self._add(index, delta, finish, clean_logprobs(raw.get("logprobs")), extras)

    def _add(
        self, index: int, delta: JsonObject, finish: tuple[Json, Json], logprobs: Json, extras: JsonObject
    ) -> JsonObject | None:
        """Return the choice to pass on, None if it is empty. `finish` is its finish reason, and the native one."""
        stream = self._streams.get(index)
        if stream is None:
            stream = self._streams[index] = OpenAIChoiceStream(self._think_tags)
            if index == 0:
                self._first = stream
        clean_delta = stream.add(delta)
        if finish[0]:
            stream.set_finish(*finish, extras)
        if clean_delta is None and logprobs is None:
            return None
        choice: JsonObject = {"index": index, "delta": clean_delta or {}, "finish_reason": None}
        if logprobs is not None:
            choice["logprobs"] = logprobs
        if extras:
            choice.update(extras)
        return choice

    def end(self) -> list[Chunk]:
        """Return the last chunks. Raises `StreamCut` if the reply is incomplete.

        Usage and `[DONE]` together complete a reply, even without a finish reason (Snowflake).
        """
        has_ended = self.done and bool(self._usage or self._done_ends)
        if not self._streams or not all(stream.finish_reason or has_ended for stream in self._streams.values()):
            raise StreamCut(f"{self._provider}'s stream ended before the reply was complete.")
        chunks: list[Chunk] = []
        for index, stream in sorted(self._streams.items()):
            sources = normalise.url_annotations(self._sources) if self._sources and not stream.has_annotations else []
            deltas = stream.pending(sources)
            chunks += [self._last_chunk({"index": index, "delta": each, "finish_reason": None}) for each in deltas]
        for index, stream in sorted(self._streams.items()):
            chunks.append(self._last_chunk({"index": index, "delta": {}, **stream.finish_fields()}, self._other_fields))
            self._other_fields = _NO_FIELDS
        if self._usage:
            chunks.append({**self._last_chunk(None), "usage": usage.normalise(self._usage)})
        return chunks

    def _last_chunk(self, choice: JsonObject | None, other_fields: JsonObject = _NO_FIELDS) -> Chunk:
        envelope: JsonObject = {"object": "chat.completion.chunk", "system_fingerprint": None}
        envelope |= {**self._envelope, **other_fields}
        normalise.move_service_tier(envelope)
        envelope["choices"] = [] if choice is None else [choice]
        return envelope  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
