"""The OpenAPI document of the data plane: requests from the types that validate them, responses written by hand.

Source: https://spec.openapis.org/oas/v3.1.0 and https://platform.openai.com/docs/api-reference/chat
"""

from typing import TypeAlias

import msgspec

from tidegate import __version__
from tidegate.api import account, model_views
from tidegate.api.app import COUNTS, ENDPOINTS
from tidegate.api.endpoint import DEPLOYMENT
from tidegate.chat.fields import ChatFields
from tidegate.domain.record import COUNTERS
from tidegate.domain.surface import Surface
from tidegate.local import openapi_clients, openapi_dialects, openapi_headers, openapi_operations
from tidegate.local.openapi_batch_schemas import batch_schemas
from tidegate.local.openapi_batches import batch_paths
from tidegate.local.openapi_responses import response_paths

Schema: TypeAlias = dict[str, object]

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MAYBE_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
_EVENT_STREAM: Schema = {"description": "`data:` events: chunks (chat.completion.chunk), then `[DONE]` or an error"}
_IDEMPOTENCY_KEY: Schema = {
    "name": "idempotency-key",
    "in": "header",
    "description": "Within 24 hours, the same key and body return the same reply, which is charged once",
    "schema": {"type": "string", "pattern": r"^[!-~]([ -~]{0,253}[!-~])?$"},
}
_REUSE_HEADERS: Schema = {
    "x-tidegate-cache": {
        "description": "Whether an equal call's reply was cached; bypass: not looked up; absent if caching is off",
        "schema": {"enum": ["hit", "miss", "bypass"]},
    },
    "age": {"description": "Of a cache hit: seconds since the original call began", "schema": _COUNT},
    "idempotent-replayed": {"description": "The reply is that of an earlier call", "schema": {"const": "true"}},
}
_RETRY_AFTER: Schema = {"retry-after": {"description": "Seconds to wait before a retry", "schema": _COUNT}}
_FINISH_REASON: Schema = {"enum": ["stop", "length", "tool_calls", "content_filter", "function_call"]}


