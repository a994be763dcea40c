"""Thinking between tool calls: what a provider signed comes back unchanged, though the client has dropped it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from tests.clients.published import check_completion, check_stream
from tests.native_providers import (
    ANTHROPIC,
    BEDROCK,
    BEDROCK_USAGE,
    GEMINI,
    Native,
    anthropic_events,
    gemini_reply,
    handler_of,
    sse,
    streamed,
)
from tests.upstream.frames import event
from tests.world import USER, Client, world

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("tide", "moon")
]
TEXT = "The moon first, then the tide."
SIGNED = "c2lnbmVkIHRob3VnaHQ="
HIDDEN = "aGlkZGVuIHRob3VnaHQ="
BLOB = "YUdsa1pHVnVJSFJvYjNWbmFIUT0="
"""Bedrock's base64 of what Claude has in base64 already."""


@dataclass(frozen=True)
class Loop:
    """One provider's turn with thinking and two calls, whole and streamed, and the turn as it must come back."""

    native: Native
    plain: dict[str, Any]
    pieces: tuple[bytes, ...]
    replayed: list[dict[str, Any]]

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Calls at first; words, once there are results."""
        if b"three metres" in request.content:
            return handler_of(self.native)(request)
        stream = self.native.stream_path in str(request.url) or json.loads(request.content).get("stream")
        return self.native.stream(*self.pieces) if stream else httpx.Response(200, json=self.plain)


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> Iterable[dict[str, Any]]:
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


THINKING = {"type": "thinking", "thinking": TEXT, "signature": SIGNED}
REDACTED = {"type": "redacted_thinking", "data": HIDDEN}
USES = [
    {"type": "tool_use", "id": "toolu_1", "name": "moon", "input": {}},
    {"type": "tool_use", "id": "toolu_2", "name": "tide", "input": {"place": "Husum"}},
]
CLAUDE = Loop(
    native=ANTHROPIC,
    plain={**ANTHROPIC.plain, "content": [THINKING, REDACTED, *USES], "stop_reason": "tool_use"},
    pieces=anthropic_events(
        json.loads(ANTHROPIC.pieces[0].split(b"data: ")[1]),
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": TEXT[:9]},
            {"type": "thinking_delta", "thinking": TEXT[9:]},
            {"type": "signature_delta", "signature": SIGNED},
        ),
        *block(1, REDACTED),
        *block(2, {**USES[0], "input": {}}),
        *block(
            3,
            {**USES[1], "input": {}},
            {"type": "input_json_delta", "partial_json": '{"place": '},
            {"type": "input_json_delta", "partial_json": '"Husum"}'},
        ),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 12}},
        {"type": "message_stop"},
    ),
    replayed=[THINKING, REDACTED, *USES],
)

REASONING = [
    {"reasoningContent": {"reasoningText": {"text": TEXT, "signature": SIGNED}}},
    {"reasoningContent": {"redactedContent": BLOB}},
]
TOOL_USES = [
    {"toolUse": {"toolUseId": "tooluse_1", "name": "moon", "input": {}}},
    {"toolUse": {"toolUseId": "tooluse_2", "name": "tide", "input": {"place": "Husum"}}},
]


def delta(index: int, what: dict[str, Any]) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": what})


def start(index: int, use: dict[str, Any]) -> bytes:
    named = {name: use["toolUse"][name] for name in ("toolUseId", "name")}
    return event("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": named}})


def stop(index: int) -> bytes:
    return event("contentBlockStop", {"contentBlockIndex": index})


CONVERSE = Loop(
    native=BEDROCK,
    plain={
        **BEDROCK.plain,
        "output": {"message": {"role": "assistant", "content": [*REASONING, *TOOL_USES]}},
        "stopReason": "tool_use",
    },
    pieces=(
        event("messageStart", {"role": "assistant"}),
        delta(0, {"reasoningContent": {"text": TEXT[:9]}}),
        delta(0, {"reasoningContent": {"text": TEXT[9:]}}),
        delta(0, {"reasoningContent": {"signature": SIGNED}}),
        stop(0),
        delta(1, {"reasoningContent": {"redactedContent": BLOB}}),
        stop(1),
        start(2, TOOL_USES[0]),
        stop(2),
        start(3, TOOL_USES[1]),
        delta(3, {"toolUse": {"input": '{"place": '}}),
        delta(3, {"toolUse": {"input": '"Husum"}'}}),
        stop(3),
        event("messageStop", {"stopReason": "tool_use"}),
        event("metadata", {"metrics": {"latencyMs": 300}, "usage": BEDROCK_USAGE}),
    ),
    replayed=[*REASONING, *TOOL_USES],
)

THOUGHT = {"text": TEXT, "thought": True}
CALLS = [
    {"functionCall": {"name": "moon", "args": {}}, "thoughtSignature": SIGNED},
    {"functionCall": {"name": "tide", "args": {"place": "Husum"}}},
]
FLASH = Loop(
    native=GEMINI,
    plain=gemini_reply(THOUGHT, *CALLS),
    pieces=(
        sse(gemini_reply({"text": TEXT[:9], "thought": True}, finish=None)),
        sse(gemini_reply({"text": TEXT[9:], "thought": True}, finish=None)),
        sse(gemini_reply(CALLS[0], finish=None)),
        sse(gemini_reply(CALLS[1])),
    ),
    replayed=CALLS,
)

loops = pytest.mark.parametrize("loop", [CLAUDE, CONVERSE, FLASH], ids=lambda loop: loop.native.name)


def said(reply: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """The assistant's message as a client keeps it that knows OpenAI's fields only."""
    if not asked.get("stream"):
        check_completion(reply.json)
        message = reply.json["choices"][0]["message"]
        assert reply.json["choices"][0]["finish_reason"] == "tool_calls"
        return {name: message[name] for name in ("role", "content", "tool_calls")}
    calls: dict[int, dict[str, Any]] = {}
    for chunk in check_stream(reply.body, asked)[:-1]:
        for choice in chunk["choices"]:
            for piece in choice["delta"].get("tool_calls") or ():
                call = calls.setdefault(piece["index"], {"type": "function", "function": {"arguments": ""}})
                call["id"] = piece.get("id") or call["id"]
                call["function"]["name"] = piece["function"].get("name") or call["function"]["name"]
                call["function"]["arguments"] += piece["function"].get("arguments") or ""
    return {"role": "assistant", "content": None, "tool_calls": [calls[index] for index in sorted(calls)]}


def turn(loop: Loop, client: Client) -> list[dict[str, Any]]:
    """The model's turn as the provider was sent it at last."""
    body = json.loads(client.requests[-1].content)
    if loop.native is GEMINI:
        return body["contents"][1]["parts"]
    return body["messages"][1]["content"]


