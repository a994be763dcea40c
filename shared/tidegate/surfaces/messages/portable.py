"""Makes a translated request one that every provider takes: without what only Anthropic knows.

Fields and tools of Anthropic's are left out and reported. Tools that the client runs itself (`bash_…`, `text_editor_…`,
`memory_…`), whose schema only Anthropic's models know, become functions with that schema. Images and documents in the
results of tools go into a user's message after all results; instructions of the system between turns go into one too.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/bash-tool, …/text-editor-tool, …/memory-tool
(2026-11).
"""

import operator
import re

from tidegate.chat.fields import TOOL_FIELDS
from tidegate.chat.parse import FIELD_NAMES
from tidegate.json import Json, JsonObject
from tidegate.surfaces.content_parts import without_media

_FIELDS = FIELD_NAMES | {"top_k"}
_TEXT: JsonObject = {"type": "string"}
_LINES: JsonObject = {"type": "array", "items": {"type": "integer"}, "description": "The first and the last line."}
_EDITS: JsonObject = {
    "path": _TEXT,
    "file_text": {"type": "string", "description": "For create: the content of the file."},
    "old_str": {"type": "string", "description": "For str_replace: the text to replace, which must be unique."},
    "new_str": {"type": "string", "description": "For str_replace: the new text. For insert: the text to insert."},
    "insert_line": {"type": "integer", "description": "For insert: the line after which to insert; 0 is the start."},
    "insert_text": {"type": "string", "description": "For insert: the text to insert."},
    "view_range": _LINES,
}


def _commands(*names: str) -> JsonObject:
    return {"type": "string", "enum": [*names]}


_CLIENT_TOOLS: dict[str, tuple[str, JsonObject, list[Json]]] = {
    "bash": (
        "Run a command in a persistent bash session.",
        {"command": _TEXT, "restart": {"type": "boolean", "description": "Restart the session instead."}},
        [],
    ),
    "text_editor": (
        "View, create and edit text files.",
        {"command": _commands("view", "create", "str_replace", "insert"), **_EDITS},
        ["command", "path"],
    ),
    "memory": (
        "Read and write files in the directory /memories, which lasts across conversations.",
        {
            "command": _commands("view", "create", "str_replace", "insert", "delete", "rename"),
            **_EDITS,
            "old_path": _TEXT,
            "new_path": _TEXT,
        },
        ["command"],
    ),
}
"""By type, without its version: the description, the properties and the required ones."""

_FUNCTION = ("type", "function")
_VERSION = re.compile(r"_\d{8}$")
_SEARCH_FIELDS = ("allowed_domains", "blocked_domains", "max_uses", "user_location")
_TIERS: dict[Json, Json] = {"standard_only": "default"}
_REMINDER = "<system-reminder>\n%s\n</system-reminder>"
"""How Claude Code marks instructions in messages of the user."""


def portable_body(body: JsonObject) -> tuple[JsonObject, tuple[str, ...]]:
    """Return the body for providers that do not know Anthropic's terms, and the paths of what was left out."""
    ignored = [name for name, value in body.items() if name not in _FIELDS and value is not None]
    portable: JsonObject = {name: value for name, value in body.items() if name in _FIELDS}
    tier = portable.get("service_tier")
    if isinstance(tier, str):
        portable["service_tier"] = _TIERS.get(tier, tier)
    messages = body.get("messages")
    if isinstance(messages, list):
        portable["messages"] = _with_media_after_results(_with_system_at_the_start(messages))
    tools = body.get("tools")
    if isinstance(tools, list):
        _write_tools(portable, tools, ignored)
    return portable, tuple(ignored)


def _write_tools(portable: JsonObject, tools: list[Json], ignored: list[str]) -> None:
    kept: list[Json] = []
    for number, tool in enumerate(tools):
        translated = _translate(tool)
        if translated is None:
            ignored.append(f"tools[{number}]")
        else:
            kept.append(translated)
    if kept:
        portable["tools"] = _same_if_unchanged(tools, kept)
    else:
        for name in TOOL_FIELDS:
            portable.pop(name, None)


def _translate(tool: Json) -> JsonObject | None:
    match tool:
        case {"type": "function", "function": dict(function)}:
            return tool if len(tool) == len(_FUNCTION) else {"type": "function", "function": function}
        case {"type": str(kind)} if kind.startswith("web_search"):
            options = {name: tool[name] for name in _SEARCH_FIELDS if tool.get(name) is not None}
            return {"type": "web_search", **options}
        case {"type": str(kind), "name": str(name)} if (base := _VERSION.sub("", kind)) in _CLIENT_TOOLS:
            description, properties, required = _CLIENT_TOOLS[base]
            schema: JsonObject = {"type": "object", "properties": properties, "required": required}
            return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}
        case _:
            return None


def _with_system_at_the_start(messages: list[Json]) -> list[Json]:
    """Turn later instructions of the system into messages of the user: the templates of many open models refuse them.

    They join a user's message before them, since the same templates want the roles to alternate.
    """
    changed: list[Json] = []
    has_begun = False
    for message in messages:
        if not isinstance(message, dict) or message.get("role") != "system":
            has_begun = True
            changed.append(message)
        elif not has_begun:
            changed.append(message)
        else:
            parts = [{**part, "text": _REMINDER % part["text"]} for part in _text_parts(message.get("content"))]
            last = changed[-1] if changed else None
            if isinstance(last, dict) and last.get("role") == "user":
                changed[-1] = {**last, "content": [*_parts(last.get("content")), *parts]}
            else:
                changed.append({"role": "user", "content": [*parts]})
    return _same_if_unchanged(messages, changed)


def _same_if_unchanged(before: list[Json], after: list[Json]) -> list[Json]:
    """Return the list itself if it has not changed: what is the same object is not validated again."""
    return before if len(before) == len(after) and all(map(operator.is_, before, after)) else after


def _parts(content: Json) -> list[Json]:
    return content if isinstance(content, list) else [{"type": "text", "text": content or ""}]


def _text_parts(content: Json) -> list[JsonObject]:
    return [part for part in _parts(content) if isinstance(part, dict) and "text" in part]


def _with_media_after_results(messages: list[Json]) -> list[Json]:
    """Move images and documents out of the results of tools, into a user's message after all results of their turn."""
    moved: list[Json] = []
    media: list[Json] = []
    for message in messages:
        is_result = isinstance(message, dict) and message.get("role") == "tool"
        if media and not is_result:
            moved.append({"role": "user", "content": media})
            media = []
        if is_result and isinstance(message, dict) and isinstance(content := message.get("content"), list):
            texts, taken = without_media(content, message.get("tool_call_id"))
            media += taken
            changed: JsonObject = {**message, "content": texts} if taken else message
            moved.append(changed)
        else:
            moved.append(message)
    return _same_if_unchanged(messages, [*moved, {"role": "user", "content": media}] if media else moved)
