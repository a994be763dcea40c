"""A second reading of Cohere's raw replies: what a person would say that they mean."""

import json
from typing import Any

from tests.providers.reading import Reading, Voice

_ENDS = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


def plain(body: dict[str, Any]) -> Reading:
    """What a person would say that the reply means."""
    message = body["message"]
    parts = message.get("content") or []
    voice = Voice(
        text="".join(part["text"] for part in parts if part["type"] == "text"),
        thought="".join(part["thinking"] for part in parts if part["type"] == "thinking"),
        ended=_ENDS[body["finish_reason"]],
    )
    voice.thought += message.get("tool_plan", "")
    for one in message.get("tool_calls") or []:
        voice.calls.append((one["function"]["name"], json.loads(one["function"]["arguments"] or "{}")))
    return Reading({0: voice}, *_tokens(body["usage"]))


def streamed(text: str) -> Reading:
    voice, calls, usage = Voice(), {}, {}
    for line in text.split("\n"):
        if not line.startswith("data: {"):
            continue
        event = json.loads(line.removeprefix("data: "))
        said = (event.get("delta") or {}).get("message") or {}
        match event["type"].split("-"):
            case ["content", "start" | "delta"]:
                voice.text += said["content"].get("text", "")
                voice.thought += said["content"].get("thinking", "")
            case ["tool", "plan", _]:
                voice.thought += said["tool_plan"]
            case ["tool", "call", "start"]:
                calls[event["index"]] = [said["tool_calls"]["function"]["name"], ""]
            case ["tool", "call", "delta"]:
                calls[event["index"]][1] += said["tool_calls"]["function"]["arguments"]
            case ["message", "end"]:
                voice.ended = _ENDS[event["delta"]["finish_reason"]]
                usage = event["delta"]["usage"]
            case _:
                pass
    voice.calls = [(name, json.loads(arguments or "{}")) for name, arguments in calls.values()]
    return Reading({0: voice}, *_tokens(usage))


def _tokens(usage: dict[str, Any]) -> tuple[tuple[int, int], int]:
    tokens = usage["tokens"]
    return (tokens["input_tokens"] + tokens.get("image_tokens", 0), tokens["output_tokens"]), usage.get(
        "cached_tokens", 0
    )
