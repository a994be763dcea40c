"""streamGenerateContent's events as chunks: the role, content, one finish reason for each candidate, then usage.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (2026-11, with `alt=sse`). Every
event is a complete reply with the counts so far. There is no `[DONE]`: a stream without a finish reason was cut.
"""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tidegate.chat.completion import Chunk
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode_reply_or_none
from tidegate.providers import stream_loop
from tidegate.providers.base import StreamEvent, StreamTranslator
from tidegate.providers.gemini import failure, logprobs, usage
from tidegate.providers.gemini.choice_stream import GeminiChoiceStream
from tidegate.providers.gemini.completion import parse_block_reason, parse_usage_metadata

_MAX_MISSES = 8
"""After so many events in a row that are not a piece of a text, the next ones of the stream are not tried."""


class _Part(Struct, forbid_unknown_fields=True):
    text: str


class _Content(Struct):
    parts: tuple[_Part]


class _Candidate(Struct, forbid_unknown_fields=True):
    content: _Content
    index: int = 0


class _TextEvent(Struct, forbid_unknown_fields=True, rename="camel"):
    """The most frequent event: a piece of a text."""

    candidates: tuple[_Candidate]
    usage_metadata: dict[str, Any] | UnsetType | None = UNSET
    model_version: Any = None
    response_id: Any = None
    create_time: Any = None


_decode_text = msgspec.json.Decoder(_TextEvent).decode


def new_stream(provider: str) -> StreamTranslator:
    """Return the translator of one stream."""
    return _GeminiStreamTranslator(provider)


