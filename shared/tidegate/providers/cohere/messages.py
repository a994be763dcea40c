"""The turns of a chat in Cohere's words.

Sources: https://docs.cohere.com/reference/chat (`messages`), https://docs.cohere.com/docs/tool-use-overview (results as
documents, `tool_plan`) and https://docs.cohere.com/docs/reasoning (thinking in a message), read in 2026-11.
"""

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.cohere.normalise import PLAN_FORMAT
from tidegate.providers.cohere.request_builder import CohereRequestBuilder

_KNOWN = {
    "text": {"text"},
    "refusal": {"refusal"},
    "image_url": {"image_url"},
    "document": {"source", "title", "context"},
}
"""What of each kind of part is read; the rest of it is reported."""


def write(draft: CohereRequestBuilder) -> None:
    """Raises `InvalidRequest` for a part that Cohere has no words for."""
    match draft.take("messages"):
        case list(messages):
            draft.body["messages"] = [_message(draft, message, f"messages[{i}]") for i, message in enumerate(messages)]
        case _:
            raise InvalidRequest("`messages` must be a list.", param="messages")


def _message(draft: CohereRequestBuilder, raw: Json, path: str) -> Json:
    if not isinstance(raw, dict):
        raise InvalidRequest("A message must be an object.", param=path)
    if raw.get("name") is not None and raw.get("role") != "tool":
        draft.report_ignored(f"{path}.name")
    content = raw.get("content")
    match raw.get("role"):
        case "system" | "developer":
            return {"role": "system", "content": _content(draft, content, path, ("text",))}
        case "user":
            return {"role": "user", "content": _content(draft, content, path, ("text", "image_url", "document"))}
        case "assistant":
            return _assistant(draft, raw, path)
        case "tool":
            said = _content(draft, content, path, ("text",), results=True)
            return {"role": "tool", "tool_call_id": raw.get("tool_call_id"), "content": said}
        case role:
            raise InvalidRequest(f"There is no role {role!r} here.", param=f"{path}.role")


def _content(
    draft: CohereRequestBuilder, content: Json, path: str, kinds: tuple[str, ...], *, results: bool = False
) -> Json:
    """Text as it is, or the parts of it; documents of a user go beside the messages, those of a tool stay."""
    if not isinstance(content, list):
        return content or ""
    parts: list[Json] = []
    for i, raw in enumerate(content):
        part = _part(draft, raw, f"{path}.content[{i}]", (*kinds, "document") if results else kinds)
        if part.get("type") != "document" or results:
            parts.append(part)
        else:
            draft.documents.append(part["document"])
    return parts


def _part(draft: CohereRequestBuilder, raw: Json, path: str, kinds: tuple[str, ...]) -> JsonObject:
    kind = raw.get("type") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or kind not in kinds:
        raise InvalidRequest(f"{draft.body['model']} takes no content parts of type {kind!r} here.", param=path)
    for name in raw:
        if name != "type" and name not in _KNOWN[str(kind)] and raw[name] is not None:
            draft.report_ignored(f"{path}.{name}")
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
            raise InvalidRequest("Cohere takes documents as text only.", param=path)


def _data(raw: JsonObject, text: str) -> JsonObject:
    data: JsonObject = {name: raw[name] for name in ("title", "context") if raw.get(name)}
    data["text"] = text
    return data


def _assistant(draft: CohereRequestBuilder, raw: JsonObject, path: str) -> JsonObject:
    message: JsonObject = {"role": "assistant"}
    said = _content(draft, raw.get("content"), path, ("text", "refusal")) or raw.get("refusal") or ""
    match raw.get("audio"):
        case {"id": _}:
            draft.report_ignored(f"{path}.audio")
        case _:
            pass
    calls = raw.get("tool_calls")
    called = isinstance(calls, list) and bool(calls)
    plan, thought = _thoughts(raw)
    if thought and draft.supports_thinking:
        said = _thinking(thought, said)
    elif called:
        plan = plan or thought
    if isinstance(calls, list) and called:
        message["tool_calls"] = [_call(draft, call, f"{path}.tool_calls[{i}]") for i, call in enumerate(calls)]
        if plan:
            message["tool_plan"] = plan
    if said or not called:
        message["content"] = said
    return message


def _thinking(thought: str, said: Json) -> list[Json]:
    first: Json = {"type": "thinking", "thinking": thought}
    match said:
        case list(parts):
            return [first, *parts]
        case str(text) if text:
            return [first, {"type": "text", "text": text}]
        case _:
            return [first]


def _thoughts(raw: JsonObject) -> tuple[str, str]:
    """The plan that came before tool calls, and the thinking; what is not marked as the one is the other."""
    plan, thought = "", ""
    match raw.get("reasoning_details"):
        case list(details):
            for detail in details:
                match detail:
                    case {"type": "reasoning.text", "format": str(form), "text": str(text)} if form == PLAN_FORMAT:
                        plan += text
                    case {"type": "reasoning.text", "text": str(text)}:
                        thought += text
                    case _:
                        pass
        case _:
            pass
    if not plan and not thought:
        given = raw.get("reasoning") or raw.get("reasoning_content")
        thought = given if isinstance(given, str) else ""
    return plan, thought


def _call(draft: CohereRequestBuilder, raw: Json, path: str) -> Json:
    match raw:
        case {"id": str(call_id), "function": {"name": str(name), **rest}}:
            function: JsonObject = {
                "name": draft.tool_names.provider_name(name),
                "arguments": rest.get("arguments") or "{}",
            }
            return {"id": call_id, "type": "function", "function": function}
        case _:
            raise InvalidRequest("Cohere knows calls of functions only.", param=path)
