"""Turns of the model as they go back: text, calls with their ids and signatures, and what only Gemini understands.

Sources: https://ai.google.dev/gemini-api/docs/thought-signatures (with the value for histories of other models),
https://ai.google.dev/gemini-api/docs/tool-combination, https://ai.google.dev/gemini-api/docs/openai (`extra_content`).
"""

from collections.abc import Iterator

from msgspec import Struct, field

from tidegate.chat.media import read
from tidegate.chat.messages import AssistantMessage, AssistantToolCall
from tidegate.json import Json, JsonObject
from tidegate.providers.gemini.request_builder import Draft
from tidegate.providers.toolnames import arguments

FORMAT = "google-gemini-v1"
"""The `format` of our `reasoning_details`, as OpenRouter names it."""

IMAGE_ID = "image_{}"

_UNSIGNED = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""In base64, "skip_thought_signature_validator": for calls that Gemini did not make, or whose signature was lost."""


class _Signatures(Struct):
    by_id: dict[str, str] = field(default_factory=dict[str, str])
    of_text: str | None = None


def name(call: AssistantToolCall) -> str:
    """The name of the tool that was called."""
    if call.function is not None:
        return call.function.name
    custom = (call.custom or {}).get("name")
    return custom if isinstance(custom, str) else ""


def parts(draft: Draft, message: AssistantMessage, said: list[JsonObject], place: int) -> list[JsonObject]:
    """What the model said and did. Raises `InvalidRequest` for arguments that are no object."""
    raw = _raw(draft, place)
    calls = message.tool_calls or []
    kept = draft.call.signatures.get(calls[0].id) if calls else None
    signatures = _signatures(raw.get("reasoning_details") or kept)
    for call in calls:
        signatures.by_id.update(_signed_in_place(raw, call.id))
    native = list(_native(raw))
    images = list(_images(raw, signatures))
    if signatures.of_text and said:
        said[-1]["thoughtSignature"] = signatures.of_text
        signatures.of_text = None
    called = [_call(draft, call, f"messages[{place}].tool_calls[{j}]") for j, call in enumerate(calls)]
    if message.function_call is not None:
        given = message.function_call
        called.append(_function_call(draft, given.name, given.arguments, f"messages[{place}].function_call"))
    for call, part in zip(calls, called, strict=False):
        if call.id in signatures.by_id:
            part["thoughtSignature"] = signatures.by_id[call.id]
    if called and "thoughtSignature" not in called[0]:
        missing = signatures.of_text or (_UNSIGNED if draft.model.since_3 else None)
        if missing:
            called[0]["thoughtSignature"] = missing
    return [*native, *said, *images, *called]


def _call(draft: Draft, call: AssistantToolCall, path: str) -> JsonObject:
    if call.function is None:
        part: JsonObject = {"functionCall": {"name": draft.names.spell(name(call)), "args": _custom(call)}}
    else:
        part = _function_call(draft, call.function.name, call.function.arguments, f"{path}.function")
    if draft.model.since_3 and isinstance(made := part["functionCall"], dict):
        made["id"] = call.id
    return part


def _function_call(draft: Draft, given: str, words: str, path: str) -> JsonObject:
    return {"functionCall": {"name": draft.names.spell(given), "args": arguments(words, f"{path}.arguments")}}


def _custom(call: AssistantToolCall) -> JsonObject:
    given = (call.custom or {}).get("input")
    return {"input": given if isinstance(given, str) else ""}


def _raw(draft: Draft, place: int) -> JsonObject:
    """The message as it was sent, for the fields that only Gemini's turns have."""
    match draft.call.request.body.get("messages"):
        case list(messages) if isinstance(raw := messages[place], dict):
            return raw
        case _:
            return {}


def _signatures(details: Json) -> _Signatures:
    found = _Signatures()
    for detail in details if isinstance(details, list) else ():
        match detail:
            case {"type": "reasoning.encrypted", "data": str(data), "format": str(form), **rest} if form == FORMAT:
                call_id = rest.get("id")
                if isinstance(call_id, str):
                    found.by_id[call_id] = data
                else:
                    found.of_text = data
            case _:
                pass
    return found


def _signed_in_place(raw: JsonObject, call_id: str) -> Iterator[tuple[str, str]]:
    """Google's own way in its OpenAI-compatible API: the signature beside the call."""
    calls = raw.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        match call:
            case {"id": str(given), "extra_content": {"google": {"thought_signature": str(data)}}} if given == call_id:
                yield call_id, data
            case _:
                pass


def _native(raw: JsonObject) -> Iterator[JsonObject]:
    """Parts of an earlier reply for which OpenAI's dialect has no name: they go back as they came."""
    given = raw.get("provider_parts")
    for part in given if isinstance(given, list) else ():
        if isinstance(part, dict):
            yield part


def _images(raw: JsonObject, signatures: _Signatures) -> Iterator[JsonObject]:
    """Images that the model drew, to be drawn on."""
    given = raw.get("images")
    for i, image in enumerate(given if isinstance(given, list) else ()):
        match image:
            case {"image_url": {"url": str(url)}} if url.startswith("data:"):
                data = read(url)
                if data is None:
                    continue
                part: JsonObject = {"inlineData": {"mimeType": data.media_type, "data": data.base64}}
                signature = signatures.by_id.get(IMAGE_ID.format(i))
                yield {**part, "thoughtSignature": signature} if signature else part
            case _:
                pass
