"""A second reading of Converse's raw replies, written from the recorded bodies alone."""

import json
from typing import Any

from botocore.eventstream import EventStreamBuffer

from tests.providers.reading import Reading, Voice

_ENDS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


def plain(body: dict[str, Any]) -> Reading:
    voice = Voice()
    for block in body["output"]["message"]["content"]:
        voice.text += block.get("text", "")
        for piece in block.get("citationsContent", {}).get("content", []):
            voice.text += piece["text"]
        voice.thought += block.get("reasoningContent", {}).get("reasoningText", {}).get("text", "")
        use = block.get("toolUse")
        if use and use.get("type") != "server_tool_use":
            voice.calls.append((use["name"], use["input"]))
    return _finished(voice, body["stopReason"], body["usage"])


def streamed(raw: bytes) -> Reading:
    voice, uses, stop, usage = Voice(), {}, None, None
    for kind, body in messages(raw):
        index = body.get("contentBlockIndex")
        if kind == "contentBlockStart" and "toolUse" in body["start"]:
            uses[index] = [body["start"]["toolUse"], ""]
        elif kind == "contentBlockDelta":
            delta = body["delta"]
            voice.text += delta.get("text", "")
            voice.thought += delta.get("reasoningContent", {}).get("text", "")
            if "toolUse" in delta:
                uses[index][1] += delta["toolUse"]["input"]
        elif kind == "messageStop":
            stop = body["stopReason"]
        elif kind == "metadata":
            usage = body["usage"]
    for use, words in uses.values():
        if use.get("type") != "server_tool_use":
            voice.calls.append((use["name"], json.loads(words or "{}")))
    return _finished(voice, stop, usage)


def messages(raw: bytes) -> list[tuple[str, Any]]:
    buffer = EventStreamBuffer()
    buffer.add_data(raw)
    return [(one.headers[":event-type"], json.loads(one.payload)) for one in buffer]


def frames(raw: bytes) -> list[bytes]:
    """The stream, message by message, by the lengths that they begin with."""
    found = []
    while raw:
        size = int.from_bytes(raw[:4])
        found.append(raw[:size])
        raw = raw[size:]
    return found


def _finished(voice: Voice, stop: Any, usage: Any) -> Reading:
    voice.ended = _ENDS[stop]
    read, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
    return Reading({0: voice}, (usage["inputTokens"] + read + written, usage["outputTokens"]), read)
