"""The schemas of the OpenAPI document for operations on texts: embeddings, rerank and moderations.

Fields that a provider has of its own are allowed; those that it cannot honour are named in x-tidegate-ignored-params.
"""

from typing import NamedTuple, TypeAlias, cast

from tidegate.domain.operation import Operation

Schema: TypeAlias = dict[str, object]

_TEXT: Schema = {"type": "string", "minLength": 1}
_TEXTS: Schema = {"type": "array", "minItems": 1, "items": _TEXT}
_OBJECT: Schema = {"type": "object"}
_OBJECTS: Schema = {"type": "array", "items": _OBJECT}
_COUNT: Schema = {"type": "integer", "minimum": 1}
_TOKENS: Schema = {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}}


class TextsSchemas(NamedTuple):
    """The schemas of an operation's requests and replies, and the fields of an example beside the model."""

    request: Schema
    reply: Schema
    example: Schema


def _object(required: Schema, **optional: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


_EMBEDDINGS = TextsSchemas(
    _object(
        {"model": _TEXT, "input": {"anyOf": [_TEXT, _TEXTS, _TOKENS, {"type": "array", "items": _TOKENS}]}},
        dimensions=_COUNT,
        encoding_format={"enum": ["float", "base64"]},
        input_type=_TEXT,
        user={"type": "string"},
    ),
    _object({"object": {"const": "list"}, "data": _OBJECTS, "model": _TEXT, "usage": _OBJECT}),
    {"model": "demo/embed", "input": "Hello, tide."},
)

_RERANK = TextsSchemas(
    _object(
        {
            "model": _TEXT,
            "query": _TEXT,
            "documents": {
                "type": "array",
                "minItems": 1,
                "items": {"anyOf": [{"type": "string"}, _object({"text": {"type": "string"}})]},
            },
        },
        top_n=_COUNT,
        return_documents={"type": "boolean"},
    ),
    _object({"id": _TEXT, "model": _TEXT, "results": _OBJECTS, "meta": _OBJECT, "usage": _OBJECT}),
    {"model": "demo/rerank", "query": "What opens a gate?", "documents": ["A tide opens a gate.", "Fish swim."]},
)

_MODERATIONS = TextsSchemas(
    _object({"input": {"anyOf": [{"type": "string"}, _TEXTS, _OBJECTS]}}, model=_TEXT),
    _object({"id": _TEXT, "model": _TEXT, "results": _OBJECTS, "usage": _OBJECT}),
    {"model": "demo/moderation", "input": "Hello, tide."},
)

SCHEMAS: dict[str, TextsSchemas] = {
    "embeddings": _EMBEDDINGS,
    "moderations": _MODERATIONS,
    "rerank": _RERANK,
}
"""By the name of the operation."""


def of_texts(documented: Schema, operation: Operation) -> Schema:
    """Return the documented operation with the schemas of an operation on texts; unchanged for chat."""
    schemas = SCHEMAS.get(operation.name)
    if schemas is None:
        return documented
    responses = cast("dict[str, Schema]", documented["responses"])
    reply: Schema = {"anyOf": [schemas.reply, {"$ref": "#/components/schemas/DryRun"}]}
    answered = {**responses["200"], "content": {"application/json": {"schema": reply}}}
    content = {"application/json": {"schema": schemas.request, "example": schemas.example}}
    name = str(documented["operationId"]).replace("chat", operation.name, 1)
    return {
        **documented,
        "operationId": name,
        "requestBody": {"required": True, "content": content},
        "responses": {**responses, "200": answered},
    }
