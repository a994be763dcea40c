"""Translates the conversation into Cohere's messages.

Sources: https://docs.cohere.com/reference/chat (`messages`), https://docs.cohere.com/docs/tool-use-overview (results as
documents, `tool_plan`) and https://docs.cohere.com/docs/reasoning (thinking in a message), read in 2026-11.
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.cohere.normalise import PLAN_FORMAT
from tidegate.providers.cohere.request_builder import CohereRequestBuilder

_READ_FIELDS = {
    "text": {"text"},
    "refusal": {"refusal"},
    "image_url": {"image_url"},
    "document": {"source", "title", "context"},
}
"""The fields of each type of content part that are translated; its other fields are reported as ignored."""


def write(builder: CohereRequestBuilder) -> None:
    """Translate the messages. Raises `InvalidRequest` for a content part that Cohere does not support."""
    match builder.take("messages"):
        case list(messages):
            builder.body["messages"] = [_message(builder, each, f"messages[{i}]") for i, each in enumerate(messages)]
        case _:
            raise InvalidRequest("`messages` must be a list.", param="messages")


def _message(builder: CohereRequestBuilder, raw: Json, path: str) -> Json:
    if not isinstance(raw, dict):
        raise InvalidRequest("A message must be an object.", param=path)
    if raw.get("name") is not None and raw.get("role") != "tool":
        builder.report_ignored(f"{path}.name")
    content = raw.get("content")
    match raw.get("role"):
        case "system" | "developer":
            return {"role": "system", "content": _content(builder, content, path, ("text",))}
        case "user":
            return {"role": "user", "content": _content(builder, content, path, ("text", "image_url", "document"))}
        case "assistant":
            return _assistant(builder, raw, path)
        case "tool":
            content = _content(builder, content, path, ("text",), is_tool_result=True)
            return {"role": "tool", "tool_call_id": raw.get("tool_call_id"), "content": content}
        case role:
            raise InvalidRequest(f"Cohere does not accept messages with the role {role!r}.", param=f"{path}.role")


def _content(
    builder: CohereRequestBuilder, content: Json, path: str, allowed: tuple[str, ...], *, is_tool_result: bool = False
) -> Json:
    """Return the content as text or parts; a user's documents are sent beside the messages, a tool's stay in place."""
    if not isinstance(content, list):
        return content or ""
    parts: list[Json] = []
    for i, raw in enumerate(content):
        part = _part(builder, raw, f"{path}.content[{i}]", (*allowed, "document") if is_tool_result else allowed)
        if part.get("type") != "document" or is_tool_result:
            parts.append(part)
        else:
            builder.documents.append(part["document"])
    return parts


def _part(builder: CohereRequestBuilder, raw: Json, path: str, allowed: tuple[str, ...]) -> JsonObject:
    part_type = raw.get("type") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or part_type not in allowed:
        text = f"{builder.body['model']} does not accept content parts of type {part_type!r} here."
        raise InvalidRequest(text, param=path)
    for name in raw:
        if name != "type" and name not in _READ_FIELDS[str(part_type)] and raw[name] is not None:
            builder.report_ignored(f"{path}.{name}")
    match raw:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "refusal", "refusal": str(text)}:
            return {"type": "text", "text": text}
        case {"image_url": {"url": str(url), **rest}}:
            detail = rest.get("detail")
            return {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}
        case {"source": {"type": "text", "data": str(text)}}:
            return {"type": "document", "document": {"data": _data(raw, text)}}
        case _:
            raise InvalidRequest("Cohere accepts documents only as text.", param=path)


def _data(raw: JsonObject, text: str) -> JsonObject:
    data: JsonObject = {name: raw[name] for name in ("title", "context") if raw.get(name)}
    data["text"] = text
    return data


def _assistant(builder: CohereRequestBuilder, raw: JsonObject, path: str) -> JsonObject:
    message: JsonObject = {"role": "assistant"}
    content = _content(builder, raw.get("content"), path, ("text", "refusal")) or raw.get("refusal") or ""
    match raw.get("audio"):
        case {"id": _}:
            builder.report_ignored(f"{path}.audio")
        case _:
            pass
    calls = raw.get("tool_calls")
    has_calls = isinstance(calls, list) and bool(calls)
    plan, thinking = _plan_and_thinking(raw)
    if thinking and builder.supports_thinking:
        content = _thinking(thinking, content)
    elif has_calls:
        plan = plan or thinking
    if isinstance(calls, list) and has_calls:
        message["tool_calls"] = [_call(builder, call, f"{path}.tool_calls[{i}]") for i, call in enumerate(calls)]
        if plan:
            message["tool_plan"] = plan
    if content or not has_calls:
        message["content"] = content
    return message


def _thinking(thinking: str, content: Json) -> list[Json]:
    thinking_part: Json = {"type": "thinking", "thinking": thinking}
    match content:
        case list(parts):
            return [thinking_part, *parts]
        case str(text) if text:
            return [thinking_part, {"type": "text", "text": text}]
        case _:
            return [thinking_part]


def _plan_and_thinking(raw: JsonObject) -> tuple[str, str]:
    """Return the plan before tool calls, and the thinking; unmarked reasoning counts as thinking."""
    plan, thinking = "", ""
    match raw.get("reasoning_details"):
        case list(details):
            for detail in details:
                match detail:
                    case {"type": "reasoning.text", "format": str(tag), "text": str(text)} if tag == PLAN_FORMAT:
                        plan += text
                    case {"type": "reasoning.text", "text": str(text)}:
                        thinking += text
                    case _:
                        pass
        case _:
            pass
    if not plan and not thinking:
        reasoning = raw.get("reasoning") or raw.get("reasoning_content")
        thinking = reasoning if isinstance(reasoning, str) else ""
    return plan, thinking


def _call(builder: CohereRequestBuilder, raw: Json, path: str) -> Json:
    match raw:
        case {"id": str(call_id), "function": {"name": str(name), **rest}}:
            arguments = rest.get("arguments") or "{}"
            function: JsonObject = {"name": builder.tool_names.provider_name(name), "arguments": arguments}
            return {"id": call_id, "type": "function", "function": function}
        case _:
            raise InvalidRequest("Cohere accepts only tool calls of functions.", param=path)
