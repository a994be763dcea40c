"""Providers with dialects of their own, as a test plays them: what one answers, whole and in the pieces of a stream.

All say "Create smarter." for a prompt of 100 tokens, of which the cache gave 40 and took 10 where the provider tells,
and count 12 tokens for it.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.upstream.frames import event, exception
from tests.world import USER, Handler

SAID = "Create smarter."
BEARER = "not-a-key-bedrock-bearer"


@dataclass(frozen=True)
class Native:
    """`cost` is in millionths of a dollar, `broken` the provider's own word inside a stream that it failed."""

    name: str
    model: str
    env: dict[str, str]
    path: str
    stream_path: str
    auth: tuple[str, str]
    plain: dict[str, Any]
    pieces: tuple[bytes, ...]
    broken: bytes
    broken_code: str
    cost: float
    written: int = 0
    kind: str = "text/event-stream"
    aliases: tuple[str, ...] = field(default=())

    @property
    def id(self) -> str:
        return f"{self.name}/{self.model}"

    @property
    def key(self) -> str:
        return self.auth[1].removeprefix("Bearer ")

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The whole reply, or the stream, whichever was asked for."""
        if self.stream_path in str(request.url):
            return self.stream(*self.pieces)
        return httpx.Response(200, json=self.plain)

    def stream(self, *pieces: bytes | Exception) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": self.kind}, stream=Pieces(pieces))


class Pieces(httpx.AsyncByteStream):
    """A body in pieces, each of which arrives alone; an exception breaks the connection."""

    def __init__(self, pieces: tuple[bytes | Exception, ...]) -> None:
        self._pieces = pieces

    async def __aiter__(self):
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def sse(data: Any, kind: str | None = None) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {kind}\n" if kind else "").encode() + f"data: {text}\n\n".encode()


def anthropic_events(*events: dict[str, Any]) -> tuple[bytes, ...]:
    return tuple(sse(one, one["type"]) for one in events)


_ANTHROPIC_USAGE = {"input_tokens": 50, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 10}

ANTHROPIC = Native(
    name="anthropic",
    model="claude-sonnet-4-5",
    env={"ANTHROPIC_API_KEY": "not-a-key-anthropic"},
    path="https://api.anthropic.com/v1/messages",
    stream_path="no other path",
    auth=("x-api-key", "not-a-key-anthropic"),
    plain={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": SAID}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {**_ANTHROPIC_USAGE, "output_tokens": 12},
    },
    pieces=anthropic_events(
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-4-5",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {**_ANTHROPIC_USAGE, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Create "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "smarter."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 12}},
        {"type": "message_stop"},
    ),
    broken=sse({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error"),
    broken_code="provider_overloaded",
    cost=50 * 3 + 40 * 0.3 + 10 * 3.75 + 12 * 15,
    written=10,
)

_GEMINI_USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 40,
    "candidatesTokenCount": 8,
    "thoughtsTokenCount": 4,
    "totalTokenCount": 112,
}


def gemini_reply(*parts: dict[str, Any], finish: str | None = "STOP") -> dict[str, Any]:
    ending = {"finishReason": finish} if finish else {}
    return {
        "candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0, **ending}],
        "usageMetadata": _GEMINI_USAGE,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r-1",
    }


_GEMINI_PIECES = (
    sse(gemini_reply({"text": "Create "}, finish=None)),
    sse(gemini_reply({"text": "smarter."}, finish=None)),
    sse(gemini_reply({"text": ""})),
)
_GEMINI_BROKEN = sse({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}})
_GEMINI_COST = 60 * 0.3 + 40 * 0.03 + 12 * 2.5

GEMINI = Native(
    name="gemini",
    model="gemini-2.5-flash",
    env={"GEMINI_API_KEY": "not-a-key-gemini"},
    path="https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent",
    stream_path=":streamGenerateContent?alt=sse",
    auth=("x-goog-api-key", "not-a-key-gemini"),
    plain=gemini_reply({"text": SAID}),
    pieces=_GEMINI_PIECES,
    broken=_GEMINI_BROKEN,
    broken_code="provider_overloaded",
    cost=_GEMINI_COST,
    aliases=("google",),
)

VERTEX = Native(
    name="vertex",
    model="gemini-2.5-flash",
    env={
        "GOOGLE_VERTEX_PROJECT": "harbour-1",
        "GOOGLE_VERTEX_LOCATION": "europe-west4",
        "VERTEX_API_KEY": "not-a-key-vertex",
    },
    path=(
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/harbour-1/locations/europe-west4"
        "/publishers/google/models/gemini-2.5-flash:generateContent"
    ),
    stream_path=":streamGenerateContent?alt=sse",
    auth=("x-goog-api-key", "not-a-key-vertex"),
    plain=GEMINI.plain,
    pieces=_GEMINI_PIECES,
    broken=_GEMINI_BROKEN,
    broken_code="provider_overloaded",
    cost=_GEMINI_COST,
    aliases=("vertex_ai", "google-vertex"),
)

_AZURE_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 12,
    "total_tokens": 112,
    "prompt_tokens_details": {"cached_tokens": 40},
}


def _azure_chunk(delta: dict[str, Any] | None, finish: str | None = None, **fields: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1-mini-2025-04-14"}
    return sse({**head, "choices": choices, "usage": None, **fields})


AZURE = Native(
    name="azure",
    model="gpt-4.1-mini",
    env={"AZURE_OPENAI_BASE_URL": "https://harbour.openai.azure.com", "AZURE_OPENAI_API_KEY": "not-a-key-azure"},
    path="https://harbour.openai.azure.com/openai/deployments/gpt-4.1-mini/chat/completions?api-version=2024-10-21",
    stream_path="no other path",
    auth=("api-key", "not-a-key-azure"),
    plain={
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4.1-mini-2025-04-14",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": SAID, "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
                "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}},
            }
        ],
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
        "usage": _AZURE_USAGE,
    },
    pieces=(
        sse({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []}),
        _azure_chunk({"role": "assistant", "content": "", "refusal": None}),
        _azure_chunk({"content": "Create "}),
        _azure_chunk({"content": "smarter."}),
        _azure_chunk({}, "stop"),
        _azure_chunk(None, usage=_AZURE_USAGE),
        sse("[DONE]"),
    ),
    broken=sse({"error": {"message": "The server had an error.", "type": "server_error", "code": "500"}}),
    broken_code="provider_error",
    cost=60 * 0.4 + 40 * 0.1 + 12 * 1.6,
    aliases=("azure_openai",),
)

_COHERE_USAGE = {
    "billed_units": {"input_tokens": 100, "output_tokens": 12},
    "tokens": {"input_tokens": 100, "output_tokens": 12},
    "cached_tokens": 40,
}


def cohere_events(*events: dict[str, Any]) -> tuple[bytes, ...]:
    return (*(sse(one, one["type"]) for one in events), sse("[DONE]"))


COHERE = Native(
    name="cohere",
    model="command-a-03-2025",
    env={"COHERE_API_KEY": "not-a-key-cohere"},
    path="https://api.cohere.com/v2/chat",
    stream_path="no other path",
    auth=("authorization", "Bearer not-a-key-cohere"),
    plain={
        "id": "r1",
        "message": {"role": "assistant", "content": [{"type": "text", "text": SAID}]},
        "finish_reason": "COMPLETE",
        "usage": _COHERE_USAGE,
    },
    pieces=cohere_events(
        {"type": "message-start", "id": "r1", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Create "}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "smarter."}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": _COHERE_USAGE}},
    ),
    broken=sse(
        {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "internal error", "usage": {}}},
        "message-end",
    ),
    broken_code="provider_error",
    cost=100 * 2.5 + 12 * 10,
)

BEDROCK_USAGE = {
    "inputTokens": 50,
    "cacheReadInputTokens": 40,
    "cacheWriteInputTokens": 10,
    "outputTokens": 12,
    "totalTokens": 112,
}
_BEDROCK_PATH = (
    "https://bedrock-runtime.eu-central-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
)

BEDROCK = Native(
    name="bedrock",
    model="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    env={"AWS_REGION": "eu-central-1", "AWS_BEARER_TOKEN_BEDROCK": BEARER},
    path=_BEDROCK_PATH,
    stream_path="/converse-stream",
    auth=("authorization", f"Bearer {BEARER}"),
    plain={
        "output": {"message": {"role": "assistant", "content": [{"text": SAID}]}},
        "stopReason": "end_turn",
        "usage": BEDROCK_USAGE,
        "metrics": {"latencyMs": 300},
    },
    pieces=(
        event("messageStart", {"role": "assistant", "p": "ab"}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Create "}, "p": "abcd"}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "smarter."}, "p": "ab"}),
        event("contentBlockStop", {"contentBlockIndex": 0, "p": "abc"}),
        event("messageStop", {"stopReason": "end_turn", "p": "a"}),
        event("metadata", {"metrics": {"latencyMs": 300}, "usage": BEDROCK_USAGE, "p": "abc"}),
    ),
    broken=exception("throttlingException", {"message": "Too many requests."}),
    broken_code="provider_rate_limited",
    cost=50 * 3.3 + 40 * 0.33 + 10 * 4.125 + 12 * 16.5,
    written=10,
    kind="application/vnd.amazon.eventstream",
    aliases=("aws",),
)

NATIVES = (ANTHROPIC, AZURE, BEDROCK, COHERE, GEMINI, VERTEX)


streamed = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def ask(native: Native, **fields: Any) -> dict[str, Any]:
    return {"model": native.id, "messages": USER, **fields}


def handler_of(native: Native) -> Handler:
    """The whole reply, or the stream where the body or the path asks for one."""

    def answer(request: httpx.Request) -> httpx.Response:
        wanted = native.stream_path in str(request.url) or json.loads(request.content).get("stream")
        return native.stream(*native.pieces) if wanted else httpx.Response(200, json=native.plain)

    return answer
