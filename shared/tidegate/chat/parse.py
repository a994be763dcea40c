"""The door: bytes become a `ChatRequest`, or one error that names the field as a path."""

import re

import msgspec

from tidegate.chat.json import Json, decode
from tidegate.chat.messages import AssistantMessage
from tidegate.chat.reasoning import unify
from tidegate.chat.request import NOT_YET_HONOURED, ChatFields, ChatRequest
from tidegate.errors import InvalidRequest

_AT = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")


def parse(body: bytes) -> ChatRequest:
    """The request in `body`. Raises `InvalidRequest`, with the field's path in `param`."""
    try:
        raw = decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None
    if not isinstance(raw, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return build(raw)


def build(raw: dict[str, Json]) -> ChatRequest:
    """The request that the object stands for. Raises `InvalidRequest`, with the field's path in `param`."""
    try:
        fields = msgspec.convert(raw, ChatFields)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None
    _check_tools(fields)
    return ChatRequest(
        fields=fields,
        body=raw,
        reasoning=unify(fields.reasoning_effort, fields.reasoning, fields.thinking),
        ignored=tuple(sorted(name for name in NOT_YET_HONOURED & raw.keys() if raw[name] is not None)),
    )


def _check_tools(fields: ChatFields) -> None:
    for i, tool in enumerate(fields.tools or ()):
        if tool.type == "function" and tool.function is None:
            raise _missing(f"tools[{i}].function")
    match fields.tool_choice:
        case str() | None:
            pass
        case choice if choice.type == "function" and choice.function is None:
            raise _missing("tool_choice.function")
        case _:
            pass
    for i, message in enumerate(fields.messages):
        if not isinstance(message, AssistantMessage):
            continue
        for j, call in enumerate(message.tool_calls or ()):
            if call.type == "function" and call.function is None:
                raise _missing(f"messages[{i}].tool_calls[{j}].function")


def _explain(message: str) -> InvalidRequest:
    at = _AT.search(message)
    path = at["path"] if at else ""
    said = message[: at.start()] if at else message
    missing = _MISSING.search(said)
    if missing:
        path = f"{path}.{missing['field']}" if path else missing["field"]
        return _missing(path)
    return InvalidRequest(f"Invalid value for '{path}': {said}." if path else f"{said}.", param=path or None)


def _missing(path: str) -> InvalidRequest:
    return InvalidRequest(f"Missing required field: '{path}'.", param=path)
