"""The OpenAPI document of the data plane: the request from the very types that validate it, the replies by hand.

Source: https://spec.openapis.org/oas/v3.1.0 and https://platform.openai.com/docs/api-reference/chat
"""

from typing import TypeAlias

import msgspec

from tidegate import __version__
from tidegate.api import listing
from tidegate.api.app import CHAT_PATHS
from tidegate.chat.request import ChatFields

Schema: TypeAlias = dict[str, object]

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
_EVENTS: Schema = {"description": "`data:` events: chunks (chat.completion.chunk), at last `[DONE]` or an error"}
_FINISH: Schema = {"enum": ["stop", "length", "tool_calls", "content_filter", "function_call"]}


def document() -> Schema:
    """The whole document, ready for JSON."""
    (request,), components = msgspec.json.schema_components(
        [ChatFields], ref_template="#/components/schemas/{name}", schema_hook=_any_json
    )
    paths: dict[str, object] = {path: {"post": _chat(path, surface, request)} for path, surface in CHAT_PATHS.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tidegate", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths | _reading_paths(),
        "components": {
            "schemas": {**components, **_reply_schemas()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _chat(path: str, surface: str, request: Schema) -> Schema:
    streamed: Schema = {"text/event-stream": {"schema": _EVENTS}}
    return {
        "operationId": "chat" + path.replace("/", "_").replace("-", "_"),
        "summary": "Create a chat completion",
        "parameters": [_workspace(required=surface == "neuroflash")],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": _reply("Completion", streamed),
            **_errors("400", "404", "413", "415", "502", "503", "504"),
        },
    }


def _reading_paths() -> dict[str, object]:
    models, refused = _reply("ModelList"), _errors("400")
    one: Schema = {"name": "model_id", "in": "path", "required": True, "schema": _TEXT}
    filters = [_modalities("input", listing.INPUTS), _modalities("output", listing.OUTPUTS)]
    selection: Schema = {"type": "array", "items": {"$ref": "#/components/schemas/SelectableModel"}}
    listed: Schema = {"description": "A bare list", "content": {"application/json": {"schema": selection}}}
    return {
        "/v1/models": {"get": _get("models", {"200": models, **refused}, [*filters, _workspace()])},
        "/v1/models/{model_id}": {
            "get": _get("model", {"200": _reply("Model"), **refused, **_errors("404", "503")}, [one, _workspace()])
        },
        "/public/models": {
            "get": {**_get("public_models", {"200": models, "400": _reply("Error")}, filters), "security": []}
        },
        "/api/ds-prototypes/model_selection/models": {
            "get": _get("model_selection", {"200": listed, **refused}, [_workspace(required=True)])
        },
        "/health": {"get": {**_get("health", {"200": _reply("Health")}), "security": []}},
        "/api/ds-prototypes/health": {"get": {**_get("neuroflash_health", {"200": _reply("Health")}), "security": []}},
    }


def _get(operation: str, responses: Schema, parameters: list[Schema] | None = None) -> Schema:
    return {"operationId": operation, "parameters": parameters or [], "responses": responses}


def _modalities(name: str, known: tuple[str, ...]) -> Schema:
    one = f"({'|'.join(known)})"
    described = f"Only models with all of these {name} modalities"
    schema: Schema = {"type": "string", "pattern": f"^{one}(,{one})*$", "examples": ["text", "text,image"]}
    return {"name": name, "in": "query", "description": described, "schema": schema}


def _workspace(*, required: bool = False) -> Schema:
    return {"name": "x-workspace-id", "in": "header", "required": required, "schema": _TEXT}


def _reply(schema: str, more: Schema | None = None) -> Schema:
    content: Schema = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": schema, "content": content | (more or {})}


def _errors(*statuses: str) -> Schema:
    return {status: _reply("Error") for status in ("401", "403", "405", "429", "500", *statuses)}


def _object(required: dict[str, Schema], **optional: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def _reply_schemas() -> dict[str, Schema]:
    usage = _object(
        {"prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT},
        words_used=_COUNT,
        cost={"type": ["number", "null"]},
        estimated={"type": "boolean"},
    )
    message = _object({"role": {"const": "assistant"}, "content": _MAYBE_TEXT, "refusal": _MAYBE_TEXT})
    choice = _object({"index": _COUNT, "message": message, "finish_reason": _FINISH, "logprobs": {}})
    model = _model()
    error = _object({"message": _TEXT, "type": _TEXT, "param": _MAYBE_TEXT, "code": _MAYBE_TEXT})
    return {
        "Completion": _object(
            {
                "id": _TEXT,
                "object": {"const": "chat.completion"},
                "created": _COUNT,
                "model": _TEXT,
                "choices": {"type": "array", "items": choice},
                "usage": usage,
            }
        ),
        "Model": model,
        "ModelList": _object({"object": {"const": "list"}, "data": {"type": "array", "items": model}}),
        "SelectableModel": _object(
            {
                "id": _TEXT,
                "name": _TEXT,
                "provider": _TEXT,
                "description": _TEXT,
                "context_window": _MAYBE_COUNT,
                "available": {"type": "boolean"},
                "reasoning_model": {"type": "boolean"},
            }
        ),
        "Health": _object({"status": {"const": "ok"}, "version": _TEXT}),
        "Error": _object({"error": error}),
    }


def _model() -> Schema:
    """OpenAI's object with OpenRouter's fields."""
    texts: Schema = {"type": "array", "items": _TEXT}
    architecture = _object(
        {"input_modalities": texts, "output_modalities": texts, "modality": _TEXT}, tokenizer=_MAYBE_TEXT
    )
    pricing: Schema = {
        "type": "object",
        "required": ["prompt", "completion"],
        "description": "USD for one token, request or search; -1 where unknown",
        "additionalProperties": {"type": "string", "pattern": r"^(-1|\d+(\.\d+)?)$"},
    }
    limits = {"context_length": _MAYBE_COUNT, "max_completion_tokens": _MAYBE_COUNT}
    moderated: Schema = {"type": ["boolean", "null"]}
    fields: dict[str, Schema] = {
        "id": _TEXT,
        "object": {"const": "model"},
        "created": _COUNT,
        "owned_by": _TEXT,
        "name": _TEXT,
        "description": _TEXT,
        "context_length": _MAYBE_COUNT,
        "architecture": architecture,
        "pricing": pricing,
        "top_provider": _object(limits, is_moderated=moderated),
        "supported_parameters": texts,
        "deprecated": {"type": "boolean"},
    }
    return _object(fields)


def _any_json(_: type) -> Schema:
    return {"description": "Any JSON value"}
