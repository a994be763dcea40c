"""`demo/echo`: a provider inside the process that repeats the prompt, so that a first call needs no provider key.

It answers with the bytes of OpenAI's dialect, so that a demo call is translated, streamed and metered like any other.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from tidegate.chat.fields import ChatFields
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.json import Json, JsonObject, decode, encode
from tidegate.providers.compatible_row import Row
from tidegate.providers.openai.quirks import OPENAI_ONLY, Quirks
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport

DEMO_PROVIDER = "demo"
DEMO_BASE_URL = "http://demo.invalid/v1"

_HONOURED = {"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens"}
_REASONING = {"reasoning", "reasoning_effort", "thinking"}  # reported as ignored through `Quirks.reasoning`

_DEMO_QUIRKS = Quirks(
    unsupported=(OPENAI_ONLY | frozenset(ChatFields.__struct_fields__) | {"audio", "modalities", "verbosity"})
    - GATEWAY_FIELDS
    - _HONOURED
    - _REASONING,
    tool_choices=frozenset(),
    reasoning="none",
    structured_outputs="as_sent",
)

DEMO_ROW = Row(DEMO_PROVIDER, DEMO_BASE_URL, _DEMO_QUIRKS, key=None, auth=None)

_WORDS = re.compile(r"\S+\s*")


class DemoTransport:
    """A transport that answers for the demo provider's URL, and passes all other requests on to `inner`."""

    def __init__(self, inner: Transport, pause_seconds: float = 0.02) -> None:
        self._inner = inner
        self._pause = pause_seconds

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncGenerator[HttpResponse]:
        if request.url.startswith(DEMO_BASE_URL):
            yield _DemoResponse(request.body, self._pause)
            return
        async with self._inner.open(request, timeouts) as response:
            yield response

    async def close(self) -> None:
        await self._inner.close()


class _DemoResponse:
    def __init__(self, body: bytes, pause_seconds: float) -> None:
        request = decode(body)
        self._request: JsonObject = request if isinstance(request, dict) else {}
        self._pause = pause_seconds
        self._streams = self._request.get("stream") is True
        self.status = 200
        content_type = "text/event-stream" if self._streams else "application/json"
        self.headers: Mapping[str, str] = {"content-type": content_type}

    async def read(self, limit: int) -> bytes:
        return self._completion()

    def _completion(self) -> bytes:
        words = self._words()
        message: Json = {"role": "assistant", "content": "".join(words)}
        choice: Json = {"index": 0, "message": message, "finish_reason": self._finish_reason(words)}
        return encode({"object": "chat.completion", "choices": [choice], "usage": self._usage(words)})

    async def chunks(self) -> AsyncGenerator[bytes]:
        if not self._streams:
            yield self._completion()
            return
        words = self._words()
        yield _stream_event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        for word in words:
            await asyncio.sleep(self._pause)
            yield _stream_event([{"index": 0, "delta": {"content": word}, "finish_reason": None}])
        yield _stream_event([{"index": 0, "delta": {}, "finish_reason": self._finish_reason(words)}])
        yield _stream_event([], self._usage(words)) + b"data: [DONE]\n\n"

    def _words(self) -> list[str]:
        words = _WORDS.findall(_last_text(self._request)) or ["(nothing to say)"]
        return words[: self._limit()]

    def _limit(self) -> int | None:
        limit = self._request.get("max_completion_tokens") or self._request.get("max_tokens")
        return limit if isinstance(limit, int) else None

    def _finish_reason(self, words: list[str]) -> str:
        limit = self._limit()
        return "length" if limit is not None and len(words) >= limit else "stop"

    def _usage(self, words: list[str]) -> dict[str, Json]:
        """Return the usage; one word counts as one token."""
        prompt, answer = len(_WORDS.findall(_last_text(self._request))), len(words)
        return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def _last_text(request: JsonObject) -> str:
    messages = request.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        match message:
            case {"role": "user", "content": str(text)}:
                return text
            case {"role": "user", "content": list(parts)}:
                return " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)
            case _:
                pass
    return ""


def _stream_event(choices: list[Json], usage: Json = None) -> bytes:
    chunk: dict[str, Json] = {"object": "chat.completion.chunk", "choices": choices}
    if usage is not None:
        chunk["usage"] = usage
    return b"data: %b\n\n" % encode(chunk)
