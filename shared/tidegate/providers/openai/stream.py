"""A streamed reply of the dialect, in one shape: a role, contents, one finish for each choice, then usage.

Source: https://platform.openai.com/docs/api-reference/chat-streaming, and streams recorded from each provider up to
2026-07: usage beside choices (Mistral, DeepSeek, OpenRouter), in `x_groq` (Groq), in every chunk (Perplexity,
Databricks); roles in every delta (Ollama, OpenRouter); a finish that is repeated (OpenRouter) or never comes
(Snowflake); a first chunk without choices (Azure); no `[DONE]` (Perplexity, GPUStack); errors inside a 200 (Groq,
OpenRouter).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import msgspec

from tidegate.chat.completion import Chunk
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode
from tidegate.providers import stream_loop
from tidegate.providers.base import StreamEvent
from tidegate.providers.openai import failure, normalise, usage
from tidegate.providers.openai.choice_stream import OpenAIChoiceStream
from tidegate.providers.openai.completion import clean_logprobs
from tidegate.providers.openai.quirks import Quirks

_NOISE = frozenset({"obfuscation", "p", "x_groq", "choices", "usage", "object", "citations", "search_results"})
_ENVELOPE = frozenset({"id", "created", "model", "system_fingerprint", "service_tier", "provider"})
_OF_CHOICE = frozenset({"index", "delta", "finish_reason", "native_finish_reason", "logprobs", "message", "text"})
_NOTHING: JsonObject = {}


def parse(provider: str, quirks: Quirks, events: AsyncIterator[Sequence[StreamEvent]]) -> AsyncGenerator[list[Chunk]]:
    """The chunks of each batch of events, and what is due at the end. Raises `UpstreamError`."""
    return stream_loop.translate_stream(_OpenAIStreamTranslator(provider, quirks), events)


class _OpenAIStreamTranslator:
    """What has come so far. Finish reasons and usage are kept back until the end, so that nothing follows them."""

    def __init__(self, provider: str, quirks: Quirks) -> None:
        self.done = False
        self._provider = provider
        self._think_tags = quirks.think_tags
        self._done_ends = quirks.done_ends
        self._voices: dict[int, OpenAIChoiceStream] = {}
        self._usage: Json = None
        self._sources: JsonObject = {}
        self._envelope: JsonObject = {}
        self._rest: JsonObject = {}

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunk that the event makes, if it makes one."""
        data = event.data
        if data == "[DONE]":
            self.done = True
            return
        try:
            raw = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raw = data if isinstance(data, str) else data.decode("utf-8", "replace")
            if not raw.strip():
                return
        if not isinstance(raw, dict) or event.type == "error" or raw.get("error"):
            raise self._failure(event, raw)
        chunk = self._chunk(raw)
        if chunk is not None:
            out.append(chunk)

    def _failure(self, event: StreamEvent, raw: Json) -> Exception:
        match raw:
            case dict() | [{"error": _}, *_]:
                return failure.from_event(self._provider, raw)
            case str() if event.type == "error":
                return failure.from_event(self._provider, raw)
            case _:
                return ProviderMalformed(f"{self._provider} sent an event that is no chunk.")

    def _chunk(self, raw: JsonObject) -> Chunk | None:
        if raw.get("usage"):
            self._usage = raw["usage"]
        if "x_groq" in raw:
            self._groq(raw["x_groq"])
        choices = raw.get("choices")
        if not choices:
            if choices is None and failure.is_error_body(raw):
                raise failure.from_event(self._provider, raw)
            self._keep(raw)
            return None
        if not isinstance(choices, list):
            raise ProviderMalformed(f"{self._provider} sent choices that are no list.")
        clean: list[Json] = [choice for one in choices if (choice := self._choice(one)) is not None]
        if not clean or not self._envelope or "citations" in raw:
            self._keep(raw)
        if not clean:
            return None
        chunk: JsonObject = {
            name: value for name, value in raw.items() if name not in _NOISE and value not in (None, "")
        }
        if "service_tier" in chunk:
            normalise.move_service_tier(chunk)
        chunk["object"] = "chat.completion.chunk"
        chunk["choices"] = clean
        if not chunk.get("system_fingerprint"):
            chunk["system_fingerprint"] = None
        return chunk  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict

    def _groq(self, extra: Json) -> None:
        match extra:
            case {"error": str(said)}:
                raise failure.from_event(self._provider, {"error": said})
            case {"usage": dict(counted)}:
                self._usage = counted
            case _:
                pass

    def _keep(self, raw: JsonObject) -> None:
        """Keep what a chunk says beside its choices: for the last chunks, where this one is not passed on."""
        for name, value in raw.items():
            if value in normalise.EMPTY_VALUES:
                continue
            if name in _ENVELOPE:
                self._envelope[name] = value
            elif name in ("citations", "search_results"):
                self._sources[name] = value
            elif name not in _NOISE:
                self._rest[name] = value

    def _choice(self, raw: Json) -> JsonObject | None:
        match raw:
            case {"index": int(index), "delta": dict(delta)}:
                pass
            case {"delta": dict(delta)}:
                index = 0
            case {"index": int(index), "delta": None}:
                delta = {}
            case {"index": int(index), "finish_reason": str()} | {
                "index": int(index),
                "content_filter_results": dict(),
            }:
                delta = {}  # the latter: what Azure's filter found while the text was already on its way
            case _:
                raise ProviderMalformed(f"{self._provider} sent a choice of the wrong shape.")
        voice = self._voices.get(index)
        if voice is None:
            voice = self._voices[index] = OpenAIChoiceStream(self._think_tags)
        said = voice.add(delta)
        extras: JsonObject = {}
        if len(raw) > 3:
            extras = {
                name: value
                for name, value in raw.items()
                if name not in _OF_CHOICE and value not in normalise.EMPTY_VALUES
            }
        if raw.get("finish_reason"):
            voice.set_finish(raw["finish_reason"], raw.get("native_finish_reason"), extras)
        chances = clean_logprobs(raw.get("logprobs"))
        if said is None and chances is None:
            return None
        choice: JsonObject = {"index": index, "delta": said or {}, "finish_reason": None}
        if chances is not None:
            choice["logprobs"] = chances
        if extras:
            choice.update(extras)
        return choice

    def end(self) -> list[Chunk]:
        """What is due at the end. Raises `StreamCut` where the reply has none.

        A provider that counted the tokens and said `[DONE]` ended the reply, even where it gave no reason (Snowflake).
        """
        ended = self.done and bool(self._usage or self._done_ends)
        if not self._voices or not all(voice.reason or ended for voice in self._voices.values()):
            raise StreamCut(f"{self._provider}'s stream ended before the reply did.")
        chunks: list[Chunk] = []
        for index, voice in sorted(self._voices.items()):
            sources = normalise.url_annotations(self._sources) if self._sources and not voice.annotated else []
            chunks += [self._last({"index": index, "delta": d, "finish_reason": None}) for d in voice.pending(sources)]
        for index, voice in sorted(self._voices.items()):
            chunks.append(self._last({"index": index, "delta": {}, **voice.finish_fields()}, self._rest))
            self._rest = {}
        if self._usage:
            chunks.append({**self._last(None), "usage": usage.normalise(self._usage)})
        return chunks

    def _last(self, choice: JsonObject | None, rest: JsonObject = _NOTHING) -> Chunk:
        envelope: JsonObject = {"object": "chat.completion.chunk", "system_fingerprint": None, **self._envelope, **rest}
        normalise.move_service_tier(envelope)
        envelope["choices"] = [] if choice is None else [choice]
        return envelope  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
