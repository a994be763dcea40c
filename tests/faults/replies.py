"""What a provider would answer if nothing were wrong, in the dialects that the hostile upstream speaks.

Sources: https://platform.openai.com/docs/api-reference/chat, https://docs.anthropic.com/en/api/messages-streaming,
https://ai.google.dev/api/generate-content (read in November 2026).
"""

import json
from dataclasses import dataclass
from typing import Any

WORDS = ("Create ", "smarter.")
TEXT = "".join(WORDS)
INPUT_TOKENS, OUTPUT_TOKENS = 14, 12


@dataclass(frozen=True, eq=False)
class Dialect:
    """A whole answer as JSON, and the same as the events of a stream, of which the first `begun` say the first word.

    `ending` are those that only end the stream, after the answer is complete; `failure` is an error as an event.
    """

    provider: str
    model: str
    completion: Any
    events: tuple[bytes, ...]
    begun: int
    ending: int
    failure: bytes
    error: Any


def event(body: Any, name: str | None = None) -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def _openai() -> Dialect:
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }
    head = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in WORDS), {}]
    ends = [*(None for _ in deltas[1:]), "stop"]
    chunks = [
        {"object": "chat.completion.chunk", **head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        for delta, end in zip(deltas, ends, strict=True)
    ]
    told = {"object": "chat.completion.chunk", **head, "choices": [], "usage": usage}
    error = {"error": {"message": "The server had an error.", "type": "server_error", "param": None, "code": None}}
    return Dialect(
        provider="openai",
        model="gpt-4o-mini",
        completion={"object": "chat.completion", **head, "choices": [choice], "usage": usage},
        events=(*map(event, chunks), event(told), event("[DONE]")),
        begun=2,
        ending=1,
        failure=event(error),
        error=error,
    )


def _anthropic() -> Dialect:
    usage = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001"}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    begun = {**head, "content": [], "stop_reason": None, "stop_sequence": None}
    told: list[Any] = [
        {"type": "message_start", "message": {**begun, "usage": {**usage, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": OUTPUT_TOKENS}},
        {"type": "message_stop"},
    ]
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    return Dialect(
        provider="anthropic",
        model="claude-haiku-4-5",
        completion={**head, **ended, "content": [{"type": "text", "text": TEXT}], "usage": usage},
        events=tuple(event(each, each["type"]) for each in told),
        begun=3,
        ending=1,
        failure=event(error, "error"),
        error=error,
    )


def _gemini() -> Dialect:
    def told(text: str, end: str | None) -> Any:
        candidate = {"index": 0, "content": {"role": "model", "parts": [{"text": text}]}}
        usage = {
            "promptTokenCount": INPUT_TOKENS,
            "candidatesTokenCount": OUTPUT_TOKENS,
            "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
        }
        ended = {"finishReason": end} if end else {}
        return {"candidates": [candidate | ended], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}

    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    return Dialect(
        provider="gemini",
        model="gemini-2.5-flash",
        completion=told(TEXT, "STOP"),
        events=(event(told(WORDS[0], None)), event(told(WORDS[1], "STOP"))),
        begun=1,
        ending=0,
        failure=event(error),
        error=error,
    )


OPENAI, ANTHROPIC, GEMINI = _openai(), _anthropic(), _gemini()
DIALECTS = (OPENAI, ANTHROPIC, GEMINI)


def dialect_of(path: str) -> Dialect:
    """The dialect in which a request to that path is put."""
    if path.endswith("/messages"):
        return ANTHROPIC
    return GEMINI if "generatecontent" in path.lower() else OPENAI
