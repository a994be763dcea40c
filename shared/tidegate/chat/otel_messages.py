"""The content of a chat as OpenTelemetry's attributes: messages of parts, as JSON in a text. Pure.

Bytes of media are left out. Loaded with the first call whose content is both traced and exported.

Source: https://github.com/open-telemetry/semantic-conventions-genai (docs/gen-ai/gen-ai-input-messages.json and
gen-ai-output-messages.json, release 0.1.0, read 2026-11).
"""

from collections.abc import Iterator

import msgspec

from tidegate.json import Json, JsonObject, decode, encode

MAX_CHARACTERS = 60_000
"""The longest attribute. CloudWatch takes 200 KB a span, and three attributes can be long."""

_MODALITIES = {"image_url": "image", "input_audio": "audio", "video_url": "video", "file": "document"}
_FINISH_REASONS = {"tool_calls": "tool_call", "function_call": "tool_call"}


def content_attributes(request: bytes, answer: bytes) -> dict[str, str | list[str]]:
    """Return the attributes with the content of a request and of its answer, both in OpenAI's dialect.

    Those that are too long are left out, and named in `tidegate.content.omitted`.
    """
    body, reply = _object(request), _object(answer)
    found = {
        "gen_ai.input.messages": [_message(each) for each in _objects(body.get("messages"))],
        "gen_ai.output.messages": [_choice(each) for each in _objects(reply.get("choices"))],
        "gen_ai.tool.definitions": [_tool(each) for each in _objects(body.get("tools"))],
    }
    texts = {name: encode(value).decode() for name, value in found.items() if value}
    attributes: dict[str, str | list[str]] = {name: text for name, text in texts.items() if len(text) <= MAX_CHARACTERS}
    omitted = [name for name in texts if name not in attributes]
    if omitted:
        attributes["tidegate.content.omitted"] = omitted
    stop = body.get("stop")
    sequences = [stop] if isinstance(stop, str) else [each for each in _list(stop) if isinstance(each, str)]
    return {**attributes, "gen_ai.request.stop_sequences": sequences} if sequences else attributes


def _message(message: JsonObject) -> JsonObject:
    role = message.get("role")
    named: JsonObject = {"name": message["name"]} if isinstance(message.get("name"), str) else {}
    if role in ("tool", "function"):
        response: JsonObject = {"type": "tool_call_response", "response": message.get("content")}
        if isinstance(message.get("tool_call_id"), str):
            response["id"] = message["tool_call_id"]
        return {"role": "tool", "parts": [response], **named}
    return {"role": "system" if role == "developer" else role, "parts": list(_parts(message)), **named}


def _choice(choice: JsonObject) -> JsonObject:
    message, reason = choice.get("message"), choice.get("finish_reason")
    reason = _FINISH_REASONS.get(reason, reason) if isinstance(reason, str) else "error"
    parts: list[Json] = list(_parts(message)) if isinstance(message, dict) else []
    return {"role": "assistant", "parts": parts, "finish_reason": reason}


def _parts(message: JsonObject) -> Iterator[JsonObject]:
    reasoning = message.get("reasoning") or message.get("reasoning_content")
    if isinstance(reasoning, str):
        yield {"type": "reasoning", "content": reasoning}
    content = message.get("content")
    if isinstance(content, str):
        yield {"type": "text", "content": content}
    for part in _objects(content):
        yield _part(part)
    if isinstance(message.get("refusal"), str):
        yield {"type": "refusal", "content": message["refusal"]}
    for call in _objects(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            arguments = _arguments(function.get("arguments"))
            yield {"type": "tool_call", "id": call.get("id"), "name": function.get("name"), "arguments": arguments}


def _part(part: JsonObject) -> JsonObject:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "content": text}
        case {"type": "image_url" | "video_url" as kind} if not (url := _url(part[kind])).startswith("data:"):
            return {"type": "uri", "modality": _MODALITIES[kind], "uri": url}
        case {"type": "file", "file": {"file_id": str(file_id)}}:
            return {"type": "file", "modality": "document", "file_id": file_id}
        case {"type": str(kind)} if kind in _MODALITIES:
            return {"type": "blob", "modality": _MODALITIES[kind], "content": ""}
        case _:
            return {"type": str(part.get("type"))}


def _url(value: Json) -> str:
    url = value.get("url") if isinstance(value, dict) else value
    return url if isinstance(url, str) else ""


def _tool(tool: JsonObject) -> JsonObject:
    """Return a tool's type and name. The conventions advise against its description and schema: they are long."""
    function = tool.get("function")
    named = function if isinstance(function, dict) else tool
    return {"type": tool.get("type") or "function", "name": named.get("name") or tool.get("type")}


def _arguments(text: Json) -> Json:
    try:
        return decode(text) if isinstance(text, str) else text
    except (msgspec.DecodeError, RecursionError):
        return text


def _object(data: bytes) -> JsonObject:
    """Return the JSON object, an empty one for anything else."""
    try:
        value = decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> Iterator[JsonObject]:
    return (each for each in _list(value) if isinstance(each, dict))


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
