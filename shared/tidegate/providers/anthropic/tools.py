"""Tools, the choice among them, and Anthropic's own web search.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools, …/strict-tool-use,
…/web-search-tool; https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat (the caller's words for it).
"""

from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic.request_builder import Draft
from tidegate.providers.anthropic.schema import narrow

SEARCH = "web_search"
"""The name of Anthropic's own search tool."""

_SEARCHES = ("web_search", "web_search_preview")
_USES = {"low": 1, "medium": 5, "high": 10}
"""Searches that stand for OpenAI's `search_context_size`."""

_OWN = ("max_uses", "allowed_domains", "blocked_domains", "cache_control")
_OF_TOOL = ("cache_control", "defer_loading", "allowed_callers", "eager_input_streaming", "input_examples")
"""What Anthropic knows of a tool beyond OpenAI."""

_BETAS = {
    "code_execution_20250522": "code-execution-2025-05-22",
    "code_execution_20250825": "code-execution-2025-08-25",
    "web_fetch_20250910": "web-fetch-2025-09-10",
    "advisor_20260301": "advisor-tool-2026-03-01",
    "mcp_toolset": "mcp-client-2025-11-20",
}
_FORCED = ("any", "tool")


def reserved(body: JsonObject) -> tuple[str, ...]:
    """The name of Anthropic's search, where the caller wants to search."""
    listed = body.get("tools")
    kinds = [tool.get("type") for tool in (listed if isinstance(listed, list) else ()) if isinstance(tool, dict)]
    searches = any(str(kind).startswith(SEARCH) for kind in kinds)
    return (SEARCH,) if searches or body.get("web_search_options") is not None else ()


def write(draft: Draft) -> None:
    listed = draft.take("tools")
    found: list[Json] = []
    for i, tool in enumerate(listed if isinstance(listed, list) else []):
        written = _tool(draft, tool, f"tools[{i}]")
        if written is not None:
            found.append(written)
    match draft.take("web_search_options"):
        case dict(options) if not any(isinstance(tool, dict) and tool.get("name") == SEARCH for tool in found):
            found.append(_search(draft, options, "web_search_options"))
        case dict():
            draft.ignored.append("web_search_options")  # the tool among the tools says it already
        case _:
            pass
    choice = _choice(draft, bool(found))
    if draft.answer_tool is not None and choice.get("type") not in _FORCED:
        # With tools of the caller's, the model may call one of them, or answer: by a call in either case.
        forced: JsonObject = {"type": "any"}
        if not found or choice.get("type") == "none":
            forced = {"type": "tool", "name": draft.answer_tool["name"], "disable_parallel_tool_use": True}
        choice = {**choice, **forced}
        found.append(draft.answer_tool)
    if found:
        draft.body["tools"] = found
        if choice:
            draft.body["tool_choice"] = choice


def _tool(draft: Draft, tool: Json, path: str) -> JsonObject | None:
    match tool:
        case {"type": "function", "function": dict(function)}:
            return {**_function(draft, function, f"{path}.function"), **_own(tool)}
        case {"type": str(kind)} if kind in _SEARCHES:
            inner = tool.get("web_search")
            options = inner if isinstance(inner, dict) else {k: v for k, v in tool.items() if k not in ("type", "name")}
            return _search(draft, options, path)
        case {"type": "custom", "custom": _}:
            draft.ignored.append(path)
            return None
        case {"type": str(kind)}:
            if kind in _BETAS:
                draft.betas.append(_BETAS[kind])
            return tool  # Anthropic's own
        case _:
            return None


def _function(draft: Draft, function: JsonObject, path: str) -> JsonObject:
    schema = function.get("parameters")
    schema = schema if isinstance(schema, dict) else {}
    written: JsonObject = {"name": draft.names.spell(str(function.get("name")))}
    description = function.get("description")
    if isinstance(description, str) and description:
        written["description"] = description
    written["input_schema"] = _complete(schema)
    if function.get("strict") is True:
        if draft.abilities.structured and narrow(schema) == schema:
            written["strict"] = True
        else:
            draft.report(f"{path}.strict")
    return {**written, **_own(function)}


def _own(holder: JsonObject) -> JsonObject:
    return {name: value for name, value in holder.items() if name in _OF_TOOL and value is not None}


def _complete(schema: JsonObject) -> JsonObject:
    """The whole schema, with what Anthropic cannot do without."""
    if not schema:
        return {"type": "object", "properties": {}}
    return schema if schema.get("type") else {"type": "object", **schema}


def _search(draft: Draft, options: JsonObject, path: str) -> JsonObject:
    tool: JsonObject = {"type": "web_search_20250305", "name": SEARCH}
    for name, value in options.items():
        match name, value:
            case _, None:
                pass
            case "user_location", {"approximate": dict(place)} | dict(place):
                tool["user_location"] = {**place, "type": "approximate"}
            case "search_context_size", str(size) if size in _USES:
                tool.setdefault("max_uses", _USES[size])
            case "filters", dict(filters):
                tool.update({key: value for key, value in filters.items() if key in _OWN})
                draft.ignored.extend(f"{path}.filters.{key}" for key in filters if key not in _OWN)
            case _ if name in _OWN:
                tool[name] = value
            case _:
                draft.ignored.append(f"{path}.{name}")
    return tool


def _choice(draft: Draft, has_tools: bool) -> JsonObject:
    """The choice in Anthropic's words, empty where there is nothing to say."""
    choice: JsonObject = _translated(draft, draft.take("tool_choice"))
    parallel = draft.take("parallel_tool_calls")
    if not has_tools:
        if choice.get("type") in _FORCED:
            draft.report("tool_choice")
        return {}
    if choice.get("type") in _FORCED and (draft.thinking == "budget" or not draft.abilities.forced_tools):
        draft.report("tool_choice")  # Anthropic forces no tool on a model that thinks by a budget, or always
        choice = {"type": "auto"}
    if parallel is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    return choice


def _translated(draft: Draft, given: Json) -> JsonObject:
    match given:
        case None:
            return {}
        case "auto" | {"type": "auto"}:
            return {"type": "auto"}
        case "none" | {"type": "none"}:
            return {"type": "none"}
        case "required" | "any" | {"type": "any"}:
            return {"type": "any"}
        case {"function": {"name": str(name)}} | {"name": str(name)}:
            return {"type": "tool", "name": draft.names.spell(name)}
        case {"type": "web_search" | "web_search_preview"}:
            return {"type": "tool", "name": SEARCH}
        case _:
            draft.ignored.append("tool_choice")
            return {}
