"""A second reading of Anthropic's raw replies, written from the recorded bodies alone."""

import json
from typing import Any

from tests.providers.reading import Reading, Voice

_ENDS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "pause_turn": "length",
    "refusal": "content_filter",
}


def plain(body: dict[str, Any]) -> Reading:
    voice = Voice(ended=_ENDS[body["stop_reason"]])
    for block in body["content"]:
        voice.text += block.get("text", "") if block["type"] == "text" else ""
        voice.thought += block.get("thinking", "") if block["type"] == "thinking" else ""
        if block["type"] == "tool_use":
            voice.calls.append((block["name"], block["input"]))
    voice.refusal = (body.get("stop_details") or {}).get("explanation") or ""
    return Reading({0: voice}, *_tokens(body["usage"]))


def signed(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks that must come back unmodified."""
    names = {"thinking": ("type", "thinking", "signature"), "redacted_thinking": ("type", "data")}
    return [{name: block[name] for name in names[block["type"]]} for block in body["content"] if block["type"] in names]


def whole(text: str) -> dict[str, Any]:
    """The message that a stream tells, as the body of a reply that does not stream."""
    events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
    message = next(event["message"] for event in events if event["type"] == "message_start")
    blocks: dict[int, dict[str, Any]] = {}
    inputs: dict[int, str] = {}
    for event in events:
        if event["type"] == "content_block_start":
            blocks[event["index"]] = dict(event["content_block"])
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    block[name] = block.get(name, "") + delta[name]
            if "partial_json" in delta:
                inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
            if "citation" in delta:
                block.setdefault("citations", []).append(delta["citation"])
        elif event["type"] == "message_delta":
            message = {**message, **event["delta"], "usage": {**message["usage"], **event["usage"]}}
    for index, text_of_input in inputs.items():
        blocks[index]["input"] = json.loads(text_of_input or "{}")
    return {**message, "content": list(blocks.values())}


def links(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Each cited URL, with the text that it stands behind."""
    texts = [block for block in body["content"] if block["type"] == "text"]
    cited = (
        (one.get("url", one.get("source")), block["text"]) for block in texts for one in block.get("citations") or []
    )
    return [(url, text) for url, text in cited if url]


def _tokens(usage: dict[str, Any]) -> tuple[tuple[int, int], int]:
    counted = [usage, *(one for one in usage.get("iterations") or [] if one["type"] == "compaction")]
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    prompt = sum(one.get(name) or 0 for one in counted for name in names)
    cached = sum(one.get("cache_read_input_tokens") or 0 for one in counted)
    return (prompt, sum(one["output_tokens"] for one in counted)), cached
