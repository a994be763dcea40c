"""Restores the caller's terms in replies: the caller's tool names, structured output as content, `function_call`.

A provider may forbid a tool's name, may offer no way to force a schema except a tool, or may not support `functions`.
`build_request` then sets `caller_tool_names`, `answer_tool` or `legacy_functions`; this module undoes each change. A
reply that calls tools finishes with "tool_calls", except where the caller named the tool (`names_tool`).
"""

from collections.abc import Sequence
from typing import cast

from tidegate.chat.completion import Choice, Chunk, ChunkChoice, Completion, CompletionMessage, Delta, ToolCall
from tidegate.domain.operation import ReplyChunk
from tidegate.providers.base import UpstreamRequest


def restore_completion(request: UpstreamRequest, reply: Completion) -> Completion:
    """Restore the caller's terms in the provider's completion, in place."""
    for choice in reply["choices"]:
        message = choice["message"]
        calls = message.get("tool_calls") or []
        answers = [call for call in calls if _tool_name(call) == request.answer_tool]
        _restore_tool_names(request, calls)
        if request.answer_tool is not None and answers:
            message["content"] = (message["content"] or "") + "".join(_arguments(call) for call in answers)
            if _remove_answers(message, calls, answers) and choice["finish_reason"] == "tool_calls":
                choice["finish_reason"] = "stop"
        if request.names_tool:
            _restore_stop(choice)
        if request.legacy_functions and (remaining := message.pop("tool_calls", None)):
            message["function_call"] = remaining[0].get("function", {})
            if choice["finish_reason"] == "tool_calls":
                choice["finish_reason"] = "function_call"
    return reply


class StreamRestorer:
    """Restores the caller's terms in the chunks of one stream."""

    def __init__(self, request: UpstreamRequest) -> None:
        self._request = request
        self._answer_indexes: dict[int, set[int]] = {}
        self._caller_indexes: dict[int, dict[int, int]] = {}

    def restore(self, batch: Sequence[ReplyChunk]) -> Sequence[ReplyChunk]:
        """Restore the chunks in place, and return them without those that are empty afterwards."""
        chunks = cast("Sequence[Chunk]", batch)
        for chunk in chunks:
            for choice in chunk["choices"]:
                answers = self._answer_indexes.setdefault(choice["index"], set())
                callers = self._caller_indexes.setdefault(choice["index"], {})
                _restore_delta(self._request, choice, answers, callers)
        return [chunk for chunk in chunks if not _is_empty(chunk)]


def _is_empty(chunk: Chunk) -> bool:
    """True for a chunk whose choices carry nothing; a chunk of usage has no choices and is not empty."""
    choices = chunk["choices"]
    has_content = any(len(choice) != 3 or choice["delta"] or choice["finish_reason"] for choice in choices)
    return bool(choices) and not has_content


def _restore_delta(
    request: UpstreamRequest, choice: ChunkChoice, answer_indexes: set[int], caller_indexes: dict[int, int]
) -> None:
    """Restore a delta; `answer_indexes`: the answer tool's calls, `caller_indexes`: the caller's by the provider's."""
    delta = choice["delta"]
    calls = delta.get("tool_calls") or []
    other_calls: list[ToolCall] = []
    for call in calls:
        index = call.get("index", 0)
        if _tool_name(call) is not None and _tool_name(call) == request.answer_tool:
            answer_indexes.add(index)
        if index in answer_indexes:
            _append_content(delta, _arguments(call))
        else:
            call["index"] = caller_indexes.setdefault(index, len(caller_indexes))
            other_calls.append(call)
    _restore_tool_names(request, other_calls)
    if calls:
        _set_tool_calls(delta, other_calls)
    if request.legacy_functions:
        _use_function_call(delta)
    if request.names_tool:
        _restore_stop(choice)
    if choice["finish_reason"] == "tool_calls":
        if answer_indexes and not caller_indexes:
            choice["finish_reason"] = "stop"
        elif request.legacy_functions:
            choice["finish_reason"] = "function_call"


def _restore_stop(choice: Choice | ChunkChoice) -> None:
    """Restore OpenAI's own "stop" after the call of a tool that the caller has named."""
    if choice.get("native_finish_reason") == "stop":
        choice["finish_reason"] = "stop"
        del choice["native_finish_reason"]


def _use_function_call(delta: Delta) -> None:
    """Replace tool calls by a `function_call`: with `functions`, a turn has one call, the first."""
    for call in delta.pop("tool_calls", None) or ():
        if call.get("index") == 0:
            delta["function_call"] = call.get("function", {})


def _append_content(delta: Delta, text: str) -> None:
    if text:
        delta["content"] = (delta.get("content") or "") + text


def _set_tool_calls(delta: Delta, calls: list[ToolCall]) -> None:
    if calls:
        delta["tool_calls"] = calls
    else:
        delta.pop("tool_calls", None)


def _remove_answers(message: CompletionMessage, calls: list[ToolCall], answers: list[ToolCall]) -> bool:
    """Remove the answer tool's calls from the message. Returns True if no other call remains."""
    others = [call for call in calls if call not in answers]
    if others:
        message["tool_calls"] = others
    else:
        message.pop("tool_calls", None)
    return not others


def _restore_tool_names(request: UpstreamRequest, calls: list[ToolCall]) -> None:
    for call in calls:
        function = call.get("function")
        if function is not None and "name" in function:
            function["name"] = request.caller_tool_names.get(function["name"], function["name"])


def _tool_name(call: ToolCall) -> str | None:
    return call.get("function", {}).get("name")


def _arguments(call: ToolCall) -> str:
    return call.get("function", {}).get("arguments") or ""
