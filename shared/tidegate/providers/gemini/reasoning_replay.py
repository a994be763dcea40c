"""Turns of the model as they go back: text, calls with their ids and signatures, and what only Gemini understands.

Sources: https://ai.google.dev/gemini-api/docs/thought-signatures (with the value for histories of other models),
https://ai.google.dev/gemini-api/docs/tool-combination, https://ai.google.dev/gemini-api/docs/openai (`extra_content`).
"""

from collections.abc import Iterator

from msgspec import Struct, field

from tidegate.chat.media import parse_media
from tidegate.chat.messages import AssistantMessage, AssistantToolCall
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini.request_builder import GeminiRequestBuilder
from tidegate.providers.toolnames import parse_arguments

FORMAT = "google-gemini-v1"
"""The `format` of our `reasoning_details`, as OpenRouter names it."""

IMAGE_ID = "image_{}"

_SKIP_VALIDATION_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""In base64, "skip_thought_signature_validator": for calls that Gemini did not make, or whose signature was lost."""


class _ThoughtSignatures(Struct):
    by_id: dict[str, str] = field(default_factory=dict[str, str])
    for_text: str | None = None


def tool_name(call: AssistantToolCall) -> str:
    """The name of the tool that was called."""
    if call.function is not None:
        return call.function.name
    custom_name = (call.custom or {}).get("name")
    return custom_name if isinstance(custom_name, str) else ""


def model_parts(
    draft: GeminiRequestBuilder, message: AssistantMessage, text_parts: list[JsonObject], message_index: int
) -> list[JsonObject]:
    """What the model said and did. Raises `InvalidRequest` for arguments that are no object."""
    raw_message = _raw_message(draft, message_index)
    calls = message.tool_calls or []
    stored_details = draft.call.signatures.get(calls[0].id) if calls else None
    signatures = _parse_signatures(raw_message.get("reasoning_details") or stored_details)
    for call in calls:
        signatures.by_id.update(_signatures_beside_calls(raw_message, call.id))
    native_parts = list(_native_parts(raw_message))
    images = list(_image_parts(raw_message, signatures))
    if signatures.for_text and text_parts:
        text_parts[-1]["thoughtSignature"] = signatures.for_text
        signatures.for_text = None
    call_parts = [_call_part(draft, call, f"messages[{message_index}].tool_calls[{j}]") for j, call in enumerate(calls)]
    if message.function_call is not None:
        function_call = message.function_call
        call_parts.append(
            _function_call_part(
                draft, function_call.name, function_call.arguments, f"messages[{message_index}].function_call"
            )
        )
    for call, part in zip(calls, call_parts, strict=False):
        if call.id in signatures.by_id:
            part["thoughtSignature"] = signatures.by_id[call.id]
    if call_parts and "thoughtSignature" not in call_parts[0]:
        fallback_signature = signatures.for_text or (
            _SKIP_VALIDATION_SIGNATURE if draft.capabilities.is_gemini_3_or_newer else None
        )
        if fallback_signature:
            call_parts[0]["thoughtSignature"] = fallback_signature
    return [*native_parts, *text_parts, *images, *call_parts]


def _call_part(draft: GeminiRequestBuilder, call: AssistantToolCall, path: str) -> JsonObject:
    if call.function is None:
        part: JsonObject = {
            "functionCall": {"name": draft.tool_names.provider_name(tool_name(call)), "args": _custom_arguments(call)}
        }
    else:
        part = _function_call_part(draft, call.function.name, call.function.arguments, f"{path}.function")
    if draft.capabilities.is_gemini_3_or_newer and isinstance(function_call := part["functionCall"], dict):
        function_call["id"] = call.id
    return part


def _function_call_part(draft: GeminiRequestBuilder, caller_name: str, arguments_text: str, path: str) -> JsonObject:
    return {
        "functionCall": {
            "name": draft.tool_names.provider_name(caller_name),
            "args": parse_arguments(arguments_text, f"{path}.arguments"),
        }
    }


def _custom_arguments(call: AssistantToolCall) -> JsonObject:
    custom_input = (call.custom or {}).get("input")
    return {"input": custom_input if isinstance(custom_input, str) else ""}


def _raw_message(draft: GeminiRequestBuilder, message_index: int) -> JsonObject:
    """The message as it was sent, for the fields that only Gemini's turns have."""
    match draft.call.request.body.get("messages"):
        case list(messages) if isinstance(raw_message := messages[message_index], dict):
            return raw_message
        case _:
            return {}


def _parse_signatures(details: Json) -> _ThoughtSignatures:
    signatures = _ThoughtSignatures()
    for detail in details if isinstance(details, list) else ():
        match detail:
            case {"type": "reasoning.encrypted", "data": str(data), "format": str(detail_format), **rest} if (
                detail_format == FORMAT
            ):
                call_id = rest.get("id")
                if isinstance(call_id, str):
                    signatures.by_id[call_id] = data
                else:
                    signatures.for_text = data
            case _:
                pass
    return signatures


def _signatures_beside_calls(raw_message: JsonObject, call_id: str) -> Iterator[tuple[str, str]]:
    """Google's own way in its OpenAI-compatible API: the signature beside the call."""
    calls = raw_message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        match call:
            case {"id": str(native_id), "extra_content": {"google": {"thought_signature": str(data)}}} if (
                native_id == call_id
            ):
                yield call_id, data
            case _:
                pass


def _native_parts(raw_message: JsonObject) -> Iterator[JsonObject]:
    """Parts of an earlier reply for which OpenAI's dialect has no name: they go back as they came."""
    provider_parts = raw_message.get("provider_parts")
    for part in provider_parts if isinstance(provider_parts, list) else ():
        if isinstance(part, dict):
            yield part


def _image_parts(raw_message: JsonObject, signatures: _ThoughtSignatures) -> Iterator[JsonObject]:
    """Images that the model drew, to be drawn on."""
    images = raw_message.get("images")
    for i, image in enumerate(images if isinstance(images, list) else ()):
        match image:
            case {"image_url": {"url": str(url)}} if url.startswith("data:"):
                data = parse_media(url)
                if data is None:
                    continue
                part: JsonObject = {"inlineData": {"mimeType": data.media_type, "data": data.base64}}
                signature = signatures.by_id.get(IMAGE_ID.format(i))
                yield {**part, "thoughtSignature": signature} if signature else part
            case _:
                pass
