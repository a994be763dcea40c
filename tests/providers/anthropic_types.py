"""A request held against the types of Anthropic's own SDK."""

from typing import Any

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from pydantic import TypeAdapter

_WHOLE: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
_STREAMED: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsStreaming)

_ELSEWHERE = frozenset({"temperature", "top_p", "top_k", "context_management", "mcp_servers"})
"""Fields of version 2023-06-01 and of betas, which the types of version 2026-10-21 do not have."""
_BETA_TOOLS = frozenset({"advisor_20260301", "mcp_toolset", "code_execution_20250522"})


def unknown_to_anthropic(body: dict[str, Any]) -> list[str]:
    """The paths of what the types do not know. Raises where a value is of the wrong type."""
    known = {name: value for name, value in body.items() if name not in _ELSEWHERE}
    tools = [tool for tool in body.get("tools", ()) if tool.get("type") not in _BETA_TOOLS]
    if "tools" in known:
        known["tools"] = tools
    adapter = _STREAMED if body.get("stream") else _WHOLE
    return _lost(known, _consumed(adapter.validate_python(known)), "")


def _consumed(value: Any) -> Any:
    """pydantic checks an `Iterable` only while it is read."""
    if isinstance(value, dict):
        return {name: _consumed(inner) for name, inner in value.items()}
    if isinstance(value, str | int | float | None):
        return value
    return [_consumed(inner) for inner in value] if hasattr(value, "__iter__") else value.model_dump(exclude_none=True)


def _lost(before: Any, after: Any, path: str) -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        gone = [f"{path}.{name}" for name in before if name not in after]
        return gone + [one for name in after for one in _lost(before.get(name), after[name], f"{path}.{name}")]
    if isinstance(before, list) and isinstance(after, list):
        pairs = zip(before, after, strict=True)
        return [one for i, (old, new) in enumerate(pairs) for one in _lost(old, new, f"{path}[{i}]")]
    return [] if before == after else [path]