def openapi_document() -> Schema:
    """Build the document, ready for JSON."""
    (request,), components = msgspec.json.schema_components(
        [ChatFields], ref_template="#/components/schemas/{name}", schema_hook=_any_json_schema
    )
    operations = {path: _chat_operation(path, surface, request) for path, (surface, _) in (ENDPOINTS | COUNTS).items()}
    paths = openapi_dialects.call_paths(operations, ENDPOINTS, COUNTS)
    reads = _model_paths() | _account_paths() | _client_paths()
    batches = batch_paths(
        _errors("400", "404", "409", "413", "415", "422", "503"),
        _workspace_header(),
        {**_IDEMPOTENCY_KEY, "description": "Within 24 hours, the same key and body return the same batch"},
    )
    stored = response_paths(_errors("400", "404", "405", "413", "415", "422", "503"), _workspace_header())
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tidegate", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": openapi_operations.describe_operations(paths | reads | openapi_clients.same_paths(reads))
        | batches
        | stored,
        "components": {
            "schemas": {**openapi_headers.describe_fields(components), **_reply_schemas()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _chat_operation(path: str, surface: Surface, request: Schema) -> Schema:
    streamed: Schema = {"text/event-stream": {"schema": _EVENT_STREAM}}
    deployment: Schema = {"name": DEPLOYMENT, "in": "path", "required": True, "schema": _TEXT}
    return {
        "operationId": "chat" + path.replace(":path", "").translate(openapi_clients.NOT_IN_NAMES),
        "parameters": [
            *([deployment] if DEPLOYMENT in path else []),
            _workspace_header(required=surface.requires_workspace),
            _IDEMPOTENCY_KEY,
            *openapi_headers.REQUEST_HEADERS,
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {**_response("Reply", streamed), "headers": {**openapi_headers.RESPONSE_HEADERS, **_REUSE_HEADERS}},
            **_errors("400", "404", "409", "413", "415", "422", "502", "503", "504"),
        },
    }


def _model_paths() -> dict[str, object]:
    models, errors = _response("ModelList"), _errors("400")
    model_id: Schema = {"name": "model_id", "in": "path", "required": True, "schema": _TEXT}
    filters = [_modality_filter("input", model_views.INPUTS), _modality_filter("output", model_views.OUTPUTS)]
    model_list, public = _list_response("SelectableModel"), _list_response("PublicModel")
    tags = {"200": _object_response("models"), **openapi_dialects.in_ollamas_form(errors)}
    return {
        "/v1/models": {"get": _get("models", {"200": models, **errors}, [*filters, _workspace_header()])},
        "/v1/models/{model_id}": {
            "get": _get(
                "model", {"200": _response("Model"), **errors, **_errors("404", "503")}, [model_id, _workspace_header()]
            )
        },
        "/api/tags": {"get": _get("ollama_tags", tags, [_workspace_header()])},
        "/public/models": {
            "get": {**_get("public_models", {"200": public, "400": _response("Error")}, filters), "security": []}
        },
        "/api/ds-prototypes/model_selection/models": {
            "get": _get("model_selection", {"200": model_list, **errors}, [_workspace_header(required=True)])
        },
        "/health": {"get": {**_get("health", {"200": _response("Health")}), "security": []}},
        "/api/ds-prototypes/health": {
            "get": {**_get("neuroflash_health", {"200": _response("Health")}), "security": []}
        },
    }


def _client_paths() -> dict[str, object]:
    """Describe the generations, and what only OpenRouter's and Lunos's clients ask for."""
    header, errors = _workspace_header(), _errors("400", "404", "503")
    parameters: dict[str, list[Schema]] = {
        "/generation": [{"name": "id", "in": "query", "required": True, "schema": _TEXT}],
        "/models/count": [
            _modality_filter("input", model_views.INPUTS),
            _modality_filter("output", model_views.OUTPUTS),
        ],
    }
    return {
        f"/v1{path}": {
            "get": _get(
                path.translate(openapi_clients.NOT_IN_NAMES)[1:],
                {"200": _response(schema), **errors},
                [*openapi_clients.path_parameters(path), *parameters.get(path, []), header],
            )
        }
        for path, schema in openapi_clients.CLIENT_PATHS.items()
    }


def _account_paths() -> dict[str, object]:
    header, errors = _workspace_header(), _errors("400", "503")
    days: list[Schema] = [
        {"name": name, "in": "query", "description": description, "schema": {"type": "string", "format": "date"}}
        for name, description in (
            ("from", "The first day, in UTC"),
            ("to", f"The last day, in UTC; at most {account.MAX_DAYS} days"),
        )
    ]
    page_parameters = [_number_parameter("page", account.MAX_PAGE), _number_parameter("size", account.MAX_SIZE)]
    workspace_id: Schema = {"name": "workspace_id", "in": "path", "required": True, "schema": _TEXT}
    kind: Schema = {"name": "usageTypeKey", "in": "query", "schema": _TEXT}
    usage_types = {"200": _response("UsageTypePage"), **errors}
    return {
        "/v1/usage": {"get": _get("usage", {"200": _response("Usage"), **errors}, [*days, header])},
        "/v1/quotas": {"get": _get("quotas", {"200": _response("Quotas"), **errors}, [header])},
        "/v1/balance": {"get": _get("balance", {"200": _response("Balance"), **errors}, [header])},
        "/balance": {"get": _get("plain_balance", {"200": _response("Balance"), **errors}, [header])},
        "/api/workspace-service/v1/workspaces": {
            "get": _get("workspaces", {"200": _response("WorkspacePage"), **errors}, [*page_parameters, header])
        },
        "/api/usage-service/v1/workspaces/{workspace_id}/quotas": {
            "get": _get("usage_types", usage_types, [workspace_id, kind, *page_parameters, header])
        },
    }


def _number_parameter(name: str, maximum: int) -> Schema:
    return {"name": name, "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": maximum}}


def _get(operation: str, responses: Schema, parameters: list[Schema] | None = None) -> Schema:
    return {"operationId": operation, "parameters": parameters or [], "responses": responses}


def _modality_filter(name: str, modalities: tuple[str, ...]) -> Schema:
    pattern = f"({'|'.join(modalities)})"
    description = f"Only models with all of these {name} modalities"
    schema: Schema = {"type": "string", "pattern": f"^{pattern}(,{pattern})*$", "examples": ["text", "text,image"]}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _workspace_header(*, required: bool = False) -> Schema:
    return {"name": "x-workspace-id", "in": "header", "required": required, "schema": _TEXT}


def _response(schema: str, extra_content: Schema | None = None) -> Schema:
    content: Schema = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": schema, "content": content | (extra_content or {})}


def _object_response(name: str) -> Schema:
    schema: Schema = {"type": "object", "required": [name], "properties": {name: {"type": "array"}}}
    return {"description": "A JSON object", "content": {"application/json": {"schema": schema}}}


def _list_response(schema: str) -> Schema:
    items: Schema = {"type": "array", "items": {"$ref": f"#/components/schemas/{schema}"}}
    return {"description": "A JSON list", "content": {"application/json": {"schema": items}}}


def _errors(*statuses: str) -> Schema:
    return {status: _error(status) for status in ("401", "403", "405", "429", "500", *statuses)}


def _error(status: str) -> Schema:
    """Describe an error; those that a retry may solve have a Retry-After header."""
    return _response("Error") | ({"headers": _RETRY_AFTER} if status in ("409", "429", "503") else {})


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
    choice = _object({"index": _COUNT, "message": message, "finish_reason": _FINISH_REASON, "logprobs": {}})
    model = openapi_clients.model_schema()
    code: Schema = {"type": ["string", "integer", "null"], "description": "The status where OpenRouter's clients ask"}
    error = _object({"message": _TEXT, "type": _TEXT, "param": _MAYBE_TEXT, "code": code})
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
        "Reply": {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Completion", "DryRun")]},
        "DryRun": _dry_run_schema(),
        "Model": model,
        "ModelList": openapi_clients.model_list_schema(model),
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
        **_account_schemas(),
        **openapi_clients.client_schemas(),
        **batch_schemas(),
        "Health": _object({"status": {"const": "ok"}, "version": _TEXT}),
        "Error": _object({"error": error}),
    }


def _dry_run_schema() -> Schema:
    """Describe the reply of a call with `dry_run`."""
    field_paths: Schema = {"type": "object", "additionalProperties": {"type": "array", "items": _TEXT}}
    failure: Schema = {"type": ["object", "null"], "description": "The status and the error body that a call would get"}
    maybe_number: Schema = {"type": ["number", "null"]}
    flag: Schema = {"type": "boolean"}
    texts: Schema = {"type": "array", "items": _TEXT}
    attempt = _object(
        {
            **dict.fromkeys(("path", "when", "model"), _TEXT),
            **dict.fromkeys(("provider", "deployment", "cools_until"), _MAYBE_TEXT),
            "route": {"type": ["object", "null"], "description": "If the model is a route: its name and order"},
            "allowed": flag,
            "error": failure,
            "request": {"type": ["object", "null"], "description": "As it would be sent, without credentials"},
            "mapped": {**field_paths, "description": "The caller's fields, and their paths in the request"},
            "unexamined": {**texts, "description": "The caller's fields that are not in `mapped`: there are too many"},
            "ignored": texts,
            "refused": {"type": "object", "additionalProperties": _TEXT},
            "max_output_tokens": _MAYBE_COUNT,
            "largest_cost_usd": maybe_number,
            "omitted": flag,
        }
    )
    return _object(
        {
            "object": {"const": "tidegate.dry_run"},
            "id": _TEXT,
            "model": _TEXT,
            "asked_first": _MAYBE_TEXT,
            "error": failure,
            "guardrails": {"type": "array", "items": _object(dict.fromkeys(("name", "on", "verdict"), _TEXT))},
            "cache": {
                "type": ["object", "null"],
                "properties": {
                    "looked_up": flag,
                    "max_age_seconds": maybe_number,
                    "keep_seconds": {"type": "number"},
                    "namespace": _MAYBE_TEXT,
                },
                "description": "null if caching is off",
            },
            "plan": {"type": "array", "items": attempt},
            "estimate": _object(dict.fromkeys(("prompt_tokens", "with_margin", "max_output_tokens", "words"), _COUNT)),
            "num_retries": _COUNT,
            "deadline_seconds": {"type": "number"},
        }
    )


def _account_schemas() -> dict[str, Schema]:
    """Describe the account endpoints. Amounts are integers, money is a decimal string; Lunos's balance is a float."""
    amount: Schema = {"type": ["integer", "string"]}
    counters = dict.fromkeys((*COUNTERS, "tokens"), _COUNT) | {"cost_usd": _TEXT}
    day, period = _object({"date": _TEXT, **counters}), _object({"from": _TEXT, "to": _TEXT, **counters})
    quota = _object(
        {
            "scope": {"enum": ["workspace", "key"]},
            "id": _TEXT,
            "name": _TEXT,
            **dict.fromkeys(("limit", "used", "held", "available"), amount),
            "resets_at": _MAYBE_TEXT,
        }
    )
    usage_type = _object(
        {
            **dict.fromkeys(("id", "workspaceId", "usageTypeKey", "dailyRefreshed"), _TEXT),
            **dict.fromkeys(("usedAmount", "usedAmountDaily", "availableAmount"), _COUNT),
            **dict.fromkeys(("limitAmount", "limitAmountDaily"), _MAYBE_COUNT),
            "bonusAmount": {"const": 0},
            "spilloverAmount": {"const": 0},
            "fairUseLimitReached": {"const": False},
        }
    )
    return {
        "Usage": _object(
            {
                "object": {"const": "usage"},
                "workspace_id": _TEXT,
                "day": day,
                "month": period,
                "from": _TEXT,
                "to": _TEXT,
                "total": _object(counters),
                "days": {"type": "array", "items": day},
            }
        ),
        "Quotas": _object(
            {
                "object": {"const": "quotas"},
                "workspace_id": _TEXT,
                "key_id": _TEXT,
                "data": {"type": "array", "items": quota},
                "models": {"type": "array", "items": {"type": "object"}},
            }
        ),
        "Balance": _object({"success": {"const": True}, "message": _TEXT, "data": _balance_schema()}),
        "WorkspacePage": _page_schema(_object({"id": _TEXT, "name": _TEXT, "createdAt": _TEXT})),
        "UsageTypePage": _page_schema(usage_type),
    }


def _balance_schema() -> Schema:
    maybe_number: Schema = {"type": ["number", "null"]}
    flag: Schema = {"type": "boolean"}
    return _object(
        {
            **dict.fromkeys(("balance", "alertBalance"), maybe_number),
            "email": {"const": ""},
            "updatedAt": _TEXT,
            "enableAlert": {"enum": [0, 1]},
            **dict.fromkeys(("isAlertEnabled", "isBalanceLow"), flag),
        }
    )


def _page_schema(item: Schema) -> Schema:
    names = ("size", "totalElements", "totalPages", "currentPage")
    return _object({"data": {"type": "array", "items": item}, "page": _object(dict.fromkeys(names, _COUNT))})


def _any_json_schema(_: type) -> Schema:
    return {"description": "Any JSON value"}
