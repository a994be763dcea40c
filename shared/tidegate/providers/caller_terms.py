"""Replies in the caller's terms again: tools by the caller's names, structured output as content, `function_call`.

A provider may forbid a tool's name, may have no way to force a schema but a tool, or may know nothing of `functions`.
`build_request` then says so in `names`, `answer_tool` and `legacy_functions`; undoing it is the same for every dialect.
"""

from collections.abc import AsyncGenerator, AsyncIterator

from tidegate.chat.completion import Chunk, ChunkChoice, Completion, CompletionMessage, Delta, ToolCall
from tidegate.providers.base import UpstreamRequest


def needs_restoring(request: UpstreamRequest) -> bool:
    """Whether replies to this request need any of it."""
    return bool(request.caller_tool_names) or request.answer_tool is not None or request.legacy_functions


def restore_completion(request: UpstreamRequest, reply: Completion) -> Completion:
    """The provider's reply, changed in place."""
    if not needs_restoring(request):
        return reply
    for choice in reply["choices"]:
        message = choice["message"]
        calls = message.get("tool_calls") or []
        answers = [call for call in calls if _name(call) == request.answer_tool]
        _rename(request, calls)
        if request.answer_tool is not None and answers:
            message["content"] = (message["content"] or "") + "".join(_arguments(call) for call in answers)
            if _keep_others(message, calls, answers) and choice["finish_reason"] == "tool_calls":
                choice["finish_reason"] = "stop"
        if request.legacy_functions and (left := message.pop("tool_calls", None)):
            message["function_call"] = left[0].get("function", {})
            if choice["finish_reason"] == "tool_calls":
                choice["finish_reason"] = "function_call"
    return reply


async def restore_stream(request: UpstreamRequest, batches: AsyncIterator[list[Chunk]]) -> AsyncGenerator[list[Chunk]]:
    """The provider's chunks, changed in place. The answer's tool call streams as content.

    Chunks in which nothing is left are left out.
    """
    answering: dict[int, set[int]] = {}
    others: dict[int, dict[int, int]] = {}
    async for batch in batches:
        for chunk in batch:
            for choice in chunk["choices"]:
                index = choice["index"]
                _restore_delta(request, choice, answering.setdefault(index, set()), others.setdefault(index, {}))
        yield [chunk for chunk in batch if not _is_emptied(chunk)]


def _is_emptied(chunk: Chunk) -> bool:
    """A chunk of usage has no choices; here there are, and they say nothing."""
    choices = chunk["choices"]
    return bool(choices) and all(len(one) == 3 and not one["delta"] and not one["finish_reason"] for one in choices)


def _restore_delta(request: UpstreamRequest, choice: ChunkChoice, answering: set[int], others: dict[int, int]) -> None:
    """`answering` are the provider's indexes of the answer's calls, `others` the caller's indexes by the provider's."""
    delta = choice["delta"]
    calls = delta.get("tool_calls") or []
    kept: list[ToolCall] = []
    for call in calls:
        index = call.get("index", 0)
        if _name(call) is not None and _name(call) == request.answer_tool:
            answering.add(index)
        if index in answering:
            _say(delta, _arguments(call))
        else:
            call["index"] = others.setdefault(index, len(others))
            kept.append(call)
    _rename(request, kept)
    if calls:
        _set_calls(delta, kept)
    if request.legacy_functions:
        _as_function_call(delta)
    if choice["finish_reason"] == "tool_calls":
        if answering and not others:
            choice["finish_reason"] = "stop"
        elif request.legacy_functions:
            choice["finish_reason"] = "function_call"


def _as_function_call(delta: Delta) -> None:
    """`functions` know one call for each turn: the first."""
    for call in delta.pop("tool_calls", None) or ():
        if call.get("index") == 0:
            delta["function_call"] = call.get("function", {})


def _say(delta: Delta, text: str) -> None:
    if text:
        delta["content"] = (delta.get("content") or "") + text


def _set_calls(delta: Delta, calls: list[ToolCall]) -> None:
    if calls:
        delta["tool_calls"] = calls
    else:
        delta.pop("tool_calls", None)


def _keep_others(message: CompletionMessage, calls: list[ToolCall], answers: list[ToolCall]) -> bool:
    """Whether no other call is left."""
    others = [call for call in calls if call not in answers]
    if others:
        message["tool_calls"] = others
    else:
        message.pop("tool_calls", None)
    return not others


def _rename(request: UpstreamRequest, calls: list[ToolCall]) -> None:
    for call in calls:
        function = call.get("function")
        if function is not None and "name" in function:
            function["name"] = request.caller_tool_names.get(function["name"], function["name"])


def _name(call: ToolCall) -> str | None:
    return call.get("function", {}).get("name")


def _arguments(call: ToolCall) -> str:
    return call.get("function", {}).get("arguments") or ""
