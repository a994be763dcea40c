"""A recorded request of Anthropic's as a client of ours would have written it, and requests in one form to compare."""

import json
from typing import Any

TOLD = frozenset({"text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking"})
"""Blocks that OpenAI's dialect, with our extensions, has words for."""


def is_translatable(request: dict[str, Any]) -> bool:
    return all(message["role"] != "system" and _is_told(message["content"]) for message in request["messages"])


def _is_told(content: Any) -> bool:
    if isinstance(content, str):
        return True
    return all(block["type"] in TOLD and _is_told(block.get("content") or "") for block in content)


def asked(request: dict[str, Any]) -> dict[str, Any]:
    """The same request in OpenAI's dialect."""
    body = {name: value for name, value in request.items() if name not in ("system", "messages", "thinking")}
    body["messages"] = [
        *([{"role": "system", "content": request["system"]}] if request.get("system") else []),
        *(one for message in request["messages"] for one in _messages(message)),
    ]
    if "tools" in body:
        body["tools"] = [_tool(tool) for tool in request["tools"]]
    match body.pop("tool_choice", None):
        case None:
            pass
        case {"type": "tool", "name": name}:
            body["tool_choice"] = {"type": "function", "function": {"name": name}}
        case {"type": kind, **rest}:
            body["tool_choice"] = {"any": "required"}.get(kind, kind)
            if rest:
                body["parallel_tool_calls"] = False
    config = dict(body.pop("output_config", None) or {})
    if "format" in config:
        schema = {"name": "answer", "schema": config.pop("format")["schema"]}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if config:
        body["output_config"] = config
    match request.get("thinking"):
        case {"type": "enabled", "budget_tokens": budget}:
            body["reasoning"] = {"max_tokens": budget}
        case {"type": "adaptive"}:
            body["thinking"] = {"type": "adaptive"}
    if "stop_sequences" in body:
        body["stop"] = body.pop("stop_sequences")
    if "metadata" in body:
        body["user"] = body.pop("metadata")["user_id"]
    return body


def comparable(request: dict[str, Any]) -> dict[str, Any]:
    """The request without what says nothing, with every text as a block, neighbours merged and the user first."""
    body = _without_nulls(request)
    if body.get("stream") is False:
        del body["stream"]
    if isinstance(body.get("system"), str):
        body["system"] = [{"type": "text", "text": body["system"]}]
    for message in body["messages"]:
        message["content"] = _blocks(message["content"])
        for block in message["content"]:
            if block["type"] == "tool_result":
                block["content"] = _blocks(block.get("content", ""))
                if not block.get("is_error"):
                    block.pop("is_error", None)
            if not block.get("citations", True):
                del block["citations"]
    for i in range(len(body["messages"]) - 1, 0, -1):
        if body["messages"][i]["role"] == body["messages"][i - 1]["role"]:
            body["messages"][i - 1]["content"] += body["messages"].pop(i)["content"]
    if body["messages"][0]["role"] == "assistant":
        body["messages"].insert(0, {"role": "user", "content": [{"type": "text", "text": "(no content)"}]})
    body.get("thinking", {}).pop("display", None)
    for tool in body.get("tools", ()):
        if tool.get("type") == "custom":
            del tool["type"]
        if not tool.get("description", True):
            del tool["description"]
    if body.get("tools") == []:
        del body["tools"]
    return body


def _blocks(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content.strip() else []
    return [block for block in content if block["type"] != "text" or block["text"].strip()]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _messages(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    if isinstance(content, str):
        return [message]
    if message["role"] == "assistant":
        return [_assistant(content)]
    results = [
        {"role": "tool", "tool_call_id": block["tool_use_id"], "content": _parts(block.get("content") or "")}
        | {name: block[name] for name in ("cache_control", "is_error") if block.get(name)}
        for block in content
        if block["type"] == "tool_result"
    ]
    rest = [_part(block) for block in content if block["type"] != "tool_result"]
    return [*results, *([{"role": "user", "content": rest}] if rest else [])]


def _assistant(content: list[dict[str, Any]]) -> dict[str, Any]:
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": json.dumps(block["input"])},
            **{name: block[name] for name in ("cache_control",) if name in block},
        }
        for block in content
        if block["type"] == "tool_use"
    ]
    thoughts = [
        {"type": "reasoning.text", "text": block["thinking"], "signature": block["signature"]}
        if block["type"] == "thinking"
        else {"type": "reasoning.encrypted", "data": block["data"]}
        for block in content
        if block["type"] in ("thinking", "redacted_thinking")
    ]
    message: dict[str, Any] = {"role": "assistant", "content": [_part(one) for one in content if one["type"] == "text"]}
    return message | ({"tool_calls": calls} if calls else {}) | ({"reasoning_details": thoughts} if thoughts else {})


def _parts(content: Any) -> Any:
    return content if isinstance(content, str) else [_part(block) for block in content]


def _part(block: dict[str, Any]) -> dict[str, Any]:
    match block:
        case {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}:
            part: dict[str, Any] = {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
        case {"type": "image", "source": {"type": "url", "url": url}}:
            part = {"type": "image_url", "image_url": {"url": url}}
        case {"type": "image", "source": {"type": "file", "file_id": file_id}}:
            part = {"type": "file", "file": {"file_id": file_id, "filename": "a.png"}}
        case _:
            return block
    return part | {name: block[name] for name in ("cache_control",) if name in block}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type", "custom") != "custom":
        return tool
    function = {name: tool[name] for name in ("name", "description", "strict") if tool.get(name)}
    written = {"type": "function", "function": {**function, "parameters": tool["input_schema"]}}
    return written | {
        name: tool[name] for name in ("cache_control", "defer_loading", "allowed_callers") if name in tool
    }
