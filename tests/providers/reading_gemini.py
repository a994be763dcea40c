"""A second reading of raw generateContent replies, written from the recorded bodies alone."""

import json
from typing import Any

from tests.providers.reading import Reading, Voice

ENDINGS = {"STOP": "stop", 1: "stop", "MAX_TOKENS": "length", 2: "length", "SAFETY": "content_filter"}
ENDINGS |= {"MODEL_ARMOR": "content_filter"}
BROKEN = ("UNEXPECTED_TOOL_CALL", "MALFORMED_FUNCTION_CALL")


def events(text: str) -> list[dict[str, Any]]:
    """The JSON of each event of a recorded stream."""
    return [json.loads(line[5:]) for line in text.replace("\r\n", "\n").split("\n") if line.startswith("data:")]


def is_broken(replies: list[dict[str, Any]]) -> bool:
    return any(c.get("finishReason") in BROKEN for reply in replies for c in reply.get("candidates", []))


def read(replies: list[dict[str, Any]]) -> Reading:
    """What the replies say together: one for a whole answer, many for a stream."""
    voices: dict[int, Voice] = {}
    counted: dict[str, int] = {}
    for reply in replies:
        if "promptTokenCount" in reply.get("usageMetadata", {}):
            counted = reply["usageMetadata"]
        if "blockReason" in reply.get("promptFeedback", {}):
            blocked = reply["promptFeedback"]
            voices[0] = Voice(refusal=blocked.get("blockReasonMessage", ""), ended="content_filter")
        for candidate in reply.get("candidates", []):
            _hear(voices.setdefault(candidate.get("index", 0), Voice()), candidate)
    for voice in voices.values():
        if voice.calls and voice.ended == "stop":
            voice.ended = "tool_calls"
    return Reading(voices, *_tokens(counted))


def _hear(voice: Voice, candidate: dict[str, Any]) -> None:
    for part in candidate.get("content", {}).get("parts", []):
        if "functionCall" in part:
            voice.calls.append((part["functionCall"]["name"], part["functionCall"].get("args", {})))
        elif part.get("thought"):
            voice.thought += part["text"]
        else:
            voice.text += part.get("text", "")
    if "finishReason" in candidate:
        voice.ended = ENDINGS[candidate["finishReason"]]
        if voice.ended == "content_filter":
            voice.refusal = candidate.get("finishMessage", "")


def _tokens(counted: dict[str, int]) -> tuple[tuple[int, int] | None, int]:
    if not counted:
        return None, 0
    prompt = counted["promptTokenCount"] + counted.get("toolUsePromptTokenCount", 0)
    completion = counted.get("candidatesTokenCount", 0) + counted.get("thoughtsTokenCount", 0)
    assert counted["totalTokenCount"] == prompt + completion
    return (prompt, completion), counted.get("cachedContentTokenCount", 0)
