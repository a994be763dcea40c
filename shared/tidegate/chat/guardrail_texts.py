"""Finds and replaces the texts of prompts and answers: all that reaches a model or comes from it, anywhere in the JSON.

One walk serves both: it collects the texts, or puts others in their place. JSON inside a text (tool arguments) is
read value by value, so that it stays JSON. Values that a change would break (signed reasoning, recorded speech) are
removed if their text has to change. Of a request every string is listed, also names of unknown fields: what must not
change, such as a name, as "fixed", and the encoded bytes of media and signatures as "encoded". Only the fields for the
gateway itself, the model, and words of the dialect ("role", "user", "properties") are left out.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, cast

from tidegate.chat import fields, messages
from tidegate.chat.completion import Completion
from tidegate.domain.gateway_fields import GATEWAY_FIELDS
from tidegate.domain.operation import Text, TextKind
from tidegate.json import Json, JsonObject, decode_bounded_or_none, encode

Visitor: TypeAlias = Callable[[str, str, str, TextKind], str]
"""Takes a text, its path, its role and its kind; returns the text to put there. Only a "plain" one can change."""

_FIXED_FIELDS = frozenset(
    {
        *("role", "type", "id", "index", "name", "tool_call_id", "call_id", "format", "detail", "media_type"),
        *("url", "image_url", "input_audio", "video_url", "file_data", "file_id", "images", "cache_control"),
        *("signature", "encrypted_content", "parsed_arguments", "parsed"),
    }
)
"""Fields of messages that break if their text changes."""

_JSON_FIELDS = frozenset({"arguments"})
_ALL_OR_NOTHING_FIELDS = frozenset({"reasoning_details", "audio"})
"""Objects, and lists whose entries, are removed if one of their texts has to change."""

_PLAIN_FIELDS = frozenset(
    {"messages", "prediction", "documents", "system", "prompt", "suffix", "instructions", "input", "user", "metadata"}
)
"""Fields of a request whose texts can change; of others, only descriptions can."""

_PLAIN_ROLES = frozenset({"system", "developer", "user", "assistant"})

_DESCRIPTIONS = frozenset({"description", "title"})
_UNSENT_FIELDS = GATEWAY_FIELDS | {"model"}
_SILENT_FIELDS = (_UNSENT_FIELDS - {"fallbacks"}) | {"messages"}
"""Fields of a request without a text of their own. Fallbacks override others; messages are looked at one by one."""

_ENCODED_FIELDS = frozenset({"url", "data", "file_data", "b64_json", "signature", "encrypted_content"})
_ENCODED = re.compile(r"(?:data:[\w.+/;=-]{0,200};base64,)?[A-Za-z0-9+/_\r\n-]{256,}={0,2}\s*")
"""Bytes in base64: shorter ones are read like any text."""

_LARGE_NUMBER = 999_999
"""Larger numbers are read as texts: they can be numbers of cards and telephones."""

_SCHEMA_WORDS = """
$schema $ref $defs $id definitions properties patternProperties additionalProperties required items prefixItems
enum const default examples format pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength
maxLength minItems maxItems uniqueItems minProperties maxProperties anyOf oneOf allOf not if then else nullable
string number integer boolean object array null
"""
_DIALECT_WORDS = """
role system developer user assistant tool function text refusal image_url input_audio video_url file document
custom grammar lark regex syntax definition input output thinking redacted_thinking reasoning reasoning_content
reasoning_details reasoning.text reasoning.summary reasoning.encrypted summary data source base64 url title
signature cache_control ephemeral ttl prediction content json_schema json_object auto none low medium high minimal
strict schema index audio transcript media_type text/plain application/pdf application/json
image/png image/jpeg image/webp image/gif wav mp3 name id type
"""


def _field_names() -> Iterator[str]:
    """The names of all fields that the gateway validates."""
    for module in (fields, messages):
        for value in vars(module).values():
            yield from getattr(value, "__struct_encode_fields__", ())


_KNOWN_WORDS = frozenset((*_SCHEMA_WORDS.split(), *_DIALECT_WORDS.split(), *_field_names()))
"""Names of fields and values of the dialect, which hide nothing and would be found in every request."""


def body_texts(body: JsonObject) -> list[Text]:
    """Return every text of a request that a provider will get, also in the overrides of its fallbacks."""
    messages = _plain_messages(body)
    if messages is None:
        return _collect(lambda visit: _walk_body(body, visit))
    return [
        Text(message["content"], f"messages[{i}].content", message["role"])
        for i, message in enumerate(messages)
        if message["content"]
    ]


def searched_body_texts(body: JsonObject, *, is_plain: bool = False) -> list[str]:
    """Return the texts of `body_texts` that guardrails read, without their places. `is_plain`: see `ChatRequest`."""
    messages = _plain_messages(body, is_plain=is_plain)
    if messages is None:
        return [each.text for each in body_texts(body) if each.kind != "encoded"]
    return [message["content"] for message in messages]


def with_body_texts(body: JsonObject, texts: Sequence[str]) -> JsonObject:
    """Return the request with these texts, in the order of `body_texts`."""
    return _walk_body(body, _replacing(texts))


def completion_texts(completion: Completion) -> list[Text]:
    """Return every text of every choice."""
    answers = _plain_answers(completion)
    if answers is None:
        return _collect(lambda visit: _walk_completion(completion, visit))
    return [Text(answer, f"choices[{i}].message.content", "assistant") for i, answer in enumerate(answers) if answer]


def searched_completion_texts(completion: Completion) -> list[str]:
    """Return the texts of `completion_texts` that guardrails read, without their places."""
    answers = _plain_answers(completion)
    if answers is None:  # no text of an answer is encoded: see `_walk_completion`
        return [each.text for each in completion_texts(completion)]
    return answers


def with_completion_texts(completion: Completion, texts: Sequence[str]) -> Completion:
    """Return the completion with these texts, in order. A choice that changes loses its log probabilities."""
    return _walk_completion(completion, _replacing(texts))


def argument_texts(arguments: str) -> list[Text]:
    """Return the texts in the arguments of a tool call."""
    return _collect(lambda visit: _walk_json_text(arguments, "", "assistant", visit))


def with_argument_texts(arguments: str, texts: Sequence[str]) -> str:
    """Return the arguments with these texts, in the order of `argument_texts`."""
    return _walk_json_text(arguments, "", "assistant", _replacing(texts))


def _plain_messages(body: JsonObject, *, is_plain: bool = False) -> list[dict[str, str]] | None:
    """Return the messages, each a role and a content, if `_walk_body` visits nothing but contents; otherwise None.

    So it is in a request of messages with a role and a text each, and of small numbers. `is_plain`: see `ChatRequest`.
    """
    for name in body:
        if name not in _SILENT_FIELDS and not _is_plain_option(name, body[name]):
            return None
    if not is_plain and not _are_plain_messages(body.get("messages")):
        return None
    # Each of its messages is an object of texts.
    return body["messages"]  # pyright: ignore[reportReturnType]


def _are_plain_messages(messages: Json) -> bool:
    if type(messages) is not list:
        return False
    for message in messages:
        if type(message) is not dict or len(message) != 2 or type(message.get("content")) is not str:
            return False
        role = message.get("role")
        if type(role) is not str or role not in _PLAIN_ROLES:
            return False
    return True


def _is_plain_option(name: str, value: Json) -> bool:
    if name not in _KNOWN_WORDS:
        return False
    if type(value) is int or type(value) is float:
        return -_LARGE_NUMBER <= value <= _LARGE_NUMBER
    return value is None or type(value) is bool


def _plain_answers(completion: Completion) -> list[str] | None:
    """Return the text of each choice, "" if it has none, if `_walk_completion` visits nothing else; otherwise None."""
    answers: list[str] = []
    for choice in completion["choices"]:
        answer, message = "", choice["message"]
        if message.get("role") != "assistant":
            return None
        for name, value in message.items():
            if name == "content" and type(value) is str:
                answer = value
            elif value is not None and name != "role" and value != []:
                return None
        answers.append(answer)
    return answers


def _collect(walk: Callable[[Visitor], object]) -> list[Text]:
    found: list[Text] = []

    def visit(text: str, path: str, role: str, kind: TextKind) -> str:
        if text:
            found.append(Text(text, path, role, kind))
        return text

    walk(visit)
    return found


def _replacing(texts: Sequence[str]) -> Visitor:
    replacements: Iterator[str] = iter(texts)
    return lambda text, path, role, kind: next(replacements) if text else text


def _walk_body(body: JsonObject, visit: Visitor, prefix: str = "") -> JsonObject:
    changed: JsonObject = {}
    for name, value in body.items():
        if name == "fallbacks" and isinstance(value, list):
            changed[name] = [
                _walk_body(each, visit, f"fallbacks[{i}].") if isinstance(each, dict) and "model" in each else each
                for i, each in enumerate(value)
            ]
        elif name not in _UNSENT_FIELDS:
            walk = _walk if name in _PLAIN_FIELDS else _walk_fixed
            _visit_name(name, prefix + name, "", visit)
            changed[name] = walk(value, prefix + name, "", visit)
    return {**body, **changed}


def _walk_completion(completion: Completion, visit: Visitor) -> Completion:
    choices: list[Json] = []

    def visit_plain(text: str, path: str, role: str, kind: TextKind) -> str:
        return visit(text, path, role, kind) if kind == "plain" else text

    for i, choice in enumerate(completion["choices"]):
        message = cast(JsonObject, choice["message"])
        changed = _walk(message, f"choices[{i}].message", "assistant", visit_plain)
        original = cast(JsonObject, choice)
        choices.append(original if changed == message else {**original, "message": changed, "logprobs": None})
    return cast(Completion, {**completion, "choices": choices})


def _walk(value: Json, path: str, role: str, visit: Visitor) -> Json:
    match value:
        case str():
            return visit(value, path, role, "plain")
        case list():
            return [_walk(each, f"{path}[{i}]", role, visit) for i, each in enumerate(value)]
        case dict():
            own_role = value.get("role")
            role = own_role if isinstance(own_role, str) else role
            return {name: _walk_field(name, each, value, f"{path}.{name}", role, visit) for name, each in value.items()}
        case _:
            return _walk_fixed(value, path, role, visit)


def _walk_field(name: str, value: Json, siblings: JsonObject, path: str, role: str, visit: Visitor) -> Json:
    _visit_name(name, path, role, visit)
    if name in _FIXED_FIELDS or (name == "data" and siblings.get("type") != "text"):
        return _walk_fixed(value, path, role, visit, name)
    if name in _JSON_FIELDS and isinstance(value, str):
        return _walk_json_text(value, path, role, visit)
    changed = _walk(value, path, role, visit)
    if name not in _ALL_OR_NOTHING_FIELDS or changed == value:
        return changed
    if isinstance(value, list) and isinstance(changed, list):
        return [each for each, before in zip(changed, value, strict=True) if each == before]
    return None


def _walk_fixed(value: Json, path: str, role: str, visit: Visitor, name: str = "") -> Json:
    """Walk the value of the field `name`, in which only descriptions and titles can change."""
    match value:
        case str():
            if name in _DESCRIPTIONS:
                return visit(value, path, role, "plain")
            if value not in _KNOWN_WORDS:
                is_encoded = name in _ENCODED_FIELDS and _ENCODED.fullmatch(value) is not None
                visit(value, path, role, "encoded" if is_encoded else "fixed")
        case int() | float() if abs(value) > _LARGE_NUMBER:
            visit(f"{value:.0f}", path, role, "fixed")
        case list():
            return [_walk_fixed(each, f"{path}[{i}]", role, visit) for i, each in enumerate(value)]
        case dict():
            changed: JsonObject = {}
            for field, each in value.items():
                place = f"{path}.{field}"
                _visit_name(field, place, role, visit)
                changed[field] = _walk_fixed(each, place, role, visit, field)
            return changed
        case _:
            pass
    return value


def _visit_name(name: str, path: str, role: str, visit: Visitor) -> None:
    if name not in _KNOWN_WORDS:
        visit(name, path, role, "fixed")


def _walk_json_text(text: str, path: str, role: str, visit: Visitor) -> str:
    """Walk the JSON in the text; if it is not an object or a list, visit the text itself."""
    parsed = decode_bounded_or_none(text)
    if not isinstance(parsed, dict | list):
        return visit(text, path, role, "plain")
    changed = _walk_values(parsed, path, role, visit)
    return text if changed == parsed else encode(changed).decode()


def _walk_values(value: Json, path: str, role: str, visit: Visitor) -> Json:
    match value:
        case str():
            return visit(value, path, role, "plain")
        case list():
            return [_walk_values(each, path, role, visit) for each in value]
        case dict():
            return {
                visit(name, path, role, "plain"): _walk_values(each, path, role, visit) for name, each in value.items()
            }
        case int() | float() if not isinstance(value, bool):
            new_text = visit(str(value), path, role, "plain")
            return value if new_text == str(value) else new_text
        case _:
            return value
