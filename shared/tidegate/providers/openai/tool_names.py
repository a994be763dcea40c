"""Renames tools for providers that are strict about names; `caller_terms.py` restores the names in replies.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026): letters, digits, underscores and dashes, at
most 64; https://docs.mistral.ai/capabilities/function_calling has the same rule.
"""

from collections.abc import Mapping

from tidegate.json import Json, JsonObject
from tidegate.providers.toolnames import NameRules, ToolNames

_TOOL_NAME_RULES = NameRules("a-zA-Z0-9_-", max_length=64)


def rename_tools(body: JsonObject) -> Mapping[str, str]:
    """Rename the tools in `body` so that the provider accepts them. Returns the caller's names by the new ones."""
    messages = body.get("messages")
    if not body.get("tools") and not (isinstance(messages, list) and any(map(_names_a_tool, messages))):
        return {}
    names = ToolNames(_TOOL_NAME_RULES, body)
    if not names.caller_names:
        return {}
    for field in ("tools", "tool_choice"):
        if field in body:
            body[field] = _rename(names, body[field])
    if isinstance(messages, list):
        body["messages"] = [_message(names, message) for message in messages]
    return names.caller_names


def _names_a_tool(message: Json) -> bool:
    return isinstance(message, dict) and (message.get("role") == "tool" or "tool_calls" in message)


def _message(names: ToolNames, message: Json) -> Json:
    match message:
        case {"role": "assistant", "tool_calls": calls}:
            return {**message, "tool_calls": _rename(names, calls)}
        case {"role": "tool", "name": str(name)}:
            return {**message, "name": names.provider_name(name)}
        case _:
            return message


def _rename(names: ToolNames, value: Json) -> Json:
    """Rename in a tool, a tool call, a tool choice, or a list of them."""
    match value:
        case list(items):
            return [_rename(names, item) for item in items]
        case {"function": {"name": str(name)} as function}:
            return {**value, "function": {**function, "name": names.provider_name(name)}}
        case {"allowed_tools": {"tools": list(tools)} as allowed}:
            return {**value, "allowed_tools": {**allowed, "tools": _rename(names, tools)}}
        case _:
            return value
