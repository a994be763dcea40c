"""The texts of prompts and answers: all that a model reads or says, wherever it stands in the JSON.

Two passes of the same walk: one reads the texts, one puts others in their place. JSON inside of a text (the arguments
of tools) is read value by value, so that it stays JSON. What cannot be changed without breaking it (signed reasoning,
recorded speech) is left out where its text would have to change. Not read: media, files, names and ids.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, cast

import msgspec
from msgspec import Struct

from tidegate.chat.completion import Completion
from tidegate.json import Json, JsonObject, decode, encode


class Text(Struct, frozen=True):
    """`path` is the one that errors name ("messages[0].content"), `role` that of its message."""

    text: str
    path: str = ""
    role: str = ""


Visit: TypeAlias = Callable[[str, str, str], str]
"""Of a text, its path and its role, the text to stand there."""

_OPAQUE = frozenset(
    {
        *("role", "type", "id", "index", "name", "tool_call_id", "call_id", "format", "detail", "media_type"),
        *("url", "image_url", "input_audio", "video_url", "file_data", "file_id", "images", "cache_control"),
        *("signature", "encrypted_content", "parsed_arguments", "parsed"),
    }
)
_JSON = frozenset({"arguments"})
_WHOLE = frozenset({"reasoning_details", "audio"})
"""Lists whose entries, and objects which, are left out where they hold a text that has to change."""

_READ = ("messages", "prediction", "documents", "system", "prompt", "suffix", "instructions", "input")
_DESCRIBED = ("tools", "functions", "response_format", "structured_outputs")
_DESCRIPTIONS = frozenset({"description", "title"})


def of_body(body: JsonObject) -> list[Text]:
    """Every text of a request that the model will read, those of its fallbacks' overrides too."""
    return _read(lambda visit: _body(body, visit))


def with_texts(body: JsonObject, texts: Sequence[str]) -> JsonObject:
    """The same request with these texts, in the order of `of_body`."""
    return _body(body, _putting(texts))


def of_completion(completion: Completion) -> list[Text]:
    """Every text of every choice."""
    return _read(lambda visit: _completion(completion, visit))


def with_answers(completion: Completion, texts: Sequence[str]) -> Completion:
    """The same completion with these texts, in the order of `of_completion`.

    A choice whose texts change loses its log probabilities, which hold them as well.
    """
    return _completion(completion, _putting(texts))


def of_arguments(arguments: str) -> list[Text]:
    """The texts in the arguments of a tool."""
    return _read(lambda visit: _inside(arguments, "", "assistant", visit))


def with_values(arguments: str, texts: Sequence[str]) -> str:
    """The same arguments with these texts, in the order of `of_arguments`."""
    return _inside(arguments, "", "assistant", _putting(texts))


def _read(walk: Callable[[Visit], object]) -> list[Text]:
    found: list[Text] = []

    def visit(text: str, path: str, role: str) -> str:
        if text:
            found.append(Text(text, path, role))
        return text

    walk(visit)
    return found


def _putting(texts: Sequence[str]) -> Visit:
    waiting: Iterator[str] = iter(texts)
    return lambda text, path, role: next(waiting) if text else text


def _body(body: JsonObject, visit: Visit, at: str = "") -> JsonObject:
    changed = {name: _walk(body[name], at + name, "", visit) for name in _READ if name in body}
    changed |= {name: _descriptions(body[name], at + name, visit) for name in _DESCRIBED if name in body}
    fallbacks = body.get("fallbacks")
    if isinstance(fallbacks, list):
        changed["fallbacks"] = [
            _body(each, visit, f"fallbacks[{i}].") if isinstance(each, dict) else each
            for i, each in enumerate(fallbacks)
        ]
    return {**body, **changed}


def _completion(completion: Completion, visit: Visit) -> Completion:
    choices: list[Json] = []
    for i, choice in enumerate(completion["choices"]):
        message = cast(JsonObject, choice["message"])
        walked = _walk(message, f"choices[{i}].message", "assistant", visit)
        told = cast(JsonObject, choice)
        choices.append(told if walked == message else {**told, "message": walked, "logprobs": None})
    return cast(Completion, {**completion, "choices": choices})


def _walk(value: Json, path: str, role: str, visit: Visit) -> Json:
    match value:
        case str():
            return visit(value, path, role)
        case list():
            return [_walk(each, f"{path}[{i}]", role, visit) for i, each in enumerate(value)]
        case dict():
            own = value.get("role")
            role = own if isinstance(own, str) else role
            return {name: _field(name, each, value, f"{path}.{name}", role, visit) for name, each in value.items()}
        case _:
            return value


def _field(name: str, value: Json, beside: JsonObject, path: str, role: str, visit: Visit) -> Json:
    if name in _OPAQUE or (name == "data" and beside.get("type") != "text"):
        return value
    if name in _JSON and isinstance(value, str):
        return _inside(value, path, role, visit)
    walked = _walk(value, path, role, visit)
    if name not in _WHOLE or walked == value:
        return walked
    if isinstance(value, list) and isinstance(walked, list):
        return [each for each, before in zip(walked, value, strict=True) if each == before]
    return None


def _inside(text: str, path: str, role: str, visit: Visit) -> str:
    """JSON as text: what is none is a text like others."""
    try:
        inner = decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        inner = None
    if not isinstance(inner, dict | list):
        return visit(text, path, role)
    walked = _values(inner, path, role, visit)
    return text if walked == inner else encode(walked).decode()


def _values(value: Json, path: str, role: str, visit: Visit) -> Json:
    match value:
        case str():
            return visit(value, path, role)
        case list():
            return [_values(each, path, role, visit) for each in value]
        case dict():
            return {visit(name, path, role): _values(each, path, role, visit) for name, each in value.items()}
        case int() | float() if not isinstance(value, bool):
            put = visit(str(value), path, role)
            return value if put == str(value) else put
        case _:
            return value


def _descriptions(value: Json, path: str, visit: Visit) -> Json:
    """What is said of tools and schemas in words."""
    match value:
        case list():
            return [_descriptions(each, f"{path}[{i}]", visit) for i, each in enumerate(value)]
        case dict():
            return {
                name: visit(each, f"{path}.{name}", "")
                if name in _DESCRIPTIONS and isinstance(each, str)
                else _descriptions(each, f"{path}.{name}", visit)
                for name, each in value.items()
            }
        case _:
            return value
