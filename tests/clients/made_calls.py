"""Calls that were never made, as the dashboard's API shows them: with traces, and with scripts in every text."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.clients.world import DEMO_WORKSPACE

SCRIPT = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
CALL_ID = "01M8NDHCC1EMEW68H7PP1K64G8"
GPT, CLAUDE = "openai/gpt-4o", "anthropic/claude-sonnet-4-5"
PNG_BYTES = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6364f8cf500f0003860180"
    "5a347d6b0000000049454e44ae426082"
)
PNG = f"data:image/png;base64,{base64.b64encode(PNG_BYTES).decode()}"
"""An image of one pixel."""

SLOW = (
    ("authenticated", 0.002, "", ""),
    ("received", 0.004, "", ""),
    ("guardrails", 0.03, "input", ""),
    ("reserved", 0.034, "", ""),
    ("attempt", 0.035, "first", GPT),
    ("failed", 4.035, "provider_timeout", GPT),
    ("queued", 4.036, "retry_delay", ""),
    ("attempt", 4.136, "retry", GPT),
    ("failed", 7.936, "provider_timeout", GPT),
    ("attempt", 7.937, "fallback", CLAUDE),
    ("first_token", 8.4, "", ""),
    ("last_token", 8.98, "", ""),
    ("settled", 9.0, "", ""),
)
"""The events of a call whose first two attempts fail."""


def record(**fields: Any) -> dict[str, Any]:
    """Return the record of a call that Claude has answered in nine seconds."""
    texts = dict.fromkeys(
        ("error_code", "native_finish_reason", "app_id", "session_id", "agent_id", "batch_id", "cache", "guardrails")
    )
    return {
        **texts,
        "id": CALL_ID,
        "time": "2026-11-21T12:00:00.000Z",
        "endpoint": "/v1/chat/completions",
        "stream": True,
        "model": GPT,
        "provider": "anthropic",
        "answered_model": "claude-sonnet-4-5",
        "status": "ok",
        "finish_reason": "stop",
        "attempts": 3,
        "input_tokens": 120,
        "output_tokens": 40,
        "words": 30,
        "cost_usd": "0.0123",
        "held_usd": None,
        "first_event_seconds": 8.4,
        "seconds": 9.0,
        "tokens_per_second": 69.0,
        "workspace_id": DEMO_WORKSPACE,
        "key_id": "key_demo",
        "ignored": None,
        "timeline": "auth@2",
        "trace_until": None,
        **fields,
    }


def details(
    trace: Mapping[str, Any] | None = None,
    trace_status: str = "not_asked",
    events: Sequence[tuple[str, float, str, str]] = SLOW,
    **fields: Any,
) -> dict[str, Any]:
    """Return one call as `/console/v1/calls/{id}` answers it."""
    timeline = [
        {"at": at, "kind": kind, "detail": detail, "deployment": deployment} for kind, at, detail, deployment in events
    ]
    cost = [
        {"kind": "input", "count": 120, "rate_usd": "3", "cost_usd": "0.00036"},
        {"kind": "output", "count": 40, "rate_usd": "15", "cost_usd": "0.0006"},
    ]
    return {
        "record": record(**fields),
        "timeline": timeline,
        "cost": cost,
        "trace": trace,
        "trace_status": "kept" if trace else trace_status,
    }


def trace(request: Any, answer: Any = None, **fields: Any) -> dict[str, Any]:
    """Return the trace of a call that two attempts have asked, of which the second answered."""
    chunks = ['data: {"choices":[{"index":0,"delta":{"content":"Grüße"}}]}\n\n', "data: [DONE]\n\n"]
    message = {"role": "assistant", "content": "Low tide is at noon."}
    return {
        "request": request,
        "attempts": [
            attempt(GPT, "first", 0.035, 4.035, error="provider_timeout", reply=None),
            attempt(CLAUDE, "fallback", 7.937, 8.98, chunks, status=200, body=request),
        ],
        "answer": answer
        or {"id": "chatcmpl-1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]},
        "error": None,
        "masked": [],
        "until": "2026-11-28T12:00:00.000Z",
        **fields,
    }


def attempt(
    deployment: str, reason: str, started: float, ended: float, chunks: Sequence[str] = (), **fields: Any
) -> dict[str, Any]:
    """Return one attempt of a trace, whose reply has come in `chunks`, evenly between its first and its last one."""
    pause = (ended - started) / (len(chunks) + 1)
    return {
        "deployment": deployment,
        "reason": reason,
        "started": started,
        "ended": ended,
        "status": None,
        "error": None,
        "url": "/v1/chat/completions",
        "headers": {"content-type": "application/json"},
        "body": {},
        "reply_headers": {"content-type": "text/event-stream"},
        "reply": "".join(chunks),
        "pieces": [[started + pause * number, len(chunk.encode())] for number, chunk in enumerate(chunks, start=1)],
        "omitted_bytes": 0,
        **fields,
    }


def conversation() -> dict[str, Any]:
    """Return a request with everything that a message can have."""
    arguments = json.dumps({"city": "Husum", "unit": "celsius"})
    return {
        "model": GPT,
        "stream": True,
        "temperature": 0.2,
        "tools": [{"type": "function", "function": {"name": "get_tide", "parameters": {"type": "object"}}}],
        "messages": [
            {"role": "system", "content": "Answer in one sentence."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What does this do?\n```python\nprint('tide')\n```\nAnd this picture?"},
                    {"type": "image_url", "image_url": {"url": PNG}},
                    {"type": "image_url", "image_url": {"url": "//example.test/picture.png"}},
                    {"type": "input_audio", "input_audio": {"format": "wav", "data": "AAAA"}},
                    {
                        "type": "file",
                        "file": {"filename": "tides.pdf", "file_data": "data:application/pdf;base64,AAAA"},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "The user asks for the tide.",
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "get_tide", "arguments": arguments}}
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": '{"low":"12:00"}'},
        ],
    }


def messages_request() -> dict[str, Any]:
    """Return a request of Anthropic's Messages API."""
    picture = {"type": "base64", "media_type": "image/png", "data": PNG.rpartition(",")[2]}
    used = {"type": "tool_use", "id": "call_1", "name": "get_tide", "input": {"city": "Husum"}}
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "At noon."}]}
    asked = [{"type": "text", "text": "When is low tide?"}, {"type": "image", "source": picture}]
    return {
        "model": CLAUDE,
        "max_tokens": 100,
        "system": [{"type": "text", "text": "Be short."}],
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "They ask for the tide."}, used]},
            {"role": "user", "content": [result]},
        ],
    }


def responses_request() -> dict[str, Any]:
    """Return a request of OpenAI's Responses API."""
    asked = [{"type": "input_text", "text": "When is low tide?"}, {"type": "input_image", "image_url": PNG}]
    return {
        "model": GPT,
        "instructions": "Be short.",
        "input": [
            {"type": "message", "role": "user", "content": asked},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "They ask for the tide."}]},
            {"type": "function_call", "call_id": "call_1", "name": "get_tide", "arguments": '{"city": "Husum"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "At noon."},
        ],
    }


OTHER_ANSWERS: dict[str, dict[str, Any]] = {
    "messages": {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "Noon."}, {"type": "text", "text": "Low tide is at noon."}],
    },
    "responses": {
        "object": "response",
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Noon."}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Low tide is at noon."}],
            },
        ],
    },
}


def echo_call(text: str, answer: str = "", **request: Any) -> dict[str, Any]:
    """Return a traced call of a model that this gateway has, so that it can be made again."""
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": text}], **request}
    message = {"role": "assistant", "content": answer or text}
    return details(trace(body, {"choices": [{"index": 0, "message": message}]}), stream=bool(request.get("stream")))
