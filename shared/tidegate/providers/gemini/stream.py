"""The events of streamGenerateContent as chunks: a role, contents, one finish for each candidate, then usage.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (2026-11, with `alt=sse`). Every
event is a whole reply; its counts are those so far. There is no `[DONE]`: only a finish reason tells an end from a cut.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import msgspec

from tidegate.chat.completion import Chunk
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.json import Json, JsonObject, decode
from tidegate.providers import stream_loop
from tidegate.providers.base import Event
from tidegate.providers.gemini import failure, logprobs, usage
from tidegate.providers.gemini.choice_stream import Voice
from tidegate.providers.gemini.completion import block, counts


def parse(provider: str, events: AsyncIterator[Sequence[Event]]) -> AsyncGenerator[list[Chunk]]:
    """The chunks of each batch of events, and what is due at the end. Raises `UpstreamError`."""
    return stream_loop.read(_Stream(provider), events)


class _Stream:
    """What has come so far. Finish reasons and counts are kept back until the end, so that nothing follows them."""

    def __init__(self, provider: str) -> None:
        self.done = False  # there may always be another event
        self._provider = provider
        self._voices: dict[int, Voice] = {}
        self._counts: JsonObject | None = None
        self._blocked: tuple[str, str | None] | None = None
        self._version: Json = None

    def feed(self, event: Event, out: list[Chunk]) -> None:
        """Append the chunk that the event makes, if it makes one."""
        raw = self._decoded(event)
        if raw is None:
            return
        if "promptFeedback" in raw:
            self._blocked = block(raw) or self._blocked
        candidates = raw.get("candidates")
        if candidates:
            self._hear(candidates, raw.get("responseId"), out)
        if "usageMetadata" in raw:
            self._count(counts(raw), out)
            self._version = raw.get("modelVersion") or self._version

    def _hear(self, candidates: Json, response_id: Json, out: list[Chunk]) -> None:
        if not isinstance(candidates, list):
            raise ProviderMalformed(f"{self._provider} sent candidates that are no list.")
        choices: list[Json] = []
        for place, candidate in enumerate(candidates):
            choice = self._choice(candidate, place, response_id)
            if choice is not None:
                choices.append(choice)
        if choices:
            out.append(_chunk(choices))

    def _count(self, counted: JsonObject | None, out: list[Chunk]) -> None:
        if counted is None:
            return
        if self._counts is None:
            out.append(stream_loop.early_usage(usage.read(counted)))
        self._counts = counted

    def end(self) -> list[Chunk]:
        """What is still owed. Raises `StreamCut` where a candidate has no finish."""
        if self._blocked is not None:
            self._end_blocked(*self._blocked)
        if not self._voices or any(voice.native is None for voice in self._voices.values()):
            raise StreamCut(f"{self._provider} broke off in the middle of its answer.")
        tier = None if self._counts is None else usage.tier(self._counts)
        chunks: list[Chunk] = []
        for index, voice in self._voices.items():
            last: JsonObject = {} if voice.heard else {"role": "assistant", "content": None if voice.refusal else ""}
            noted = voice.annotations()
            if noted:
                last["annotations"] = noted
            if voice.refusal:
                last["refusal"] = voice.refusal
            if last:
                chunks.append(_chunk([{"index": index, "delta": last, "finish_reason": None}]))
            finish = _chunk([{"index": index, "delta": {}, **voice.ending()}])
            chunks.append(finish if tier is None else {**finish, "service_tier": tier})
        if self._counts is not None:
            queries = {query for voice in self._voices.values() for query in voice.queries}
            searches = usage.searches(self._counts, queries, self._version)
            chunks.append(stream_loop.usage(usage.read(self._counts, searches)))
        return chunks

    def _decoded(self, event: Event) -> JsonObject | None:
        data = event.data
        if not data.strip():
            return None
        try:
            raw = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raw = None
        if isinstance(raw, dict) and "error" not in raw:
            return raw
        if failure.is_error(raw):
            raise failure.from_reply(self._provider, 200, {}, raw)
        raise ProviderMalformed(f"{self._provider} sent an event that is no reply.")

    def _choice(self, candidate: Json, place: int, response_id: Json) -> JsonObject | None:
        if not isinstance(candidate, dict):
            raise ProviderMalformed(f"{self._provider} sent a candidate that is no object.")
        index = candidate.get("index")
        index = index if isinstance(index, int) else place
        voice = self._voices.get(index)
        if voice is None:
            voice = self._voices[index] = Voice()
        delta = voice.hear(candidate, response_id)
        if not delta:
            return None
        if not voice.heard:
            voice.heard = True
            delta = {"role": "assistant", **delta}
        choice: JsonObject = {"index": index, "delta": delta, "finish_reason": None}
        if "logprobsResult" in candidate:
            choice["logprobs"] = logprobs.read(candidate["logprobsResult"])
        return choice

    def _end_blocked(self, reason: str, message: str | None) -> None:
        """A blocked prompt has no candidates: it is an answer all the same, filtered."""
        for voice in self._voices.values() or [self._voices.setdefault(0, Voice())]:
            if voice.native is None:
                voice.end_blocked(reason, message)


def _chunk(choices: list[Json]) -> Chunk:
    chunk: JsonObject = {"object": "chat.completion.chunk", "choices": choices}
    return chunk  # pyright: ignore[reportReturnType]  # Google's own fields pass through a TypedDict
