"""The operations of the OpenAPI document whose requests are in another dialect than OpenAI's chat completions.

Their schemas name the fields that every provider honours. Others are allowed: a provider that speaks the dialect gets
them as they are.
"""

from collections.abc import Mapping
from typing import TypeAlias, cast

from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface
from tidegate.local.openapi_texts import of_texts

Schema: TypeAlias = dict[str, object]

_TEXT: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object"}
_OBJECTS: Schema = {"type": "array", "items": _OBJECT}
_COUNT: Schema = {"type": "integer", "minimum": 1}

MESSAGES_REQUEST: Schema = {
    "type": "object",
    "description": "Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages/create. The provider "
    "judges the values of `metadata`, `output_config`, `thinking`, `tool_choice`, `tools`, `system` and `top_k`.",
    "required": ["model", "max_tokens", "messages"],
    "properties": {
        "model": _TEXT,
        "max_tokens": _COUNT,
        "messages": {"type": "array", "minItems": 1, "items": _OBJECT},
        "stream": {"type": ["boolean", "null"]},
        "stop_sequences": {"type": ["array", "null"], "items": _TEXT},
        "temperature": {"type": ["number", "null"]},
        "top_p": {"type": ["number", "null"]},
        **{name: {} for name in ("metadata", "output_config", "thinking", "tool_choice", "tools", "system", "top_k")},
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

RESPONSES_REQUEST: Schema = {
    "type": "object",
    "description": "OpenAI's Responses API: https://platform.openai.com/docs/api-reference/responses/create",
    "required": ["model", "input"],
    "properties": {
        "model": _TEXT,
        "input": {"anyOf": [_TEXT, {**_OBJECTS, "minItems": 1}]},
        "instructions": {"type": ["string", "null"]},
        "stream": {"type": ["boolean", "null"]},
        "tools": _OBJECTS,
        "tool_choice": {"anyOf": [_TEXT, _OBJECT]},
        "parallel_tool_calls": {"type": ["boolean", "null"]},
        "reasoning": {"type": ["object", "null"]},
        "text": _OBJECT,
        "max_output_tokens": {"anyOf": [_COUNT, {"type": "null"}]},
        "include": {"type": ["array", "null"], "items": _TEXT},
        "temperature": {"type": ["number", "null"]},
        "top_p": {"type": ["number", "null"]},
        "metadata": {"type": ["object", "null"]},
        "store": {"type": ["boolean", "null"]},
        "prompt_cache_key": {"type": ["string", "null"]},
    },
}

RESPONSES_REPLY: Schema = {
    "type": "object",
    "required": [
        "id",
        "object",
        "created_at",
        "status",
        "model",
        "output",
        "parallel_tool_calls",
        "tool_choice",
        "tools",
    ],
    "properties": {
        "id": _TEXT,
        "object": {"const": "response"},
        "created_at": {"type": "number"},
        "status": {"enum": ["completed", "incomplete", "failed", "in_progress", "queued", "cancelled"]},
        "model": _TEXT,
        "output": _OBJECTS,
        "parallel_tool_calls": {"type": "boolean"},
        "tool_choice": {"anyOf": [_TEXT, _OBJECT]},
        "tools": _OBJECTS,
        "usage": {"type": ["object", "null"]},
        "error": {"type": ["object", "null"]},
        "incomplete_details": {"type": ["object", "null"]},
    },
}

RESPONSES_ERROR: Schema = {"type": "object", "required": ["error"], "properties": {"error": _OBJECT}}

COMPLETIONS_REQUEST: Schema = {
    "type": "object",
    "description": "OpenAI's legacy completions: https://platform.openai.com/docs/api-reference/completions",
    "required": ["prompt"],
    "properties": {
        "model": _TEXT,
        "prompt": {"anyOf": [{**_TEXT, "minLength": 1}, {"type": "array", "items": _TEXT, "maxItems": 1}]},
        "max_tokens": _COUNT,
        "echo": {"type": "boolean"},
        "logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
        "n": _COUNT,
        "stream": {"type": "boolean"},
        "temperature": {"type": "number"},
        "top_p": {"type": "number"},
    },
}

COMPLETIONS_REPLY: Schema = {
    "type": "object",
    "required": ["id", "object", "model", "choices", "usage"],
    "properties": {
        "id": _TEXT,
        "object": {"const": "text_completion"},
        "model": _TEXT,
        "choices": _OBJECTS,
        "usage": _OBJECT,
    },
}

COMPACT_REQUEST: Schema = {
    "type": "object",
    "description": "OpenAI's compaction: https://platform.openai.com/docs/api-reference/responses/compact",
    "required": ["model", "input"],
    "properties": {
        "model": _TEXT,
        "input": {"anyOf": [_TEXT, {**_OBJECTS, "minItems": 1}]},
        "instructions": {"type": ["string", "null"]},
    },
}

COMPACT_REPLY: Schema = {
    "type": "object",
    "required": ["id", "object", "created_at", "output", "usage"],
    "properties": {
        "id": _TEXT,
        "object": {"const": "response.compaction"},
        "created_at": {"type": "number"},
        "output": _OBJECTS,
        "usage": _OBJECT,
    },
}

OLLAMA_REQUEST: Schema = {
    "type": "object",
    "description": "Ollama's chat: https://docs.ollama.com/api/chat. It streams unless `stream` is false.",
    "required": ["model", "messages"],
    "properties": {
        "model": _TEXT,
        "messages": {"type": "array", "minItems": 1, "items": _OBJECT},
        "stream": {"type": "boolean", "default": True},
        "tools": _OBJECTS,
        "format": {"anyOf": [{"const": "json"}, _OBJECT]},
        "options": _OBJECT,
        "think": {"anyOf": [{"type": "boolean"}, {"enum": ["low", "medium", "high"]}]},
    },
}

OLLAMA_REPLY: Schema = {
    "type": "object",
    "required": ["model", "created_at", "message", "done"],
    "properties": {"model": _TEXT, "created_at": _TEXT, "message": _OBJECT, "done": {"type": "boolean"}},
}

OLLAMA_ERROR: Schema = {"type": "object", "required": ["error"], "properties": {"error": _TEXT}}

OLLAMA_GENERATE_REQUEST: Schema = {
    **OLLAMA_REQUEST,
    "description": "Ollama's completion of a prompt: https://docs.ollama.com/api/generate. It streams unless `stream` "
    "is false.",
    "required": ["model", "prompt"],
    "properties": {
        **{name: each for name, each in cast(Schema, OLLAMA_REQUEST["properties"]).items() if name != "messages"},
        "prompt": _TEXT,
        "system": _TEXT,
        "images": {"type": "array", "items": _TEXT},
    },
}

OLLAMA_GENERATE_REPLY: Schema = {
    "type": "object",
    "required": ["model", "created_at", "response", "done"],
    "properties": {"model": _TEXT, "created_at": _TEXT, "response": _TEXT, "done": {"type": "boolean"}},
}

OLLAMA_EMBED_REQUEST: Schema = {
    "type": "object",
    "description": "Ollama's embeddings: https://docs.ollama.com/api/embed.",
    "required": ["model", "input"],
    "properties": {
        "model": _TEXT,
        "input": {"anyOf": [_TEXT, {"type": "array", "minItems": 1, "items": _TEXT}]},
        "dimensions": {"type": "integer", "minimum": 1},
    },
}

OLLAMA_EMBED_REPLY: Schema = {
    "type": "object",
    "required": ["model", "embeddings"],
    "properties": {"model": _TEXT, "embeddings": {"type": "array", "items": {"type": "array"}}},
}

REQUESTS: dict[str, tuple[Schema, Schema, Schema]] = {
    "ollama": (OLLAMA_REQUEST, OLLAMA_REPLY, OLLAMA_ERROR),
    "ollama_generate": (OLLAMA_GENERATE_REQUEST, OLLAMA_GENERATE_REPLY, OLLAMA_ERROR),
    "ollama_embed": (OLLAMA_EMBED_REQUEST, OLLAMA_EMBED_REPLY, OLLAMA_ERROR),
    "compaction": (COMPACT_REQUEST, COMPACT_REPLY, RESPONSES_ERROR),
    "completions": (COMPLETIONS_REQUEST, COMPLETIONS_REPLY, {"$ref": "#/components/schemas/Error"}),
    "messages": (MESSAGES_REQUEST, MESSAGES_REPLY, MESSAGES_ERROR),
    "responses": (RESPONSES_REQUEST, RESPONSES_REPLY, RESPONSES_ERROR),
}
"""By the name of the surface: the schemas of requests, replies and errors."""


_EVENTS: Schema = {"text/event-stream": {"schema": _TEXT}}
_LINES: Schema = {"application/x-ndjson": {}}
_STREAMS: dict[str, Schema] = {"ollama": _LINES, "ollama_generate": _LINES, "ollama_embed": {}}
"""The content of streamed replies, where it is not events: Ollama's are objects on lines of their own."""

_COUNTING = "messages"
"""The surface whose counts are described here; `openapi_responses.py` has those of responses."""


def call_paths(
    operations: Mapping[str, Schema],
    endpoints: Mapping[str, tuple[Surface, Operation]],
    counts: Mapping[str, tuple[Surface, Operation]],
) -> dict[str, object]:
    """Return the paths of the endpoints and of those that count, each in the dialect of its surface."""
    paths: dict[str, object] = {
        path.replace(":path", ""): {"post": _in_dialect(of_texts(operations[path], operation), surface)}
        for path, (surface, operation) in endpoints.items()
    }
    counting = {path: surface for path, (surface, _) in counts.items() if surface.name == _COUNTING}
    return paths | {path: {"post": _count(operations[path], surface)} for path, surface in counting.items()}


def _count(operation: Schema, surface: Surface) -> Schema:
    """Return the operation that counts the tokens of a prompt: its request needs no limit for the answer."""
    described, request = _in_dialect(operation, surface), REQUESTS[surface.name][0]
    required = [name for name in cast("list[str]", request["required"]) if name != "max_tokens"]
    responses = cast("dict[str, Schema]", described["responses"])
    count: Schema = {"type": "object", "required": ["input_tokens"], "properties": {"input_tokens": _COUNT}}
    counted: Schema = {**responses["200"], "content": {"application/json": {"schema": count}}}
    fields = {**cast(Schema, request["properties"]), "max_tokens": {**_COUNT, "type": ["integer", "null"]}}
    schema: Schema = {**request, "required": required, "properties": fields}
    body: Schema = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {**described, "requestBody": body, "responses": {**responses, "200": counted}}


def _in_dialect(operation: Schema, surface: Surface) -> Schema:
    """Return the operation with the schemas of the surface's dialect; unchanged for OpenAI's and those close to it."""
    if surface.name not in REQUESTS:
        return operation
    request, reply, error = REQUESTS[surface.name]
    responses: Schema = {}
    for status, response in cast("dict[str, Schema]", operation["responses"]).items():
        content: Schema = {"application/json": {"schema": reply if status == "200" else error}}
        if status == "200":
            content |= _STREAMS.get(surface.name, _EVENTS)
        responses[status] = {**response, "content": content}
    body: Schema = {"required": True, "content": {"application/json": {"schema": request}}}
    return {**operation, "requestBody": body, "responses": responses}


def in_ollamas_form(errors: Schema) -> Schema:
    """Return the responses of errors as Ollama's, whose errors are texts."""
    content: Schema = {"application/json": {"schema": OLLAMA_ERROR}}
    return {status: {**cast(Schema, response), "content": content} for status, response in errors.items()}
