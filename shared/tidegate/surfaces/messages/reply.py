"""A chat completion as a message.

Source: https://platform.claude.com/docs/en/api/messages (the Message object, 2026-11).
"""

from collections.abc import Mapping
from typing import cast

from tidegate.chat.completion import Completion, CompletionMessage, ToolCall
from tidegate.chat.reasoning_order import START, Place, in_order
from tidegate.domain.operation import Reply, Request
from tidegate.domain.origin import NATIVE
from tidegate.json import Json, JsonObject
from tidegate.surfaces.messages import content
from tidegate.surfaces.messages.citations import cited_blocks, document_citations
from tidegate.surfaces.messages.notes import Notes, notes_of
from tidegate.surfaces.messages.usage import message_usage, stop_fields


def message(reply: Reply, request: Request) -> JsonObject:
    """Return the message for the first choice of a completion, or the provider's own one.

    Its `model` is the name that the caller sent, also of a route: Claude Code takes thinking of another model out of
    the conversation. The header `x-tidegate-model` says which model has answered.
    """
    native = reply.get(NATIVE)
    if isinstance(native, dict):
        return {**cast(JsonObject, native), "model": request.model}
    completion, notes = cast(Completion, reply), notes_of(request)
    choice = completion["choices"][0]
    usage = cast("Mapping[str, object] | None", reply.get("usage"))
    return {
        "id": str(reply["id"]),
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [*_blocks(choice["message"], notes)],
        **stop_fields(choice["finish_reason"], choice.get("native_finish_reason"), notes),
        "usage": message_usage(usage, reply.get("service_tier")),
    }


def _blocks(answer: CompletionMessage, notes: Notes) -> list[JsonObject]:
    text = answer["content"] or answer["refusal"] or ""
    texts = cited_blocks(text, _listed(answer.get("annotations")), document_citations(answer.get("citations")))
    calls = [[_call_block(call)] for call in answer.get("tool_calls") or ()]
    return in_order(_thinking(answer, notes), texts, calls)


def _thinking(answer: CompletionMessage, notes: Notes) -> list[tuple[Place, JsonObject]]:
    details = answer.get("reasoning_details") or []
    thinking = content.anthropic_blocks(details) if details else None
    if thinking:
        return thinking
    own = content.own_thinking(answer.get("reasoning") or "", details, notes)
    return [] if own is None else [(START, own)]


def _call_block(call: ToolCall) -> JsonObject:
    function = call.get("function") or call.get("custom") or {}
    arguments = function.get("arguments", function.get("input"))
    name = str(function.get("name", ""))
    return {"type": "tool_use", "id": call.get("id", ""), "name": name, "input": content.tool_input(arguments)}


def _listed(value: object) -> list[Json]:
    return cast("list[Json]", value) if isinstance(value, list) else []
