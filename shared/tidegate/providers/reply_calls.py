"""Tool calls in replies, put right for the caller: the name of an offered tool, and an id that no other call has.

Models put a namespace before a name ("default_api.get_weather"): github.com/google-gemini/cookbook/issues/1374. Some
providers send no ids. A dialect then mints one that is unique in its reply only, because it knows nothing of the call.
"""

import re
from collections.abc import Set as AbstractSet
from hashlib import sha256

from tidegate.chat.completion import CompletionMessage, Delta, ToolCall
from tidegate.providers.base import UpstreamRequest
from tidegate.providers.toolnames import MINTED_PREFIX, offered_names

_SEPARATOR = re.compile(r"[.:/]")
_CALL_NUMBER = re.compile(r":\d+$")
"""Kimi's ids are "functions.get_weather:0"; some servers return them as names."""


def finish_calls(request: UpstreamRequest, choice_index: int, message: CompletionMessage | Delta) -> None:
    """Put the tool calls of a reply's message, or of a delta, right in place; also where its reasoning names them."""
    calls = message.get("tool_calls") or ()
    for call in calls:
        _finish_name(request, call)
        call_id = call.get("id")
        if call_id is not None and call_id.startswith(MINTED_PREFIX):
            call["id"] = _unique_id(request, choice_index, call_id)
    for detail in (message.get("reasoning_details") or ()) if calls else ():
        match detail:
            case {"id": str(call_id)} if call_id.startswith(MINTED_PREFIX):
                detail["id"] = _unique_id(request, choice_index, call_id)
            case _:
                pass
    function = message.get("function_call")
    if function is not None and (name := function.get("name")):
        function["name"] = _offered_name(request, name)


def _unique_id(request: UpstreamRequest, choice_index: int, minted_id: str) -> str:
    seed = f"{request.call_id}:{choice_index}:{minted_id}"
    return f"call_{sha256(seed.encode()).hexdigest()[:24]}"


def _finish_name(request: UpstreamRequest, call: ToolCall) -> None:
    function, custom = call.get("function"), call.get("custom")
    if function is not None and (name := function.get("name")):
        function["name"] = _offered_name(request, name)
    elif custom is not None and isinstance(name := custom.get("name"), str):
        custom["name"] = _offered_name(request, name)


def _offered_name(request: UpstreamRequest, name: str) -> str:
    """Return the offered tool's name in `name`, as the provider was told it; `name` itself if there is none."""
    callers = offered_names(request.caller_tools)
    if name in callers or name in request.caller_tool_names or name == request.answer_tool:
        return name
    renamed = set(request.caller_tool_names.values())
    offered = (callers - renamed) | request.caller_tool_names.keys() | {request.answer_tool}
    stripped = name.strip()
    return _without_namespace(stripped, offered) or _without_namespace(_CALL_NUMBER.sub("", stripped), offered) or name


def _without_namespace(name: str, offered: AbstractSet[str | None]) -> str | None:
    """Return `name`, or else what is behind its first separators, if it was offered."""
    candidates = [name, *(name[separator.end() :] for separator in _SEPARATOR.finditer(name))]
    return next((candidate for candidate in candidates if candidate in offered), None)
