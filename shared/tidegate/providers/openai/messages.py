"""Messages as strict providers accept them: without the extra fields that clients send back from earlier replies.

Sources: what the official SDKs send back (`parsed`, `tool_calls[].index`, `function.parsed_arguments`, null `audio`),
and the reasoning that https://api-docs.deepseek.com/guides/thinking_mode, https://openrouter.ai/docs/use-cases/reasoning-tokens
and https://docs.mistral.ai/capabilities/reasoning need back.
"""

from hashlib import sha256

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.openai import parts
from tidegate.providers.openai.normalise import reasoning_text
from tidegate.providers.openai.parts import without_cache_control
from tidegate.providers.openai.quirks import ModelRule, Quirks
from tidegate.providers.openai.request_builder import OpenAIRequestBuilder
from tidegate.providers.toolnames import hashed_call_id

_REASONING = frozenset({"reasoning", "reasoning_content", "reasoning_details"})
_REPLAYED = _REASONING | {"annotations"}
_PLAIN_ROLES = ("user", "system")
_FUNCTION_FIELDS = ["name", "arguments"]
_DROPPED = frozenset({"parsed", "images", "provider_specific_fields", "thinking_blocks"})


def write(builder: OpenAIRequestBuilder, rule: ModelRule) -> None:
    lost_reasoning = builder.quirks.lost_reasoning
    if lost_reasoning is not None and not builder.reasons(rule):
        lost_reasoning = None
    match builder.body.get("messages"):
        case list(messages):
            translated = [_message(builder, each, i, lost_reasoning) for i, each in enumerate(messages)]
            if builder.quirks.continues is not None:
                _mark_last(translated, builder.quirks.continues)
            builder.body["messages"] = translated
        case _:
            raise InvalidRequest("`messages` must be a list.", param="messages")


def _mark_last(messages: list[Json], mark: str) -> None:
    """Mark a last message of the assistant as one to continue, in place, unless it calls tools."""
    match messages:
        case [*_, {"role": "assistant"} as last] if not last.get("tool_calls"):
            messages[-1] = {**last, mark: True}
        case _:
            pass


def _message(builder: OpenAIRequestBuilder, raw: Json, index: int, lost_reasoning: str | None) -> Json:
    if not isinstance(raw, dict):
        raise InvalidRequest("A message must be an object.", param=f"messages[{index}]")
    role = raw.get("role")
    if len(raw) <= 3 and isinstance(raw.get("content"), str):
        is_plain_role = role in _PLAIN_ROLES or (role == "assistant" and index not in builder.signatures)
        if is_plain_role and len(raw) == 2:
            return raw  # nothing but a text
        if role == "tool" and "tool_call_id" in raw:
            call_id = raw["tool_call_id"]
            if isinstance(call_id, str) and _valid_id(call_id, builder.quirks) is call_id:
                return raw  # nothing but a text, and the call that it answers
    path = f"messages[{index}]"
    fields = without_cache_control(builder, raw)
    message: JsonObject = {name: value for name, value in fields.items() if value is not None}
    if role == "assistant":
        _clean_assistant(message, builder, index)
        if lost_reasoning is not None and "tool_calls" in message:
            message.setdefault("reasoning_content", lost_reasoning)
        if "content" in raw:
            message.setdefault("content", None)
    elif role == "developer" and not builder.quirks.developer_role:
        message["role"] = "system"
    if not builder.quirks.message_names and role not in ("tool", "function") and message.pop("name", None):
        builder.ignored.append(f"{path}.name")
    content = message.get("content")
    if isinstance(content, list):
        message["content"] = parts.write(builder, content, path)
    if "tool_call_id" in message:
        message["tool_call_id"] = _valid_id(message["tool_call_id"], builder.quirks)
    return message


def _clean_assistant(message: JsonObject, builder: OpenAIRequestBuilder, index: int) -> None:
    replayed: JsonObject = {name: message.pop(name) for name in _REPLAYED if name in message}
    for name in _DROPPED:
        if name in message:
            del message[name]
    if "audio" in message:
        match message["audio"]:
            case {"id": str(name)}:
                message["audio"] = {"id": name}  # the only field that goes back
            case _:
                del message["audio"]
    calls = message.pop("tool_calls", None)
    if isinstance(calls, list) and calls:
        message["tool_calls"] = [_call(call, builder.quirks) for call in calls]
    if index in builder.signatures and not replayed.keys() & _REASONING:
        replayed["reasoning_details"] = builder.signatures[index]
    if replayed:
        _replay(message, replayed, builder.quirks)


def _call(raw: Json, quirks: Quirks) -> Json:
    match raw:
        case {"id": str(call_id), "type": str(), "function": {"arguments": str(arguments)} as function} if (
            len(raw) == 3 and arguments and [*function] == _FUNCTION_FIELDS and _valid_id(call_id, quirks) is call_id
        ):
            return raw  # as it is sent
        case dict():
            pass
        case _:
            return raw
    call: JsonObject = {name: value for name, value in raw.items() if name != "index" and value is not None}
    match call.get("function"):
        case dict(function):
            call["function"] = {
                "name": function.get("name"),
                "arguments": function.get("arguments") or "{}",
                **{k: v for k, v in function.items() if k not in ("name", "arguments", "parsed_arguments")},
            }
            call.setdefault("type", "function")
        case _:
            pass
    if "id" in call:
        call["id"] = _valid_id(call["id"], quirks)
    return call


def _valid_id(call_id: Json, quirks: Quirks) -> Json:
    """Return the id, or a hash of it if the provider refuses it."""
    if not isinstance(call_id, str):
        return call_id
    length = quirks.tool_id_length
    if length is not None and not (len(call_id) == length and call_id.isascii() and call_id.isalnum()):
        return sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:length]
    if quirks.max_tool_id is not None and len(call_id) > quirks.max_tool_id:
        return hashed_call_id(call_id)
    return call_id


def _replay(message: JsonObject, replayed: JsonObject, quirks: Quirks) -> None:
    """Send reasoning back in the fields that the provider documents, if any: undocumented ones would be refused."""
    text = replayed.get("reasoning") or replayed.get("reasoning_content")
    text = text or reasoning_text(replayed.get("reasoning_details"))
    for name in quirks.replays:
        match name:
            case "reasoning" | "reasoning_content":
                if isinstance(text, str) and text:
                    message[name] = text
            case "reasoning_details" | "annotations":
                if replayed.get(name):
                    message[name] = replayed[name]
            case "thinking_parts":
                if isinstance(text, str) and text:
                    message["content"] = [_thinking(text), *_parts(message.get("content"))]


def _thinking(text: str) -> JsonObject:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _parts(content: Json) -> list[Json]:
    match content:
        case str(text) if text:
            return [{"type": "text", "text": text}]
        case list(items):
            return items
        case _:
            return []
