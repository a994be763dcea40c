"""A non-streamed reply of Anthropic's as a completion.

Source: https://platform.claude.com/docs/en/api/messages (the Message object, 2026-11).
"""

from tidegate.chat.completion import Choice, Completion, CompletionMessage, FunctionCall, ToolCall, citation_fields
from tidegate.chat.reasoning_order import Place
from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic import failure, normalise, usage


def parse(body: Json) -> Completion:
    """Return the completion in `body`. Raises `UpstreamError`, also for an error inside a 200."""
    if not isinstance(body, dict):
        raise ProviderMalformed("anthropic returned an invalid message.")
    if body.get("type") == "error" or body.get("error"):
        raise failure.from_reply(200, {}, body)
    assembler = _MessageAssembler()
    for block in normalise.content_blocks(body.get("content")):
        assembler.add_block(block)
    stop_reason = body.get("stop_reason")
    if not isinstance(stop_reason, str) and assembler.is_empty:
        raise ProviderMalformed("anthropic returned an invalid message.")
    finish_reason, native = usage.finish_reason(stop_reason, has_calls=bool(assembler.calls))
    choice: Choice = {
        "index": 0,
        "message": assembler.to_message(normalise.refusal_text(body.get("stop_details"))),
        "finish_reason": finish_reason,
        "logprobs": None,
    }
    if native is not None:
        choice["native_finish_reason"] = native
    completion: Completion = {"object": "chat.completion", "choices": [choice], "system_fingerprint": None}
    match body.get("usage"):
        case dict(raw_usage):
            completion["usage"] = usage.normalise(raw_usage)
            completion.update(usage.service_tier_fields(raw_usage))  # pyright: ignore[reportCallIssue, reportArgumentType]  # unknown fields pass through a TypedDict
        case _:
            pass
    return completion


class _MessageAssembler:
    """Collects the content blocks of a reply into one message of OpenAI's dialect."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self._text: list[str] = []
        self._text_length = 0
        self._thinking: list[str] = []
        self._details: list[Json] = []
        self._cited: list[tuple[Json, int, int]] = []

    @property
    def is_empty(self) -> bool:
        return not (self._text_length or self._details or self.calls)

    def add_block(self, block: JsonObject) -> None:
        """Add a content block. Blocks of server tools are skipped, because the text contains their results."""
        match block:
            case {"type": "text", "text": str(text)}:
                self._add_text(text, block.get("citations"))
            case {"type": "thinking", "thinking": str(text)}:
                signature = block.get("signature")
                self._thinking.append(text)
                signed = signature if isinstance(signature, str) else None
                self._details.append(normalise.reasoning_text_detail(len(self._details), text, signed, self._place))
            case {"type": "redacted_thinking", "data": str(data)}:
                self._details.append(normalise.encrypted_detail(len(self._details), data, self._place))
            case {"type": "tool_use", "name": str(name)} if name:
                function: FunctionCall = {"name": name, "arguments": normalise.arguments_json(block.get("input"))}
                call_id = normalise.call_id(block.get("id"), len(self.calls), name)
                self.calls.append({"id": call_id, "type": "function", "function": function})
            case _:
                pass

    @property
    def _place(self) -> Place:
        return Place(self._text_length, len(self.calls))

    def _add_text(self, text: str, citations: Json) -> None:
        start = self._text_length
        self._text.append(text)
        self._text_length += len(text)
        if isinstance(citations, list) and citations:
            self._cited += [(citation, start, self._text_length) for citation in citations]

    def to_message(self, refusal: str | None) -> CompletionMessage:
        text = "".join(self._text)
        is_silent = not text and (self.calls or refusal)
        message: CompletionMessage = {"role": "assistant", "content": None if is_silent else text, "refusal": refusal}
        thoughts = "".join(self._thinking)
        if thoughts:
            message["reasoning"] = message["reasoning_content"] = thoughts
        if self._details:
            message["reasoning_details"] = self._details
        if self.calls:
            message["tool_calls"] = self.calls
        # Unknown fields pass through a TypedDict.
        return {**message, **citation_fields(self._cited)}  # pyright: ignore[reportReturnType]
