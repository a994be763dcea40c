"""The events of streamGenerateContent as chunks: a role, contents, one finish for each candidate, then usage.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (2026-11, with `alt=sse`). Every
event is a whole reply; its counts are those so far. There is no `[DONE]`: only a finish reason tells an end from a cut.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import msgspec

from tidegate.chat.completion import Chunk
from tidegate.chat.json import Json, JsonObject, decode
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.providers.base import Event
from tidegate.providers.gemini import failure, logprobs, usage
from tidegate.providers.gemini.completion import block, counts
from tidegate.providers.gemini.voice import Voice


async def parse(provider: str, events: AsyncIterator[Sequence[Event]]) -> AsyncGenerator[list[Chunk]]:
    """The chunks of each batch of events, and what is due at the end. Raises `UpstreamError`."""
    stream = _Stream(provider)
    async for batch in events:
        chunks = [chunk for event in batch if (chunk := stream.feed(event)) is not None]
        if chunks:
            yield chunks
    yield stream.end()


class _Stream:
    """What has come so far. Finish reasons and counts are kept back until the end, so that nothing follows them."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._voices: dict[int, Voice] = {}
        self._counts: JsonObject | None = None
        self._blocked: tuple[str, str | None] | None = None

    def feed(self, event: Event) -> Chunk | None:
        """The chunk that the event makes, if it makes one."""
        raw = self._decoded(event)
        if raw is None:
            return None
        if "usageMetadata" in raw:
            self._counts = counts(raw) or self._counts
        if "promptFeedback" in raw:
            self._blocked = block(raw) or self._blocked
        candidates = raw.get("candidates")
        if not candidates:
            return None
        if not isinstance(candidates, list):
            raise ProviderMalformed(f"{self._provider} sent candidates that are no list.")
        choices: list[Json] = []
        for place, candidate in enumerate(candidates):
            choice = self._choice(candidate, place, raw.get("responseId"))
            if choice is not None:
                choices.append(choice)
        return _chunk(choices) if choices else None

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
            chunks.append({"object": "chat.completion.chunk", "choices": [], "usage": usage.read(self._counts)})
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
