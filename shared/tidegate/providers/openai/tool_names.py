"""Names of tools as strict providers of the dialect take them; `restore.py` gives replies the caller's names back.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026): letters, digits, underscores and dashes, at
most 64; https://docs.mistral.ai/capabilities/function_calling says the same.
"""

from collections.abc import Mapping

from tidegate.json import Json, JsonObject
from tidegate.providers.toolnames import NameRules, ToolNames

_TOOL_NAME_RULES = NameRules("a-zA-Z0-9_-", max_length=64)


def rename_tools(body: JsonObject) -> Mapping[str, str]:
    """Spell the names of the functions in `body` so that they are taken; gives the caller's names by ours."""
    messages = body.get("messages")
    if not body.get("tools") and not (isinstance(messages, list) and any(map(_names_a_tool, messages))):
        return {}
    names = ToolNames(_TOOL_NAME_RULES, body)
    if not names.caller_names:
        return {}
    for field in ("tools", "tool_choice"):
        if field in body:
            body[field] = _spelt(names, body[field])
    if isinstance(messages, list):
        body["messages"] = [_message(names, message) for message in messages]
    return names.caller_names


def _names_a_tool(message: Json) -> bool:
    return isinstance(message, dict) and (message.get("role") == "tool" or "tool_calls" in message)


def _message(names: ToolNames, message: Json) -> Json:
    match message:
        case {"role": "assistant", "tool_calls": calls}:
            return {**message, "tool_calls": _spelt(names, calls)}
        case {"role": "tool", "name": str(name)}:
            return {**message, "name": names.provider_name(name)}
        case _:
            return message


def _spelt(names: ToolNames, value: Json) -> Json:
    """A tool, a call, a choice, or a list of them."""
    match value:
        case list(several):
            return [_spelt(names, one) for one in several]
        case {"function": {"name": str(name)} as function}:
            return {**value, "function": {**function, "name": names.provider_name(name)}}
        case {"allowed_tools": {"tools": list(tools)} as allowed}:
            return {**value, "allowed_tools": {**allowed, "tools": _spelt(names, tools)}}
        case _:
            return value
