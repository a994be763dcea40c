"""The OpenAPI document's endpoints of stored responses and conversations, and of counts of their tokens.

Source: https://platform.openai.com/docs/api-reference (responses, conversations; read 2026-11)
"""

from collections.abc import Mapping
from typing import TypeAlias

from tidegate.api.conversations import MAX_NEW_ITEMS
from tidegate.api.item_pages import MAX_PAGE
from tidegate.local.openapi_clients import NOT_IN_NAMES
from tidegate.local.openapi_dialects import RESPONSES_REPLY
from tidegate.local.openapi_operations import EXAMPLE_MODEL
from tidegate.surfaces.late_dialects import RESPONSE_PREFIXES

Schema: TypeAlias = dict[str, object]

_TEXT: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object"}
_ITEMS: Schema = {"type": "array", "items": _OBJECT, "maxItems": MAX_NEW_ITEMS}
_DELETED: Schema = {"type": "object", "required": ["id", "object", "deleted"], "properties": {"id": _TEXT}}
_PAGE: Schema = {
    "type": "object",
    "required": ["object", "data", "has_more"],
    "properties": {"data": {"type": "array"}},
}
_CONVERSATION: Schema = {
    "type": "object",
    "required": ["id", "object", "created_at", "metadata"],
    "properties": {"id": _TEXT, "object": {"const": "conversation"}, "metadata": _OBJECT},
}
_COUNT: Schema = {
    "type": "object",
    "required": ["object", "input_tokens"],
    "properties": {"input_tokens": {"type": "integer"}},
}
_NEW_CONVERSATION: Schema = {
    "type": "object",
    "properties": {"items": {"anyOf": [_ITEMS, {"type": "null"}]}, "metadata": {"type": ["object", "null"]}},
}
_NEW_ITEMS: Schema = {"type": "object", "required": ["items"], "properties": {"items": _ITEMS}}
_METADATA: Schema = {
    "type": "object",
    "properties": {"metadata": {"type": ["object", "null"]}},
}
_COUNTED: Schema = {
    "type": "object",
    "required": ["model", "input"],
    "properties": {
        "model": _TEXT,
        "input": {"anyOf": [_TEXT, {"type": "array", "items": _OBJECT}]},
    },
}

_OPERATIONS: Mapping[str, tuple[Schema, str, str]] = {
    "GET /responses/{id}": (RESPONSES_REPLY, "Show a stored response", "As its caller got it."),
    "DELETE /responses/{id}": (_DELETED, "Delete a stored response", "Responses that went on from it stay."),
    "GET /responses/{id}/input_items": (
        _PAGE,
        "List what led to a response",
        "All items of its conversation before it.",
    ),
    "POST /responses/{id}/cancel": (
        RESPONSES_REPLY,
        "Cancel a response",
        "Refused: there are no background responses.",
    ),
    "POST /responses/input_tokens": (
        _COUNT,
        "Count the tokens of a request",
        "Nothing is answered, and nothing charged.",
    ),
    "POST /conversations": (
        _CONVERSATION,
        "Create a conversation",
        "Responses go on from it and add their items to it.",
    ),
    "GET /conversations/{id}": (_CONVERSATION, "Show a conversation", "Without its items."),
    "POST /conversations/{id}": (_CONVERSATION, "Change a conversation", "Its metadata is replaced."),
    "DELETE /conversations/{id}": (_DELETED, "Delete a conversation", "Its responses stay."),
    "GET /conversations/{id}/items": (_PAGE, "List the items of a conversation", "The newest first."),
    "POST /conversations/{id}/items": (_PAGE, "Add items to a conversation", "At its end."),
    "GET /conversations/{id}/items/{item_id}": (_OBJECT, "Show an item of a conversation", "As it is stored."),
    "DELETE /conversations/{id}/items/{item_id}": (
        _CONVERSATION,
        "Delete an item of a conversation",
        "The rest stays.",
    ),
}
"""The schema of the reply, the title and the description of each operation, by method and path without prefix."""

_MESSAGE: Schema = {"type": "message", "role": "user", "content": "Hello, tide."}
_BODIES: Mapping[str, tuple[Schema, Schema]] = {
    "POST /responses/input_tokens": (_COUNTED, {"model": EXAMPLE_MODEL, "input": "Hello, tide."}),
    "POST /conversations": (_NEW_CONVERSATION, {"items": [_MESSAGE]}),
    "POST /conversations/{id}": (_METADATA, {"metadata": {"topic": "tides"}}),
    "POST /conversations/{id}/items": (_NEW_ITEMS, {"items": [_MESSAGE]}),
}
"""The schema and an example of each body."""


def response_paths(errors: Schema, workspace_header: Schema) -> Schema:
    """Return the paths with all of their prefixes."""
    paths: dict[str, Schema] = {}
    for prefix in RESPONSE_PREFIXES:
        for operation, (schema, summary, description) in _OPERATIONS.items():
            method, path = operation.split(" ")
            described: Schema = {
                "operationId": f"{method.lower()}{(prefix + path).translate(NOT_IN_NAMES)}",
                "tags": ["responses"],
                "summary": summary,
                "description": description,
                "parameters": _parameters(operation, workspace_header),
                "responses": {
                    "200": {"description": summary, "content": {"application/json": {"schema": schema}}},
                    **errors,
                },
            }
            if operation in _BODIES:
                body_schema, example = _BODIES[operation]
                content: Schema = {"application/json": {"schema": body_schema, "example": example}}
                described["requestBody"] = {"required": True, "content": content}
            paths.setdefault(prefix + path, {})[method.lower()] = described
    return {**paths}


def _parameters(operation: str, workspace_header: Schema) -> list[Schema]:
    names = [name for name in ("id", "item_id") if f"{{{name}}}" in operation]
    in_path: Schema = {"in": "path", "required": True, "schema": _TEXT}
    parameters: list[Schema] = [{"name": name, **in_path} for name in names]
    if operation.startswith("GET") and operation.endswith("items"):
        limit: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}
        order: Schema = {"enum": ["asc", "desc"]}
        for name, schema in (("limit", limit), ("after", _TEXT), ("order", order)):
            parameters.append({"name": name, "in": "query", "schema": schema})
    return [*parameters, workspace_header]
