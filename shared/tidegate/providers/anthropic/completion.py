"""A whole reply of Anthropic's as a completion.

Source: https://platform.claude.com/docs/en/api/messages (the Message object, 2026-11).
"""

from tidegate.chat.completion import Choice, Completion, FunctionCall, Message, ToolCall
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic import failure, normalise, usage


def parse(body: Json) -> Completion:
    """The completion in `body`. Raises `UpstreamError`, also for an error inside a 200."""
    match body:
        case {"content": list(blocks), "stop_reason": str(stop_reason)}:
            pass
        case {"type": "error"} | {"error": _}:
            raise failure.from_reply(200, {}, body)
        case _:
            raise ProviderMalformed("anthropic answered with something that is no message.")
    voice = _Voice()
    for block in blocks:
        voice.hear(block)
    reason, native = usage.finish(stop_reason, calls=bool(voice.calls))
    choice: Choice = {
        "index": 0,
        "message": voice.message(normalise.refusal(body.get("stop_details"))),
        "finish_reason": reason,
        "logprobs": None,
    }
    if native is not None:
        choice["native_finish_reason"] = native
    completion: Completion = {"object": "chat.completion", "choices": [choice], "system_fingerprint": None}
    match body.get("usage"):
        case dict(counted):
            completion["usage"] = usage.normalise(counted)
            completion.update(usage.tier(counted))  # pyright: ignore[reportCallIssue, reportArgumentType]  # as there
        case _:
            pass
    return completion


class _Voice:
    """What the blocks say, one after the other."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self._text: list[str] = []
        self._length = 0
        self._thoughts: list[str] = []
        self._details: list[Json] = []
        self._sources: dict[str, list[Json]] = {}

    def hear(self, block: Json) -> None:
        """Blocks of server tools are skipped: what comes of them is in the text."""
        match block:
            case {"type": "text", "text": str(text)}:
                self._say(text, block.get("citations"))
            case {"type": "thinking", "thinking": str(text)}:
                signature = block.get("signature")
                self._thoughts.append(text)
                signed = signature if isinstance(signature, str) else None
                self._details.append(normalise.thought(len(self._details), text, signed))
            case {"type": "redacted_thinking", "data": str(data)}:
                self._details.append(normalise.hidden(len(self._details), data))
            case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
                function: FunctionCall = {"name": name, "arguments": normalise.arguments(block.get("input"))}
                self.calls.append({"id": call_id, "type": "function", "function": function})
            case {"type": str()}:
                pass
            case _:
                raise ProviderMalformed("anthropic sent a content block without a type.")

    def _say(self, text: str, citations: Json) -> None:
        start = self._length
        self._text.append(text)
        self._length += len(text)
        if isinstance(citations, list) and citations:
            for name, found in normalise.cited(citations, start, self._length).items():
                self._sources.setdefault(name, []).extend(found if isinstance(found, list) else [])

    def message(self, refusal: str | None) -> Message:
        text = "".join(self._text)
        is_silent = not text and (self.calls or refusal)
        message: Message = {"role": "assistant", "content": None if is_silent else text, "refusal": refusal}
        thoughts = "".join(self._thoughts)
        if thoughts:
            message["reasoning"] = message["reasoning_content"] = thoughts
        if self._details:
            message["reasoning_details"] = self._details
        if self.calls:
            message["tool_calls"] = self.calls
        sources: JsonObject = {**self._sources}
        return {**message, **sources}  # pyright: ignore[reportReturnType]  # unknown fields pass through a TypedDict
