"""What the OpenAPI document says of headers, and of the fields that are the gateway's own."""

from collections.abc import Mapping
from typing import TypeAlias, cast

Schema: TypeAlias = dict[str, object]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NAME = r"^([A-Za-z0-9][A-Za-z0-9 ._:/@+-]{0,127})?$"
_DAY, _TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}:[0-9]{2}"
_TIMESTAMP = rf"^([0-9]{{1,11}}(\.[0-9]{{1,9}})?|{_DAY}T{_TIME}(Z|[+-][0-9]{{2}}:[0-9]{{2}}))?$"
"""An empty header is none."""


def _request_header(name: str, description: str, **schema: object) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": {**_TEXT, **schema}}


REQUEST_HEADERS: list[Schema] = [
    _request_header("x-app-id", "The application that the call is put down to", pattern=_NAME),
    _request_header("x-session-id", "The conversation that the call belongs to, for routes that keep one together"),
    _request_header(
        "x-request-deadline", "When the call must be over: Unix seconds, or ISO 8601 with an offset", pattern=_TIMESTAMP
    ),
]
"""Headers of a call, beside those that say who calls."""

_RESPONSE_HEADERS: Mapping[str, tuple[str, Schema]] = {
    "x-request-id": ("The call's id, which leads to its record and to the log", _TEXT),
    "x-tidegate-provider": ("Who has answered", _TEXT),
    "x-tidegate-model": ("Which model has answered", _TEXT),
    "x-tidegate-deployment": ("Of a route, which of its targets has answered", _TEXT),
    "x-tidegate-attempts": ("How often providers were asked", _COUNT),
    "x-tidegate-failed-attempts": ("Which of that failed: model:code:seconds, separated by commas", _TEXT),
    "x-tidegate-ignored-params": ("Fields that the provider cannot honour, separated by commas", _TEXT),
    "x-tidegate-max-tokens": ("The answer's limit, where it was shortened to what a budget has left", _COUNT),
    "x-tidegate-overhead-ms": ("What the gateway took of the time, without what it waited for", {"type": "number"}),
    "x-tidegate-guardrails": ("The guardrails that ran, and how they checked a stream", _TEXT),
    **{
        f"x-ratelimit-{what}-{unit}": (f"Of the limit of {unit} for each minute", schema)
        for unit in ("requests", "tokens")
        for what, schema in (("limit", _COUNT), ("remaining", _COUNT), ("reset", _TEXT))
    },
}
RESPONSE_HEADERS: Schema = {
    name: {"description": said, "schema": schema} for name, (said, schema) in _RESPONSE_HEADERS.items()
}
"""Headers of an answer, each where it has something to say. A stream that begins late has `x-request-id` alone."""

_FIELD_DESCRIPTIONS: Mapping[str, str] = {
    "observability": "Taken, and without effect",
    "guardrails": "Names of guardrails to run, beside those that always do: docs/GUARDRAILS.md",
    "caching": "Take an equal call's reply, and keep this one's; false: not even if the workspace does: docs/CACHE.md",
    "cache": "How to cache; ages in seconds",
    "num_retries": "How often one model is asked again, 2 by default: docs/RELIABILITY.md",
    "fallbacks": "Whom to ask instead: names, objects with a model and other fields, or lists by the model that failed",
    "models": "Whom to ask in this order, as OpenRouter's clients say it",
    "context_window_fallback_dict": "Bigger models for prompts that are too long, by the model",
    "require_parameters": "Refuse what the provider cannot honour, instead of naming it in x-tidegate-ignored-params",
    "timeout": "Seconds that the call may take at most, all tries included: docs/DEADLINES.md",
    "dry_run": "Say what would happen, and do nothing: docs/RELIABILITY.md",
}
"""Fields of a request that never reach a provider."""


def describe_fields(components: Mapping[str, object], request: str = "ChatFields") -> Schema:
    """The components, with what the gateway's own fields of the request mean."""
    schema = cast("Schema", components[request])
    properties = cast("dict[str, Schema]", schema["properties"])
    described_properties: dict[str, Schema] = {
        name: {**field, "description": _FIELD_DESCRIPTIONS[name]} if name in _FIELD_DESCRIPTIONS else field
        for name, field in properties.items()
    }
    return {**components, request: {**schema, "properties": described_properties}}
