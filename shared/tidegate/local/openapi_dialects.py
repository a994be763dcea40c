"""The operations of the OpenAPI document whose requests are in another dialect than OpenAI's chat completions.

Their schemas name the fields that every provider honours. Others are allowed: a provider that speaks the dialect gets
them as they are.
"""

from collections.abc import Mapping
from typing import TypeAlias, cast

from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface

Schema: TypeAlias = dict[str, object]

_TEXT: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object"}
_OBJECTS: Schema = {"type": "array", "items": _OBJECT}
_COUNT: Schema = {"type": "integer", "minimum": 1}

MESSAGES_REQUEST: Schema = {
    "type": "object",
    "description": "Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages/create",
    "required": ["model", "max_tokens", "messages"],
    "properties": {
        "model": _TEXT,
        "max_tokens": _COUNT,
        "messages": {"type": "array", "minItems": 1, "items": _OBJECT},
        "system": {"anyOf": [_TEXT, _OBJECTS]},
        "stream": {"type": "boolean"},
        "tools": _OBJECTS,
        "tool_choice": _OBJECT,
        "thinking": _OBJECT,
        "output_config": _OBJECT,
        "stop_sequences": {"type": "array", "items": _TEXT},
        "temperature": {"type": "number"},
        "top_p": {"type": "number"},
        "top_k": {"type": "integer"},
        "metadata": _OBJECT,
    },
}

MESSAGES_REPLY: Schema = {
    "type": "object",
    "required": ["id", "type", "role", "model", "content", "stop_reason", "usage"],
    "properties": {
        "id": _TEXT,
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "model": _TEXT,
        "content": _OBJECTS,
        "stop_reason": {"type": ["string", "null"]},
        "stop_sequence": {"type": ["string", "null"]},
        "usage": _OBJECT,
    },
}

MESSAGES_ERROR: Schema = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {"type": {"const": "error"}, "error": _OBJECT, "request_id": _TEXT},
}

REQUESTS: dict[str, tuple[Schema, Schema, Schema]] = {"messages": (MESSAGES_REQUEST, MESSAGES_REPLY, MESSAGES_ERROR)}
"""By the name of the surface: the schemas of requests, replies and errors."""


def call_paths(
    operations: Mapping[str, Schema], endpoints: Mapping[str, tuple[Surface, Operation]]
) -> dict[str, object]:
    """Return the paths of the endpoints, each with its operation in the dialect of its surface."""
    return {
        path.replace(":path", ""): {"post": _in_dialect(operation, endpoints[path][0])}
        for path, operation in operations.items()
    }


def _in_dialect(operation: Schema, surface: Surface) -> Schema:
    """Return the operation with the schemas of the surface's dialect; unchanged for OpenAI's and those close to it."""
    if surface.name not in REQUESTS:
        return operation
    request, reply, error = REQUESTS[surface.name]
    responses: Schema = {}
    for status, response in cast("dict[str, Schema]", operation["responses"]).items():
        content: Schema = {"application/json": {"schema": reply if status == "200" else error}}
        if status == "200":
            content["text/event-stream"] = {"schema": _TEXT}
        responses[status] = {**response, "content": content}
    body: Schema = {"required": True, "content": {"application/json": {"schema": request}}}
    return {**operation, "requestBody": body, "responses": responses}
