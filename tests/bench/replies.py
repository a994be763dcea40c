"""Providers' replies in each dialect, rendered beforehand: a whole one, and a stream of as many texts as asked for."""

import json
from collections.abc import Callable, Iterable, Mapping

from tests.upstream.frames import event as frame
from tidegate.json import JsonObject

TOKEN = "tide "
CHUNKS = 50
INPUT_TOKENS = 12

ENVELOPE = {"id": "chatcmpl-bench", "created": 1_790_000_000, "model": "gpt-4o-mini", "system_fingerprint": "fp_bench"}
_MESSAGE: JsonObject = {
    "id": "msg_bench",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
}
_RESPONSE: JsonObject = {
    "id": "resp_bench",
    "object": "response",
    "created_at": 1_790_000_000,
    "model": "gpt-4.1-mini-2025-04-14",
}

EVENT_STREAM, SSE = "application/vnd.amazon.eventstream", "text/event-stream"


def compact(value: object) -> bytes:
    """Return JSON without spaces, as providers send it."""
    return json.dumps(value, separators=(",", ":")).encode()


def completion() -> bytes:
    """Return a whole reply of OpenAI's."""
    message = {"role": "assistant", "content": TOKEN * CHUNKS, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return compact({**ENVELOPE, "object": "chat.completion", "choices": [choice], "usage": _usage(CHUNKS)})


def _usage(chunks: int) -> dict[str, int]:
    return {"prompt_tokens": INPUT_TOKENS, "completion_tokens": chunks, "total_tokens": INPUT_TOKENS + chunks}


def embeddings(texts: int) -> bytes:
    """Return OpenAI's reply with a short vector for each text."""
    data = [{"object": "embedding", "index": index, "embedding": [0.5] * 8} for index in range(texts)]
    usage = {"prompt_tokens": texts, "total_tokens": texts}
    return compact({"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage})


def openai(chunks: int = CHUNKS) -> list[bytes]:
    """Return a role, the texts, a finish, usage and `[DONE]`: each item is one event."""
    deltas = [{"role": "assistant", "content": ""}, *({"content": TOKEN} for _ in range(chunks)), {}]
    ends = [*(None for _ in deltas[1:]), "stop"]
    choices = [
        [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}]
        for delta, end in zip(deltas, ends, strict=True)
    ]
    head = {**ENVELOPE, "object": "chat.completion.chunk"}
    events: list[object] = [{**head, "choices": choice, "usage": None} for choice in choices]
    events.append({**head, "choices": [], "usage": _usage(chunks)})
    return [b"data: %b\n\n" % text for text in [*map(compact, events), b"[DONE]"]]


def _named(events: Iterable[JsonObject]) -> list[bytes]:
    """Return events with their types as names, as the Messages and the Responses API send them."""
    return [b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), compact(event)) for event in events]


def anthropic(chunks: int = CHUNKS) -> list[bytes]:
    """Return a stream of the Messages API."""
    usage: JsonObject = {"input_tokens": INPUT_TOKENS, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    start: JsonObject = {**_MESSAGE, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    delta: JsonObject = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TOKEN}}
    stop: JsonObject = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[JsonObject] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(delta for _ in range(chunks)),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": chunks}},
        {"type": "message_stop"},
    ]
    return _named(events)


def gemini(chunks: int = CHUNKS) -> list[bytes]:
    """Return a stream of Gemini's `streamGenerateContent`."""
    events: list[object] = []
    for number in range(1, chunks + 1):
        usage = {"promptTokenCount": INPUT_TOKENS, "candidatesTokenCount": number}
        candidate: dict[str, object] = {"content": {"parts": [{"text": TOKEN}], "role": "model"}, "index": 0}
        if number == chunks:
            candidate["finishReason"] = "STOP"
        usage["totalTokenCount"] = INPUT_TOKENS + number
        head = {"modelVersion": "gemini-2.5-flash", "responseId": "r-bench"}
        events.append({"candidates": [candidate], "usageMetadata": usage, **head})
    return [b"data: %b\r\n\r\n" % compact(event) for event in events]


def bedrock(chunks: int = CHUNKS) -> list[bytes]:
    """Return a stream of Bedrock's `converse-stream`: each item is one binary frame."""
    usage = {"inputTokens": INPUT_TOKENS, "outputTokens": chunks, "totalTokens": INPUT_TOKENS + chunks}
    delta = {"contentBlockIndex": 0, "delta": {"text": TOKEN}, "p": "abcdef"}
    return [
        frame("messageStart", {"role": "assistant", "p": "ab"}),
        *(frame("contentBlockDelta", delta) for _ in range(chunks)),
        frame("contentBlockStop", {"contentBlockIndex": 0, "p": "abc"}),
        frame("messageStop", {"stopReason": "end_turn", "p": "a"}),
        frame("metadata", {"metrics": {"latencyMs": 300}, "usage": usage, "p": "abcd"}),
    ]


def responses(chunks: int = CHUNKS) -> list[bytes]:
    """Return a stream of the Responses API."""
    text = TOKEN * chunks
    part: JsonObject = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    item: JsonObject = {
        "id": "msg_bench",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }
    usage: JsonObject = {
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": chunks,
    }
    usage |= {"output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": INPUT_TOKENS + chunks}
    begun: JsonObject = {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}
    place: JsonObject = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    delta: JsonObject = {"type": "response.output_text.delta", **place, "delta": TOKEN, "logprobs": []}
    events: list[JsonObject] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *(dict(delta) for _ in range(chunks)),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {**begun, "status": "completed", "output": [item], "usage": usage}},
    ]
    return _named([{**event, "sequence_number": number} for number, event in enumerate(events)])


STREAMS: Mapping[str, tuple[str, Callable[[int], list[bytes]]]] = {
    "/chat/completions": (SSE, openai),
    "/messages": (SSE, anthropic),
    ":streamGenerateContent": (SSE, gemini),
    "/converse-stream": (EVENT_STREAM, bedrock),
    "/responses": (SSE, responses),
}
"""The content type and the events of each dialect's streams, by the end of its path."""


def find_stream(path: str) -> tuple[str, Callable[[int], list[bytes]]]:
    """Return the content type and the events for a request to that path, without its query. Raises `LookupError`."""
    for ending, stream in STREAMS.items():
        if path.partition("?")[0].endswith(ending):
            return stream
    raise LookupError(path)
