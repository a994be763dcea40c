"""Assistant messages as the model's parts: native parts, text, images, and calls, with their thought signatures.

Sources: https://ai.google.dev/gemini-api/docs/thought-signatures (with the value for histories of other models),
https://ai.google.dev/gemini-api/docs/tool-combination, https://ai.google.dev/gemini-api/docs/openai (`extra_content`).
"""

from collections.abc import Iterator

from msgspec import Struct

from tidegate.chat.media import parse_media
from tidegate.chat.messages import AssistantMessage, AssistantToolCall
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini.request_builder import GeminiRequestBuilder
from tidegate.providers.toolnames import parse_arguments

FORMAT = "google-gemini-v1"
"""The `format` of Gemini's `reasoning_details`, as in OpenRouter."""

IMAGE_ID = "image_{}"

_SKIP_VALIDATION_SIGNATURE = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""Base64 of "skip_thought_signature_validator": for calls of other models, or calls whose signature was lost."""


_NOTHING: tuple[Json, ...] = (None, "", [], {})
_FACTS = frozenset({"thought", "thoughtSignature", "partMetadata", "mediaResolution", "videoMetadata"})


class _ThoughtSignatures(Struct):
    by_id: dict[str, str] = {}
    for_text: str | None = None


def is_empty_part(part: JsonObject) -> bool:
    """True for a part that has nothing, or only facts about content that is missing."""
    return not any(value not in _NOTHING for name, value in part.items() if name not in _FACTS)


def tool_name(call: AssistantToolCall) -> str:
    """Return the name of the called tool."""
    if call.function is not None:
        return call.function.name
    custom_name = (call.custom or {}).get("name")
    return custom_name if isinstance(custom_name, str) else ""


def model_parts(
    builder: GeminiRequestBuilder, message: AssistantMessage, text_parts: list[JsonObject], index: int
) -> list[JsonObject]:
    """Return the parts of an assistant's message. Raises `InvalidRequest` for arguments that are not an object."""
    raw_message = _raw_message(builder, index)
    calls = message.tool_calls or []
    signatures = _parse_signatures(raw_message.get("reasoning_details") or builder.call.signatures.get(index))
    signatures.by_id.update(_signatures_beside_calls(raw_message))
    native_parts = list(_native_parts(raw_message))
    images = list(_image_parts(raw_message, signatures))
    if signatures.for_text and text_parts:
        text_parts[-1]["thoughtSignature"] = signatures.for_text
        signatures.for_text = None
    call_parts = [_call_part(builder, call, f"messages[{index}].tool_calls[{j}]") for j, call in enumerate(calls)]
    if message.function_call is not None:
        legacy, path = message.function_call, f"messages[{index}].function_call"
        call_parts.append(_function_call_part(builder, legacy.name, legacy.arguments, path))
    for call, part in zip(calls, call_parts, strict=False):
        if call.id in signatures.by_id:
            part["thoughtSignature"] = signatures.by_id[call.id]
    if call_parts and "thoughtSignature" not in call_parts[0]:
        fallback = _SKIP_VALIDATION_SIGNATURE if builder.capabilities.is_gemini_3_plus else None
        if signatures.for_text or fallback:
            call_parts[0]["thoughtSignature"] = signatures.for_text or fallback
    return [*native_parts, *text_parts, *images, *call_parts]


def _call_part(builder: GeminiRequestBuilder, call: AssistantToolCall, path: str) -> JsonObject:
    if call.function is None:
        name = builder.tool_names.provider_name(tool_name(call))
        part: JsonObject = {"functionCall": {"name": name, "args": _custom_arguments(call)}}
    else:
        part = _function_call_part(builder, call.function.name, call.function.arguments, f"{path}.function")
    if builder.capabilities.is_gemini_3_plus and isinstance(function_call := part["functionCall"], dict):
        function_call["id"] = call.id
    return part


def _function_call_part(builder: GeminiRequestBuilder, caller_name: str, arguments_text: str, path: str) -> JsonObject:
    arguments = parse_arguments(arguments_text, f"{path}.arguments")
    return {"functionCall": {"name": builder.tool_names.provider_name(caller_name), "args": arguments}}


def _custom_arguments(call: AssistantToolCall) -> JsonObject:
    custom_input = (call.custom or {}).get("input")
    return {"input": custom_input if isinstance(custom_input, str) else ""}


def _raw_message(builder: GeminiRequestBuilder, message_index: int) -> JsonObject:
    """Return the message as the caller sent it, for its fields that only Gemini uses."""
    match builder.call.request.body.get("messages"):
        case list(messages) if isinstance(raw_message := messages[message_index], dict):
            return raw_message
        case _:
            return {}


def _parse_signatures(details: Json) -> _ThoughtSignatures:
    signatures = _ThoughtSignatures()
    for detail in details if isinstance(details, list) else ():
        match detail:
            case {"type": "reasoning.encrypted", "data": str(data)} if detail.get("format") == FORMAT:
                call_id = detail.get("id")
                if isinstance(call_id, str):
                    signatures.by_id[call_id] = data
                else:
                    signatures.for_text = data
            case _:
                pass
    return signatures


def _signatures_beside_calls(raw_message: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield each call's id and the signature beside it, as Google's OpenAI-compatible API returns it."""
    calls = raw_message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        match call:
            case {"id": str(call_id), "extra_content": {"google": {"thought_signature": str(data)}}}:
                yield call_id, data
            case _:
                pass


def _native_parts(raw_message: JsonObject) -> Iterator[JsonObject]:
    """Yield parts of an earlier reply that OpenAI's dialect cannot express. They are sent back unchanged.

    Parts without content are left out, because Google refuses them.
    """
    provider_parts = raw_message.get("provider_parts")
    for part in provider_parts if isinstance(provider_parts, list) else ():
        if isinstance(part, dict) and not is_empty_part(part):
            yield part


def _image_parts(raw_message: JsonObject, signatures: _ThoughtSignatures) -> Iterator[JsonObject]:
    """Yield images that the model generated in an earlier turn, so that it can edit them."""
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
