"""A second reading of raw replies, written from the recorded bodies alone: what a person would say that they mean."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

_THOUGHT = re.compile(r"\s*<think>(.*?)(?:</think>|\Z)", re.S)


@dataclass
class Voice:
    """One choice: what was said, thought and called, and why it ended."""

    text: str = ""
    thought: str = ""
    refusal: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    ended: str | None = None


@dataclass
class Reading:
    voices: dict[int, Voice]
    tokens: tuple[int, int] | None = None
    cached: int = 0
    error: str | None = None


def plain(body: dict[str, Any]) -> Reading:
    voices: dict[int, Voice] = {}
    for choice in body["choices"]:
        voice = voices[choice["index"]] = Voice(ended=choice.get("finish_reason") or None)
        message = choice["message"]
        _hear(voice, message)
        for call in message.get("tool_calls") or []:
            voice.calls.append((call["function"]["name"], json.loads(call["function"].get("arguments") or "{}")))
    return _finished(Reading(voices, *_tokens(body.get("usage"))))


def streamed(text: str) -> Reading:
    reading = Reading({})
    fragments: dict[tuple[int, Any], list[str]] = {}
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = [line.removeprefix("data:").strip() for line in block.split("\n") if line.startswith("data:")]
        if not lines or lines == ["[DONE]"]:
            continue
        chunk = json.loads("".join(lines))
        if "error" in chunk:
            reading.error = chunk["error"]["message"]
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")
        if usage:
            reading.tokens, reading.cached = _tokens(usage)
        for choice in chunk.get("choices") or []:
            voice = reading.voices.setdefault(choice["index"], Voice())
            voice.ended = choice.get("finish_reason") or voice.ended
            delta = choice.get("delta") or {}
            _hear(voice, delta)
            for place, call in enumerate(delta.get("tool_calls") or []):
                key = (choice["index"], call.get("index", f"{call.get('id')}{place}"))
                fragments.setdefault(key, [call["function"]["name"]] if key not in fragments else [])
                fragments[key].append(call["function"].get("arguments") or "")
    for (index, _), (name, *parts) in fragments.items():
        reading.voices[index].calls.append((name, json.loads("".join(parts) or "{}")))
    return _finished(reading)


def _hear(voice: Voice, message: dict[str, Any]) -> None:
    content = message.get("content")
    thought = message.get("reasoning") or message.get("reasoning_content") or ""
    if isinstance(content, list):
        for part in content:
            if part["type"] == "thinking":
                thought += "".join(inner["text"] for inner in part["thinking"])
            else:
                voice.text += part["text"]
    else:
        voice.text += content or ""
    if not thought:
        for detail in message.get("reasoning_details") or []:
            thought += detail.get("text") or detail.get("summary") or ""
    voice.thought += thought
    voice.refusal += message.get("refusal") or ""


def _finished(reading: Reading) -> Reading:
    for voice in reading.voices.values():
        thought = None if voice.thought else _THOUGHT.match(voice.text)
        if thought:
            voice.thought = thought[1].strip()
            voice.text = voice.text[thought.end() :].lstrip()
        if voice.ended is None:
            voice.ended = "tool_calls" if voice.calls else "stop"
    return reading


def _tokens(usage: dict[str, Any] | None) -> tuple[tuple[int, int] | None, int]:
    if not usage:
        return None, 0
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    if reasoning and usage["total_tokens"] == prompt + completion + reasoning:
        completion += reasoning
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    others = ("cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens")
    return (prompt, completion), cached or max(usage.get(name) or 0 for name in others)
