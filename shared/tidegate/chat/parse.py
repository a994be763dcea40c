"""Bytes become the fields of a chat request, or an error that names the field's path."""

from collections.abc import Iterable

import msgspec
from msgspec import structs

from tidegate.chat.fields import (
    MAX_FIELDS,
    MAX_MEDIA,
    Bias,
    ChatFields,
    FunctionDefinition,
    FunctionName,
    PlainBody,
)
from tidegate.chat.messages import AssistantMessage, Message, count_media
from tidegate.domain.gateway_fields import CACHE_OPTIONS, Name
from tidegate.errors import InvalidRequest
from tidegate.json import MAX_CONTAINERS, Json, JsonObject, JsonTooComplex, count_containers, decode_bounded
from tidegate.lazy import late_pattern

_ERROR_PATH = late_pattern(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_MISSING_FIELD = late_pattern(r"missing required field `(?P<field>[^`]+)`")
_LONE_SURROGATE = late_pattern(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)

FIELD_NAMES = frozenset(ChatFields.__struct_fields__)

_SMALLEST_BODY: JsonObject = {"model": "m", "messages": [{"role": "user", "content": ""}]}
"""Stands for the fields that every body needs, where they are valid already."""

_DICT_TYPES = {"logit_bias": dict[str, Bias], "context_window_fallback_dict": dict[str, Name]}
"""Types of dictionaries, for error messages that name the key."""

_PLAIN_NAMES = frozenset(PlainBody.__struct_fields__)
decode_plain = msgspec.json.Decoder(PlainBody).decode
"""Returns what is known of a plain body; raises `NOT_PLAIN` for every other one, valid or not.

A plain body has nothing that `decode_body`, `convert` or `ignored_paths` would refuse or note besides.
"""

_object_decoder: msgspec.json.Decoder[JsonObject] = msgspec.json.Decoder(dict)
decode_object = _object_decoder.decode

NOT_PLAIN = (msgspec.DecodeError, UnicodeDecodeError)


def convert_plain(raw: JsonObject) -> ChatFields:
    """Return the fields of a plain body, which is valid."""
    return msgspec.convert(raw, ChatFields)


def find_plain_body(body: JsonObject) -> PlainBody | None:
    """Return what is known of a plain body, None for every other one. The names of their fields tell most others."""
    if not body.keys() <= _PLAIN_NAMES:
        return None
    try:
        return msgspec.convert(body, PlainBody)
    except msgspec.ValidationError:
        return None


def decode_body(body: bytes) -> JsonObject:
    """Return the JSON object in `body`. Raises `InvalidRequest`."""
    try:
        raw = decode_bounded(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(_malformed_body(body, str(error))) from None
    except JsonTooComplex as error:
        raise InvalidRequest(f"The body {error}.") from None
    if not isinstance(raw, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return raw


def convert(raw: JsonObject) -> ChatFields:
    """Return the fields of a chat request. Raises `InvalidRequest`, with the field's path in `param`."""
    _check_field_count(raw)
    fields = _convert(raw)
    _check_tools(fields)
    _check_messages(fields.messages)
    return fields


def convert_changes(fields: ChatFields, before: JsonObject, body: JsonObject) -> ChatFields:
    """Return the fields of `body`, given those of the body `before`. Only what differs is validated.

    Raises `InvalidRequest`, with the field's path in `param`.
    """
    _check_field_count(body)
    changed = {name: value for name, value in body.items() if name not in before or value is not before[name]}
    unchanged = {name: value for name, value in _SMALLEST_BODY.items() if name in body}
    converted = _convert(unchanged | changed)
    values = {name: getattr(converted, name) for name in FIELD_NAMES & changed.keys()}
    values |= dict.fromkeys(FIELD_NAMES & (before.keys() - body.keys()))
    fields = structs.replace(fields, **values)
    _check_tools(fields)
    if "messages" in values:
        _check_messages(fields.messages)
    return fields


def _check_field_count(raw: JsonObject) -> None:
    if len(raw) > MAX_FIELDS:
        raise InvalidRequest(f"The body has more than {MAX_FIELDS} fields.")


def _convert(raw: JsonObject) -> ChatFields:
    try:
        return msgspec.convert(raw, ChatFields)
    except msgspec.ValidationError as error:
        raise invalid_value(str(error), raw) from None


def ignored_paths(raw: JsonObject) -> tuple[str, ...]:
    """List the gateway's own fields that the gateway does not honour."""
    cache_options = raw.get("cache")
    if not isinstance(cache_options, dict):
        return ()
    return tuple(sorted(f"cache.{name}" for name in cache_options.keys() - CACHE_OPTIONS))


def _check_tools(fields: ChatFields) -> None:
    for i, tool in enumerate(fields.tools or ()):
        if tool.type == "function" and tool.function is None:
            raise _missing_field(f"tools[{i}].function")
    match fields.tool_choice:
        case str() | None:
            pass
        case choice if choice.type == "function":
            if choice.function is None:
                raise _missing_field("tool_choice.function")
            offered = [tool.function for tool in fields.tools or () if tool.function]
            _check_offered(choice.function, offered, "tool_choice.function.name")
        case _:
            pass
    if isinstance(fields.function_call, FunctionName):
        _check_offered(fields.function_call, fields.functions or (), "function_call.name")


def _check_messages(messages: list[Message]) -> None:
    """Check the tool calls, and how much there is to translate in all messages together."""
    containers = 0
    for i, message in enumerate(messages):
        if not isinstance(message, AssistantMessage):
            continue
        for j, call in enumerate(message.tool_calls or ()):
            if call.function is not None:
                containers += count_containers(call.function.arguments)
            elif call.type == "function":
                raise _missing_field(f"messages[{i}].tool_calls[{j}].function")
            if containers > MAX_CONTAINERS:
                message = f"All arguments of tool calls together have more than {MAX_CONTAINERS:,} objects and arrays."
                raise InvalidRequest(message, param=f"messages[{i}].tool_calls[{j}].function.arguments")
    if count_media(messages) > MAX_MEDIA:
        raise InvalidRequest(f"The messages have more than {MAX_MEDIA:,} images and files.", param="messages")


def _check_offered(chosen: FunctionName, offered: Iterable[FunctionDefinition], path: str) -> None:
    if all(function.name != chosen.name for function in offered):
        raise InvalidRequest(f"{path} is {chosen.name!r}, which is not among the request's functions.", param=path)


def _malformed_body(body: bytes, reason: str) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"The body is not valid UTF-8: byte {error.start} is {body[error.start]:#04x}."
    surrogate = _LONE_SURROGATE.search(body)
    if surrogate:
        half = f"{surrogate[0].decode()} at byte {surrogate.start()}"
        return f"The body is not valid JSON: {half} is half of a surrogate pair."
    return f"The body is not valid JSON: {_ERROR_PATH.sub('', reason)}."


def invalid_value(message: str, raw: dict[str, Json]) -> InvalidRequest:
    """Return the error for msgspec's `message` about the object `raw`, with the field's path in `param`."""
    location = _ERROR_PATH.search(message)
    path = _with_key(location["path"], raw) if location else ""
    reason = message[: location.start()] if location else message
    missing = _MISSING_FIELD.search(reason)
    if missing:
        path = f"{path}.{missing['field']}" if path else missing["field"]
        return _missing_field(path)
    return InvalidRequest(f"Invalid value for '{path}': {reason}." if path else f"{reason}.", param=path or None)


def _with_key(path: str, raw: dict[str, Json]) -> str:
    """The path with the key of the first invalid entry, which msgspec's message omits."""
    name = path.removesuffix("[...]")
    field, dict_type = raw.get(name), _DICT_TYPES.get(name)
    entries = list(field.items()) if isinstance(field, dict) else []
    if dict_type is None or _is_valid(entries, dict_type):
        return path
    while len(entries) > 1:
        first, second = entries[: len(entries) // 2], entries[len(entries) // 2 :]
        entries = second if _is_valid(first, dict_type) else first
    return f"{name}.{entries[0][0]}"


def _is_valid(entries: list[tuple[str, Json]], dict_type: object) -> bool:
    try:
        msgspec.convert(dict(entries), dict_type)
    except msgspec.ValidationError:
        return False
    return True


def _missing_field(path: str) -> InvalidRequest:
    return InvalidRequest(f"Missing required field: '{path}'.", param=path)
