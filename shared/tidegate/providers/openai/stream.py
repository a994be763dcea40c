"""Translates a streamed reply into one shape: for each choice a role, content and one finish reason; then usage.

Source: https://platform.openai.com/docs/api-reference/chat-streaming, and streams recorded from each provider up to
2026-07: usage beside choices (Mistral, DeepSeek, OpenRouter), in `x_groq` (Groq), in every chunk (Perplexity,
Databricks); roles in every delta (Ollama, OpenRouter); a finish reason that is repeated (OpenRouter) or missing
(Snowflake); a first chunk without choices (Azure); no `[DONE]` (Perplexity, GPUStack); errors inside a 200 (Groq,
OpenRouter).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import msgspec

from tidegate.chat.completion import Chunk
from tidegate.domain.usage import merge_counts
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode_reply
from tidegate.providers import stream_loop
from tidegate.providers.base import StreamEvent
from tidegate.providers.openai import failure, normalise, usage
from tidegate.providers.openai.choice_stream import OpenAIChoiceStream
from tidegate.providers.openai.completion import choice_content, clean_logprobs
from tidegate.providers.openai.quirks import Quirks

_NOISE = frozenset({"obfuscation", "p", "x_groq", "choices", "usage", "object", "citations", "search_results"})
_ENVELOPE = frozenset({"id", "created", "model", "system_fingerprint", "service_tier", "provider"})
_OF_CHOICE = frozenset(
    {"index", "delta", "finish_reason", "native_finish_reason", "logprobs", "message", "text", "usage", "error"}
)
_NO_FIELDS: JsonObject = {}


def parse(provider: str, quirks: Quirks, events: AsyncIterator[Sequence[StreamEvent]]) -> AsyncGenerator[list[Chunk]]:
    """Yield the chunks of each batch of events, then the last chunks. Raises `UpstreamError`."""
    return stream_loop.translate_stream(_OpenAIStreamTranslator(provider, quirks), events)


class _OpenAIStreamTranslator:
    """The state of one stream. Finish reasons and usage are held back until the end, so that nothing follows them."""

    def __init__(self, provider: str, quirks: Quirks) -> None:
        self.done = False
        self._provider = provider
        self._think_tags = quirks.think_tags
        self._done_ends = quirks.done_ends
        self._streams: dict[int, OpenAIChoiceStream] = {}
        self._usage: JsonObject = {}
        self._sources: JsonObject = {}
        self._envelope: JsonObject = {}
        self._other_fields: JsonObject = {}

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunk of this event to `out`, if there is one. Raises `UpstreamError`."""
        data = event.data
        if data == "[DONE]":
            self.done = True
            return
        try:
            raw = decode_reply(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raw = data if isinstance(data, str) else data.decode("utf-8", "replace")
            if not raw.strip() or event.type not in ("message", "error"):
                return
        if not isinstance(raw, dict) or event.type == "error" or raw.get("error"):
            if isinstance(raw, int | float | None):
                return  # official SDKs skip it too
            raise self._error(event, raw)
        chunk = self._chunk(raw)
        if chunk is not None:
            out.append(chunk)

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
        for name, value in raw.items():
            if value in normalise.EMPTY_VALUES:
                continue
            if name in _ENVELOPE:
                self._envelope[name] = value
            elif name in ("citations", "search_results"):
                self._sources[name] = value
            elif name not in _NOISE:
                self._other_fields[name] = value

    def _choice(self, raw: JsonObject, position: int) -> JsonObject | None:
        index, delta = raw.get("index"), raw.get("delta")
        if not isinstance(index, int):
            index = position
        stream = self._streams.get(index)
        if not isinstance(delta, dict):
            # A late result of Azure's content filter has no delta; others send a whole message in its place.
            delta = {} if stream is not None else choice_content(raw)
        if stream is None:
            stream = self._streams[index] = OpenAIChoiceStream(self._think_tags)
        if raw.get("error"):
            raise failure.from_event(self._provider, {"error": raw["error"]})
        if isinstance(raw_usage := raw.get("usage"), dict):  # Moonshot
            self._usage = merge_counts(self._usage, raw_usage)
        clean_delta = stream.add(delta)
        extras: JsonObject = {}
        if len(raw) > 3 or "delta" not in raw:
            others = {name: value for name, value in raw.items() if name not in _OF_CHOICE}
            extras = {name: value for name, value in others.items() if value not in normalise.EMPTY_VALUES}
        if raw.get("finish_reason"):
            stream.set_finish(raw["finish_reason"], raw.get("native_finish_reason"), extras)
        choice_logprobs = clean_logprobs(raw.get("logprobs"))
        if clean_delta is None and choice_logprobs is None:
            return None
        choice: JsonObject = {"index": index, "delta": clean_delta or {}, "finish_reason": None}
        if choice_logprobs is not None:
            choice["logprobs"] = choice_logprobs
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
            self._other_fields = {}
        if self._usage:
            chunks.append({**self._last_chunk(None), "usage": usage.normalise(self._usage)})
        return chunks

    def _last_chunk(self, choice: JsonObject | None, other_fields: JsonObject = _NO_FIELDS) -> Chunk:
        envelope: JsonObject = {"object": "chat.completion.chunk", "system_fingerprint": None}
        envelope |= {**self._envelope, **other_fields}
        normalise.move_service_tier(envelope)
        envelope["choices"] = [] if choice is None else [choice]
        return envelope  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
