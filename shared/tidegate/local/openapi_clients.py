"""The OpenAPI document's endpoints for clients of OpenRouter and Lunos, and the other paths of the lists of models.

Source: https://openrouter.ai/docs/api-reference/overview (2026-11), and the npm packages @openrouter/sdk 1.3 and
@lunos/client 1.5.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias, cast

from tidegate.api.routes import READS

Schema: TypeAlias = dict[str, object]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number", "minimum": 0}
_MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
_MAYBE_COUNT: Schema = {"type": ["integer", "null"], "minimum": 0}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}

CLIENT_PATHS: Mapping[str, str] = {
    "/models/count": "ModelCount",
    "/model/{model_id}": "WrappedModel",
    "/credits": "Credits",
    "/key": "KeyInformation",
    "/auth/key": "KeyInformation",
    "/generation": "WrappedGeneration",
    "/generations/{generation_id}": "Generation",
    "/generations/{generation_id}/trace": "Trace",
    "/chat/generation/{generation_id}": "Generation",
    "/account": "Account",
}
"""The paths below `/v1`, most of them also below `/api/v1`, and the schemas of their replies."""


NOT_IN_NAMES = str.maketrans({"/": "_", "-": "_", "{": None, "}": None})
"""Translates a path to a part of an operation's id."""


def path_parameters(path: str) -> list[Schema]:
    """Describe the parameters in a path."""
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]


def same_paths(documented: Mapping[str, object]) -> dict[str, object]:
    """Return the paths of `READS` that answer like one of the `documented` paths, with that path's description."""
    by_answer = {READS[_route(path)]: path for path in documented if _route(path) in READS}
    same: dict[str, object] = {}
    for route, answer in READS.items():
        path = route.replace(":path", "")
        if path not in documented and answer in by_answer:
            operation = cast("dict[str, Schema]", documented[by_answer[answer]])["get"]
            same[path] = {"get": {**operation, "operationId": f"get{path.translate(NOT_IN_NAMES)}"}}
    return same


def _route(path: str) -> str:
    return path.replace("{model_id}", "{model_id:path}")


def client_schemas() -> dict[str, Schema]:
    """Describe the replies. Amounts are in USD, durations in milliseconds."""
    generation = _object(
        {
            **dict.fromkeys(("id", "model", "created_at", "request_id", "workspace_id"), _TEXT),
            **dict.fromkeys(("total_cost", "usage"), _NUMBER),
            **dict.fromkeys(("tokens_prompt", "tokens_completion", "latency", "generation_time"), _MAYBE_COUNT),
            **dict.fromkeys(("finish_reason", "native_finish_reason", "provider_name"), _MAYBE_TEXT),
            **dict.fromkeys(("streamed", "cancelled"), _FLAG),
        }
    )
    usages = ("usage", "usage_daily", "usage_weekly", "usage_monthly")
    key = _object(
        {
            **dict.fromkeys(("label", "workspace_id"), _TEXT),
            **dict.fromkeys(("limit", "limit_remaining"), _MAYBE_NUMBER),
            "limit_reset": {"enum": ["daily", "monthly", None]},
            **dict.fromkeys(usages, _NUMBER),
        }
    )
    price: Schema = {"type": ["object", "null"], "description": "input and output, in USD for a million tokens"}
    parameters = _object({"context": _MAYBE_COUNT, "max_output_tokens": _MAYBE_COUNT, "size": _TEXT})
    return {
        "ModelCount": _wrapped(_object({"count": {"type": "integer", "minimum": 0}})),
        "WrappedModel": _wrapped({"$ref": "#/components/schemas/Model"}),
        "Credits": _wrapped(_object({"total_credits": _NUMBER, "total_usage": _NUMBER})),
        "KeyInformation": _wrapped(key),
        "Generation": generation,
        "Trace": _trace_schema(),
        "WrappedGeneration": _wrapped({"$ref": "#/components/schemas/Generation"}),
        "Account": _object({"object": {"const": "account"}, **dict.fromkeys(("id", "name", "created_at"), _TEXT)}),
        "PublicModel": _object(
            {
                **dict.fromkeys(("id", "name", "provider", "description"), _TEXT),
                "parameters": parameters,
                "pricePerMillionTokens": price,
                "capabilities": {"type": "array", "items": _TEXT},
                "status": {"enum": ["available", "deprecated"]},
            }
        ),
    }


def _trace_schema() -> Schema:
    """Describe a trace. Times are seconds after the call's start."""
    texts: Schema = {"type": "object", "additionalProperties": _TEXT}
    content: Schema = {"description": "JSON, or text, or base64 of bytes that are neither"}
    attempt = _object(
        {
            **dict.fromkeys(("deployment", "reason", "url"), _TEXT),
            **dict.fromkeys(("headers", "reply_headers"), texts),
            **dict.fromkeys(("body", "reply"), content),
            "started": _NUMBER,
            "ended": _MAYBE_NUMBER,
            "status": _MAYBE_COUNT,
            "error": _MAYBE_TEXT,
            "pieces": {"type": "array", "items": {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}},
            "omitted_bytes": _COUNT,
        }
    )
    error: Schema = {"type": ["object", "null"], "description": "code and message"}
    return _object(
        {
            "request": content,
            "attempts": {"type": "array", "items": attempt},
            "answer": content,
            "error": error,
            "masked": {"type": "array", "items": _TEXT},
            "until": _TEXT,
        }
    )


def model_schema() -> Schema:
    """Describe a model: OpenAI's object with OpenRouter's fields."""
    texts: Schema = {"type": "array", "items": _TEXT}
    architecture = _object(
        {"input_modalities": texts, "output_modalities": texts, "modality": _TEXT, "tokenizer": _TEXT}
    )
    pricing: Schema = {
        "type": "object",
        "required": ["prompt", "completion"],
        "description": "USD for one token, request or search; -1 where unknown",
        "additionalProperties": {"type": "string", "pattern": r"^(-1|\d+(\.\d+)?)$"},
    }
    limits = {"context_length": _MAYBE_COUNT, "max_completion_tokens": _MAYBE_COUNT}
    fields: dict[str, Schema] = {
        "id": _TEXT,
        "object": {"const": "model"},
        "created": _COUNT,
        "owned_by": _TEXT,
        "type": {"enum": ["chat", "embedding", "rerank", "moderation"]},
        "dimensions": _MAYBE_COUNT,
        "name": _TEXT,
        "description": _TEXT,
        "context_length": _MAYBE_COUNT,
        "architecture": architecture,
        "pricing": pricing,
        "top_provider": _object({**limits, "is_moderated": _FLAG}),
        "supported_parameters": texts,
        "deprecated": _FLAG,
        "canonical_slug": _TEXT,
        "links": _object({"details": _TEXT}),
    }
    return _object(fields)


def model_list_schema(model: Schema) -> Schema:
    """Describe the list of models: OpenAI's object with OpenRouter's count."""
    fields: dict[str, Schema] = {"object": {"const": "list"}, "data": {"type": "array", "items": model}}
    return _object({**fields, "total_count": _COUNT, "links": _object({"next": {"type": "null"}})})


def _object(required: dict[str, Schema]) -> Schema:
    return {"type": "object", "required": list(required), "properties": required}


def _wrapped(schema: Schema) -> Schema:
    return _object({"data": schema})
