"""Chat requests with a text in one string field each, for every string field that the door accepts.

They are made from the types of `ChatFields` alone, so a new field or a new content part is among them by itself.
"""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from tidegate.chat.fields import ChatFields
from tidegate.domain.gateway_fields import GATEWAY_FIELDS

TYPES: Any = inspect.type_info(ChatFields)
USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def requests(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The path of the field, and a request that has `text` in it and is as short as possible otherwise."""
    for path, body in _in_struct(TYPES, text, ""):
        if path.partition(".")[0].partition("[")[0] not in GATEWAY_FIELDS | {"model"}:
            yield path, _complete(body)
    for path, part in _media(text):
        yield path, {"model": "m", "messages": [{"role": "user", "content": [part]}]}


def _complete(body: dict[str, Any]) -> dict[str, Any]:
    [message] = body["messages"]
    if message["role"] == "tool":
        call = {"id": message["tool_call_id"], "type": "function", "function": {"name": "f", "arguments": "{}"}}
        messages = [USER, {"role": "assistant", "content": None, "tool_calls": [call]}, message]
        return {"tools": [TOOL], **body, "messages": messages}
    if message["role"] == "assistant" and message.get("tool_calls"):
        call_id = message["tool_calls"][0]["id"]
        answer = {"role": "tool", "tool_call_id": call_id, "content": "Hi"}
        return {"tools": [TOOL], **body, "messages": [USER, message, answer]}
    return {**body, "messages": [USER, message]}


def _media(text: str) -> Iterator[tuple[str, Any]]:
    data = b64encode(text.encode()).decode()
    for media_type in ("text/plain", "application/json", "text/csv", "application/pdf", "image/png", ""):
        uri = f"data:{media_type};base64,{data}"
        yield f"file {media_type}", {"type": "file", "file": {"filename": "a.txt", "file_data": uri}}
        yield f"image {media_type}", {"type": "image_url", "image_url": {"url": uri}}
        source = {"type": "base64", "media_type": media_type, "data": data}
        yield f"document {media_type}", {"type": "document", "source": source}
    source = {"type": "text", "media_type": "text/plain", "data": text}
    yield "document", {"type": "document", "source": source}
    blocks = {"type": "content", "content": [{"type": "text", "text": text}]}
    yield "document content", {"type": "document", "source": blocks}


def _in_struct(struct: Any, text: str, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    rest = _shortest(struct)
    for field in struct.fields:
        for inner, value in _in_type(field.type, text, f"{path}.{field.encode_name}".lstrip(".")):
            yield inner, {**rest, field.encode_name: value}
    for name, value in (("unknown", text), ("unknown.deep", {"deep": [{"er": text}]}), ("unknown key", {text: 1})):
        yield f"{path}.{name}".lstrip("."), {**rest, "unknown": value}


def _in_type(kind: Any, text: str, path: str) -> Iterator[tuple[str, Any]]:
    match kind:
        case inspect.StrType():
            yield path, text
        case inspect.AnyType():
            for name, value in _ANYTHING.items():
                yield f"{path} {name}", _with_text(value, text)
        case inspect.ListType(item_type=item):
            for inner, value in _in_type(item, text, f"{path}[]"):
                yield inner, [value]
        case inspect.DictType(value_type=inspect.AnyType()):
            for name, value in _ANYTHING.items():
                if isinstance(value, dict):
                    yield f"{path} {name}", _with_text(value, text)
        case inspect.DictType(value_type=value_type):
            yield f"{path} key", {text: _shortest(value_type)}
            for inner, value in _in_type(value_type, text, f"{path}.key"):
                yield inner, {"key": value}
        case inspect.UnionType(types=types):
            for each in types:
                yield from _in_type(each, text, path)
        case inspect.StructType():
            yield from _in_struct(kind, text, f"{path}({kind.tag})" if kind.tag else path)
        case _:
            pass


_ANYTHING: dict[str, Any] = {
    "text": "TEXT",
    "value": {"a": "TEXT"},
    "key": {"TEXT": 1},
    "list": {"a": [["TEXT"]]},
    "schema description": {"type": "object", "description": "TEXT", "properties": {}},
    "schema property": {"type": "object", "properties": {"TEXT": {"type": "string"}}, "required": ["TEXT"]},
    "schema enum": {"type": "object", "properties": {"a": {"type": "string", "enum": ["TEXT"], "title": "a"}}},
    "schema of a list": {"type": "object", "properties": {"a": {"type": "array", "items": {"const": "TEXT"}}}},
    "schema definition": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/b"}},
        "$defs": {"b": {"const": "TEXT"}},
    },
    "reasoning text": {"type": "reasoning.text", "text": "TEXT", "signature": "AAAA"},
    "reasoning signature": {"type": "reasoning.text", "text": "Hi", "signature": "TEXT"},
    "reasoning encrypted": {"type": "reasoning.encrypted", "data": "TEXT"},
    "custom tool": {"name": "f", "input": "TEXT"},
}


def _with_text(value: Any, text: str) -> Any:
    match value:
        case str():
            return value.replace("TEXT", text)
        case list():
            return [_with_text(each, text) for each in value]
        case dict():
            return {_with_text(name, text): _with_text(each, text) for name, each in value.items()}
        case _:
            return value


def _shortest(kind: Any) -> Any:
    match kind:
        case inspect.StructType():
            required = {each.encode_name: _shortest(each.type) for each in kind.fields if each.required}
            return {**({kind.tag_field: kind.tag} if kind.tag_field else {}), **required}
        case inspect.ListType(item_type=item):
            return [_shortest(item)]
        case inspect.UnionType(types=types):
            return _shortest(types[0])
        case inspect.DictType():
            return {}
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.StrType():
            return "x"
        case inspect.BoolType():
            return True
        case _:
            return 1
