"""A chat completion as a message.

Source: https://platform.claude.com/docs/en/api/messages (the Message object, 2026-11).
"""

from collections.abc import Mapping
from typing import cast

from tidegate.chat.completion import Completion, CompletionMessage
from tidegate.domain.operation import Reply
from tidegate.json import Json, JsonObject
from tidegate.surfaces.messages import content
from tidegate.surfaces.messages.usage import message_usage, stop_reason


def message(reply: Reply) -> JsonObject:
    """Return the message for the first choice of a completion."""
    completion = cast(Completion, reply)
    choice = completion["choices"][0]
    return {
        "id": str(reply["id"]),
        "type": "message",
        "role": "assistant",
        "model": str(reply["model"]),
        "content": [*_blocks(choice["message"])],
        "stop_reason": stop_reason(choice["finish_reason"], choice.get("native_finish_reason")),
        "stop_sequence": None,
        "usage": message_usage(cast("Mapping[str, object] | None", reply.get("usage"))),
    }


def _blocks(answer: CompletionMessage) -> list[Json]:
    details = answer.get("reasoning_details") or []
    thinking = content.anthropic_blocks(details) if details else None
    blocks: list[Json] = [*(thinking or [])]
    if not thinking:
        own = content.own_thinking(answer.get("reasoning") or "", details)
        blocks += [] if own is None else [own]
    text = answer["content"] or answer["refusal"]
    if text:
        blocks.append({"type": "text", "text": text})
    for call in answer.get("tool_calls") or ():
        function = call.get("function") or call.get("custom") or {}
        arguments = function.get("arguments", function.get("input"))
        blocks.append(
            {
                "type": "tool_use",
                "id": call.get("id", ""),
                "name": str(function.get("name", "")),
                "input": content.tool_input(arguments),
            }
        )
    return blocks