class _GeminiStreamTranslator:
    """The state of one stream. Finish reasons and usage are sent at the end, so that no content follows them."""

    def __init__(self, provider: str) -> None:
        self.done = False  # only the connection's end ends the stream
        self._provider = provider
        self._choice_streams: dict[int, GeminiChoiceStream] = {}
        self._usage_metadata: JsonObject | None = None
        self._block_reason: tuple[str, str | None] | None = None
        self._model_version: Json = None
        self._misses = 0

    def feed(self, event: StreamEvent, out: list[Chunk]) -> None:
        """Append the chunks for the event, if any, to `out`."""
        if self._misses < _MAX_MISSES:
            try:
                piece = _decode_text(event.data)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                self._misses += 1
            else:
                self._misses = 0
                self._add_text(piece, out)
                return
        raw = self._decode_event(event)
        if raw is None:
            return
        if "promptFeedback" in raw:
            self._block_reason = parse_block_reason(raw) or self._block_reason
        candidates = raw.get("candidates")
        if candidates:
            self._translate_candidates(candidates, raw.get("responseId"), out)
        if "usageMetadata" in raw:
            self._keep_usage(parse_usage_metadata(raw), out)
            self._model_version = raw.get("modelVersion") or self._model_version

    def _add_text(self, piece: _TextEvent, out: list[Chunk]) -> None:
        [candidate] = piece.candidates
        [part] = candidate.content.parts
        stream = self._choice_streams.get(candidate.index)
        if stream is None:
            stream = self._choice_streams[candidate.index] = GeminiChoiceStream()
        if part.text:
            delta: JsonObject = stream.add_text(part.text)
            if not stream.role_sent:
                stream.role_sent = True
                delta = {"role": "assistant", **delta}
            out.append(_chunk([{"index": candidate.index, "delta": delta, "finish_reason": None}]))
        if piece.usage_metadata is not UNSET:
            self._keep_usage(parse_usage_metadata({"usageMetadata": piece.usage_metadata}), out)
            self._model_version = piece.model_version or self._model_version

    def _translate_candidates(self, candidates: Json, response_id: Json, out: list[Chunk]) -> None:
        choices: list[Json] = []
        for position, candidate in enumerate(candidates if isinstance(candidates, list) else [candidates]):
            if not isinstance(candidate, dict):
                continue
            choice = self._choice(candidate, position, response_id)
            if choice is not None:
                choices.append(choice)
        if choices:
            out.append(_chunk(choices))

    def _keep_usage(self, usage_metadata: JsonObject | None, out: list[Chunk]) -> None:
        if usage_metadata is None:
            return
        if self._usage_metadata is None:
            out.append(stream_loop.early_usage_chunk(usage.normalise(usage_metadata)))
        # The last counts are right, and may be lower (recorded). But what was counted is not 0 in the end.
        earlier = self._usage_metadata
        if earlier and not all(usage_metadata.values()):
            usage_metadata = {name: count or earlier.get(name, count) for name, count in usage_metadata.items()}
        self._usage_metadata = usage_metadata

    def end(self) -> list[Chunk]:
        """Return the last chunks. Raises `StreamCut` if a candidate has no finish reason."""
        if self._block_reason is not None:
            self._mark_blocked(*self._block_reason)
        choices = self._choice_streams.values()
        if not choices or any(choice.native_finish_reason is None for choice in choices):
            raise StreamCut(f"{self._provider}'s stream ended before the reply was complete.")
        service_tier = None if self._usage_metadata is None else usage.service_tier(self._usage_metadata)
        chunks: list[Chunk] = []
        for index, choice in self._choice_streams.items():
            delta: JsonObject = {}
            if not choice.role_sent:
                delta = {"role": "assistant", "content": None if choice.refusal else ""}
            annotations = choice.annotations()
            if annotations:
                delta["annotations"] = annotations
            if choice.refusal:
                delta["refusal"] = choice.refusal
            if delta:
                chunks.append(_chunk([{"index": index, "delta": delta, "finish_reason": None}]))
            finish = _chunk([{"index": index, "delta": {}, **choice.finish_fields()}])
            chunks.append(finish if service_tier is None else {**finish, "service_tier": service_tier})
        if self._usage_metadata is not None:
            queries = {query for choice in choices for query in choice.queries}
            searches = usage.billed_searches(self._usage_metadata, queries, self._model_version)
            chunks.append(stream_loop.usage_chunk(usage.normalise(self._usage_metadata, searches)))
        return chunks

    def _decode_event(self, event: StreamEvent) -> JsonObject | None:
        data = event.data
        if not data.strip():
            return None
        raw = decode_reply_or_none(data)
        if isinstance(raw, dict) and not raw.get("error"):
            return raw
        if failure.is_error(raw):
            raise failure.from_reply(self._provider, 200, {}, raw)
        raise ProviderMalformed(f"{self._provider} sent an invalid event.")

    def _choice(self, candidate: JsonObject, position: int, response_id: Json) -> JsonObject | None:
        index = candidate.get("index")
        index = index if isinstance(index, int) else position
        choice_stream = self._choice_streams.get(index)
        if choice_stream is None:
            choice_stream = self._choice_streams[index] = GeminiChoiceStream()
        delta = choice_stream.add(candidate, response_id)
        if not delta:
            return None
        if not choice_stream.role_sent:
            choice_stream.role_sent = True
            delta = {"role": "assistant", **delta}
        choice: JsonObject = {"index": index, "delta": delta, "finish_reason": None}
        if "logprobsResult" in candidate:
            choice["logprobs"] = logprobs.parse_logprobs(candidate["logprobsResult"])
        return choice

    def _mark_blocked(self, reason: str, message: str | None) -> None:
        """Finish the choices of a blocked prompt as filtered; without candidates, add one."""
        if not self._choice_streams:
            self._choice_streams[0] = GeminiChoiceStream()
        for choice_stream in self._choice_streams.values():
            if choice_stream.native_finish_reason is None:
                choice_stream.mark_blocked(reason, message)


def _chunk(choices: list[Json]) -> Chunk:
    chunk: JsonObject = {"object": "chat.completion.chunk", "choices": choices}
    return chunk  # pyright: ignore[reportReturnType]  # Google's own fields pass through a TypedDict
