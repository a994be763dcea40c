"""Converse's own rules, from botocore's model of the service, and its requests said in OpenAI's dialect."""

import json
from base64 import b64decode
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

_SERVICE = botocore.session.get_session().get_service_model("bedrock-runtime")
_BLOBS = {"bytes", "redactedContent"}
_MIME = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def faults(body: Any, *, stream: bool = False) -> str:
    """What the service's model has against that body, nothing if it is a request."""
    shape = _SERVICE.operation_model("ConverseStream" if stream else "Converse").input_shape
    report = ParamValidator().validate({"modelId": "m", **_with_blobs(body)}, shape)
    return report.generate_report()


def _with_blobs(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: b64decode(inner) if name in _BLOBS and isinstance(inner, str) else _with_blobs(inner)
            for name, inner in value.items()
        }
    return [_with_blobs(inner) for inner in value] if isinstance(value, list) else value


def as_openai(request: dict[str, Any]) -> dict[str, Any] | None:
    """What a client of ours would send for it, None where OpenAI's dialect has no words."""
    body: dict[str, Any] = {"model": "bedrock/m", "messages": []}
    for block in request.get("system") or []:
        if "cachePoint" in block:
            _mark(body["messages"][-1], block["cachePoint"])
        else:
            body["messages"].append({"role": "system", "content": [{"type": "text", **block}]})
    for message in request["messages"]:
        said = _message(message)
        if said is None:
            return None
        body["messages"] += said
    return body | _tools(request) | _settings(request)


def _message(message: dict[str, Any]) -> list[dict[str, Any]] | None:
    results: list[dict[str, Any]] = []
    turn: dict[str, Any] = {"role": message["role"], "content": []}
    for block in message["content"]:
        match block:
            case {"toolUse": {"type": "server_tool_use"}} | {"toolResult": {"type": _}}:
                return None
            case {"toolUse": use}:
                call = {"name": use["name"], "arguments": json.dumps(use["input"])}
                turn.setdefault("tool_calls", []).append({"id": use["toolUseId"], "type": "function", "function": call})
            case {"toolResult": result}:
                parts = [_part(inner) for inner in result["content"]]
                if None in parts:
                    return None
                results.append({"role": "tool", "tool_call_id": result["toolUseId"], "content": parts})
            case {"reasoningContent": {"reasoningText": text}}:
                detail = {"type": "reasoning.text", "format": "anthropic-claude-v1", **text}
                turn.setdefault("reasoning_details", []).append(detail)
            case {"reasoningContent": {"redactedContent": blob}}:
                detail = {"type": "reasoning.encrypted", "data": b64decode(blob).decode(), "format": None}
                turn.setdefault("reasoning_details", []).append(detail)
            case {"cachePoint": point}:
                _mark(turn if turn["content"] else results[-1], point)
            case _:
                part = _part(block)
                if part is None:
                    return None
                turn["content"].append(part)
    return results + ([turn] if len(turn) > 2 or turn["content"] else [])


def _mark(message: dict[str, Any], point: dict[str, Any]) -> None:
    control = {"type": "ephemeral", **({"ttl": point["ttl"]} if "ttl" in point else {})}
    message["content"][-1]["cache_control"] = control


def _part(block: dict[str, Any]) -> dict[str, Any] | None:
    match block:
        case {"text": text}:
            return {"type": "text", "text": text}
        case {"json": value}:
            return {"type": "text", "text": json.dumps(value)}
        case {"image": {"format": form, "source": {"bytes": data}}}:
            return {"type": "image_url", "image_url": {"url": f"data:image/{form};base64,{data}"}}
        case {"video": {"format": form, "source": {"bytes": data}}}:
            return {"type": "video_url", "video_url": {"url": f"data:video/{form};base64,{data}"}}
        case {"document": {"format": form, "name": name, "source": {"bytes": data}} as document}:
            source = {"type": "base64", "media_type": _MIME[form], "data": data}
            return {"type": "document", "title": name, "source": source, **_of(document, "citations")}
        case {"document": {"name": name, "source": {"text": text}} as document}:
            source = {"type": "text", "media_type": "text/plain", "data": text}
            return {"type": "document", "title": name, "source": source, **_of(document, "citations")}
        case {"image": {"source": {"s3Location": {"uri": uri}}}}:
            return {"type": "image_url", "image_url": {"url": uri}}
        case {"video": {"source": {"s3Location": {"uri": uri}}}}:
            return {"type": "video_url", "video_url": {"url": uri}}
        case {"document": {"name": name, "source": {"s3Location": {"uri": uri}}}}:
            return {"type": "document", "title": name, "source": {"type": "url", "url": uri}}
        case _:
            return None


def _of(holder: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: holder[name] for name in names if name in holder}


def _tools(request: dict[str, Any]) -> dict[str, Any]:
    config = request.get("toolConfig") or {}
    tools: list[dict[str, Any]] = []
    for tool in config.get("tools", []):
        match tool:
            case {"toolSpec": spec}:
                function = {"name": spec["name"], "parameters": spec["inputSchema"]["json"]}
                tools.append({"type": "function", "function": function | _of(spec, "description", "strict")})
            case {"systemTool": {"name": name}}:
                tools.append({"type": name})
            case {"cachePoint": point}:
                tools[-1]["cache_control"] = {"type": "ephemeral", **_of(point, "ttl")}
    choice: Any = {"any": "required", "auto": "auto"}.get(next(iter(config.get("toolChoice") or {}), ""))
    if "tool" in (config.get("toolChoice") or {}):
        choice = {"type": "function", "function": {"name": config["toolChoice"]["tool"]["name"]}}
    return ({"tools": tools} if tools else {}) | ({"tool_choice": choice} if choice else {})


def _settings(request: dict[str, Any]) -> dict[str, Any]:
    names = {"maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p", "stopSequences": "stop"}
    settings = {names[name]: value for name, value in (request.get("inferenceConfig") or {}).items()}
    formatted = request.get("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema")
    if formatted:
        schema = {**formatted, "schema": json.loads(formatted["schema"])}
        settings["response_format"] = {"type": "json_schema", "json_schema": schema}
    passed = ("performanceConfig", "guardrailConfig", "serviceTier", "additionalModelRequestFields")
    return settings | _of(request, *passed, "additionalModelResponseFieldPaths")