@loops
@streamed
@pytest.mark.parametrize("fields", [{}, {"reasoning": {"max_tokens": 2048, "exclude": True}}], ids=["shown", "hidden"])
async def test_signed_thinking_comes_back_unchanged_though_the_client_dropped_it(
    loop: Loop, stream: bool, fields: dict[str, Any]
) -> None:
    asked = {"model": loop.native.id, "messages": USER, "tools": TOOLS, "stream": stream, "reasoning_effort": "low"}
    if fields:
        asked = {**{name: value for name, value in asked.items() if name != "reasoning_effort"}, **fields}
    async with world(loop.answer, **loop.native.env) as client:
        first = await client.post(asked)
        assert (TEXT[:9] in first.body.decode()) is not bool(fields)
        message = said(first, asked)
        names = [
            (call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message["tool_calls"]
        ]
        assert names == [("moon", {}), ("tide", {"place": "Husum"})]
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "three metres"} for call in message["tool_calls"]
        ]
        second = await client.post({**asked, "messages": [*USER, message, *results]})
        assert second.status == 200
        assert turn(loop, client) == loop.replayed
        assert [outcome.status for outcome in client.recorder.outcomes] == ["ok", "ok"]


@loops
@streamed
async def test_signed_thinking_that_the_client_sends_back_is_the_same(loop: Loop, stream: bool) -> None:
    asked = {"model": loop.native.id, "messages": USER, "tools": TOOLS, "stream": stream, "reasoning_effort": "low"}
    async with world(loop.answer, **loop.native.env) as client:
        first = await client.post(asked)
        message = said(first, asked)
        if stream:  # the pieces, one by one, as clients collect them
            events = check_stream(first.body, asked)[:-1]
            deltas = [choice["delta"] for chunk in events for choice in chunk["choices"]]
            details = [detail for delta in deltas for detail in delta.get("reasoning_details") or ()]
        else:
            details = first.json["choices"][0]["message"]["reasoning_details"]
        results = [{"role": "tool", "tool_call_id": c["id"], "content": "three metres"} for c in message["tool_calls"]]
        replayed = {**message, "reasoning_details": details}
        second = await client.post({**asked, "messages": [*USER, replayed, *results]})
        assert second.status == 200
        assert turn(loop, client) == loop.replayed


@loops
async def test_a_call_that_nobody_remembers_goes_out_without_thinking(loop: Loop) -> None:
    call = {"id": "call_of_others", "type": "function", "function": {"name": "moon", "arguments": "{}"}}
    history = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_of_others", "content": "three metres"},
    ]
    async with world(loop.answer, **loop.native.env) as client:
        asked = {"model": loop.native.id, "messages": USER, "tools": TOOLS, "reasoning_effort": "low"}
        await client.post(asked)
        assert (await client.post({**asked, "messages": history})).status == 200
        assert SIGNED not in json.dumps(turn(loop, client))


async def test_of_two_candidates_the_firsts_thinking_is_kept() -> None:
    def event_of(index: int, *parts: dict[str, Any]) -> bytes:
        reply = gemini_reply(*parts)
        return sse({**reply, "candidates": [{**reply["candidates"][0], "index": index}]})

    foreign = {"functionCall": {"name": "tide", "args": {}}, "thoughtSignature": "Zm9yZWlnbg=="}
    pieces = (event_of(1, {"text": "Other.", "thought": True}, foreign), event_of(0, THOUGHT, *CALLS))
    two = replace(FLASH, pieces=pieces)
    async with world(two.answer, **GEMINI.env) as client:
        asked = {"model": GEMINI.id, "messages": USER, "tools": TOOLS, "stream": True, "n": 2}
        chunks = (await client.post(asked)).events[:-1]
        first = [choice["delta"] for chunk in chunks for choice in chunk["choices"] if choice["index"] == 0]
        calls = [call for delta in first for call in delta.get("tool_calls") or ()]
        message = {"role": "assistant", "tool_calls": calls}
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "three metres"} for call in calls]
        await client.post({**asked, "messages": [*USER, message, *results]})
        assert turn(two, client) == CALLS
