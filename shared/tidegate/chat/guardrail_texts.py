"""Finds and replaces the texts of prompts and answers: all that a model reads or writes, anywhere in the JSON.

One walk serves both: it collects the texts, or puts others in their place. JSON inside a text (tool arguments) is
read value by value, so that it stays JSON. Values that a change would break (signed reasoning, recorded speech) are
removed if their text has to change. Not read: media, files, names and ids.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, cast

from tidegate.chat.completion import Completion
from tidegate.domain.operation import Text
from tidegate.json import Json, JsonObject, decode_bounded_or_none, encode

Visitor: TypeAlias = Callable[[str, str, str], str]
"""Takes a text, its path and its role; returns the text to put there."""

_UNREAD_FIELDS = frozenset(
    {
        *("role", "type", "id", "index", "name", "tool_call_id", "call_id", "format", "detail", "media_type"),
        *("url", "image_url", "input_audio", "video_url", "file_data", "file_id", "images", "cache_control"),
        *("signature", "encrypted_content", "parsed_arguments", "parsed"),
    }
)
_JSON_FIELDS = frozenset({"arguments"})
_ALL_OR_NOTHING_FIELDS = frozenset({"reasoning_details", "audio"})
"""Objects, and lists whose entries, are removed if one of their texts has to change."""

_READ_FIELDS = ("messages", "prediction", "documents", "system", "prompt", "suffix", "instructions", "input")
_DESCRIBED_FIELDS = ("tools", "functions", "response_format", "structured_outputs")
_DESCRIPTIONS = frozenset({"description", "title"})


def body_texts(body: JsonObject) -> list[Text]:
    """Return every text of a request that the model will read, also in the overrides of its fallbacks."""
    return _collect(lambda visit: _walk_body(body, visit))


def with_body_texts(body: JsonObject, texts: Sequence[str]) -> JsonObject:
    """Return the request with these texts, in the order of `body_texts`."""
    return _walk_body(body, _replacing(texts))


def completion_texts(completion: Completion) -> list[Text]:
    """Return every text of every choice."""
    return _collect(lambda visit: _walk_completion(completion, visit))


def with_completion_texts(completion: Completion, texts: Sequence[str]) -> Completion:
    """Return the completion with these texts, in order. A choice that changes loses its log probabilities."""
    return _walk_completion(completion, _replacing(texts))


def argument_texts(arguments: str) -> list[Text]:
    """Return the texts in the arguments of a tool call."""
    return _collect(lambda visit: _walk_json_text(arguments, "", "assistant", visit))


def with_argument_texts(arguments: str, texts: Sequence[str]) -> str:
    """Return the arguments with these texts, in the order of `argument_texts`."""
    return _walk_json_text(arguments, "", "assistant", _replacing(texts))


def _collect(walk: Callable[[Visitor], object]) -> list[Text]:
    found: list[Text] = []

    def visit(text: str, path: str, role: str) -> str:
        if text:
            found.append(Text(text, path, role))
        return text

    walk(visit)
    return found


def _replacing(texts: Sequence[str]) -> Visitor:
    replacements: Iterator[str] = iter(texts)
    return lambda text, path, role: next(replacements) if text else text


def _walk_body(body: JsonObject, visit: Visitor, prefix: str = "") -> JsonObject:
    changed = {name: _walk(body[name], prefix + name, "", visit) for name in _READ_FIELDS if name in body}
    described = [name for name in _DESCRIBED_FIELDS if name in body]
    changed |= {name: _walk_descriptions(body[name], prefix + name, visit) for name in described}
    fallbacks = body.get("fallbacks")
    if isinstance(fallbacks, list):
        changed["fallbacks"] = [
            _walk_body(each, visit, f"fallbacks[{i}].") if isinstance(each, dict) else each
            for i, each in enumerate(fallbacks)
        ]
    return {**body, **changed}


def _walk_completion(completion: Completion, visit: Visitor) -> Completion:
    choices: list[Json] = []
    for i, choice in enumerate(completion["choices"]):
        message = cast(JsonObject, choice["message"])
        changed = _walk(message, f"choices[{i}].message", "assistant", visit)
        original = cast(JsonObject, choice)
        choices.append(original if changed == message else {**original, "message": changed, "logprobs": None})
    return cast(Completion, {**completion, "choices": choices})


def _walk(value: Json, path: str, role: str, visit: Visitor) -> Json:
    match value:
        case str():
            return visit(value, path, role)
        case list():
            return [_walk(each, f"{path}[{i}]", role, visit) for i, each in enumerate(value)]
        case dict():
            own_role = value.get("role")
            role = own_role if isinstance(own_role, str) else role
            return {name: _walk_field(name, each, value, f"{path}.{name}", role, visit) for name, each in value.items()}
        case _:
            return value


def _walk_field(name: str, value: Json, siblings: JsonObject, path: str, role: str, visit: Visitor) -> Json:
    if name in _UNREAD_FIELDS or (name == "data" and siblings.get("type") != "text"):
        return value
    if name in _JSON_FIELDS and isinstance(value, str):
        return _walk_json_text(value, path, role, visit)
    changed = _walk(value, path, role, visit)
    if name not in _ALL_OR_NOTHING_FIELDS or changed == value:
        return changed
    if isinstance(value, list) and isinstance(changed, list):
        return [each for each, before in zip(changed, value, strict=True) if each == before]
    return None


def _walk_json_text(text: str, path: str, role: str, visit: Visitor) -> str:
    """Walk the JSON in the text; if it is not an object or a list, visit the text itself."""
    parsed = decode_bounded_or_none(text)
    if not isinstance(parsed, dict | list):
        return visit(text, path, role)
    changed = _walk_values(parsed, path, role, visit)
    return text if changed == parsed else encode(changed).decode()


def _walk_values(value: Json, path: str, role: str, visit: Visitor) -> Json:
    match value:
        case str():
            return visit(value, path, role)
        case list():
            return [_walk_values(each, path, role, visit) for each in value]
        case dict():
            return {visit(name, path, role): _walk_values(each, path, role, visit) for name, each in value.items()}
        case int() | float() if not isinstance(value, bool):
            new_text = visit(str(value), path, role)
            return value if new_text == str(value) else new_text
        case _:
            return value


def _walk_descriptions(value: Json, path: str, visit: Visitor) -> Json:
    """Walk the descriptions and titles of tools and schemas."""
    match value:
        case list():
            return [_walk_descriptions(each, f"{path}[{i}]", visit) for i, each in enumerate(value)]
        case dict():
            return {
                name: visit(each, f"{path}.{name}", "")
                if name in _DESCRIPTIONS and isinstance(each, str)
                else _walk_descriptions(each, f"{path}.{name}", visit)
                for name, each in value.items()
            }
        case _:
            return value
