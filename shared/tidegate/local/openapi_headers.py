"""The OpenAPI document's headers, and its descriptions of the gateway's own request fields."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TypeAlias, cast

from tidegate.domain.gateway_fields import GatewayFields

Schema: TypeAlias = dict[str, object]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NAME = r"^([A-Za-z0-9][A-Za-z0-9 ._:/@+-]{0,127})?$"
_DAY, _TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}:[0-9]{2}"
_TIMESTAMP = rf"^([0-9]{{1,11}}(\.[0-9]{{1,9}})?|{_DAY}T{_TIME}(Z|[+-][0-9]{{2}}:[0-9]{{2}}))?$"
"""A time in a header; an empty header counts as absent."""


def _request_header(name: str, description: str, **schema: object) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": {**_TEXT, **schema}}


REQUEST_HEADERS: list[Schema] = [
    _request_header("x-app-id", "The application that the call is recorded for", pattern=_NAME),
    _request_header("x-session-id", "The call's conversation, which sticky routes keep on one deployment"),
    _request_header(
        "x-request-deadline", "When the call must be over: Unix seconds, or ISO 8601 with an offset", pattern=_TIMESTAMP
    ),
    _request_header("traceparent", "The distributed trace that the call belongs to: docs/OBSERVABILITY.md"),
    _request_header("tracestate", "What other systems have added to the trace; it is sent on to the provider"),
]
"""Request headers of a call, except authorization and workspace."""

_RESPONSE_HEADERS: Mapping[str, tuple[str, Schema]] = {
    "x-request-id": ("The call's id, to find its record and its log lines", _TEXT),
    "traceparent": ("The call's place in its distributed trace", _TEXT),
    "x-tidegate-provider": ("The provider that answered", _TEXT),
    "x-tidegate-model": ("The model that answered", _TEXT),
    "x-tidegate-deployment": ("The target of the route that answered", _TEXT),
    "x-tidegate-attempts": ("The number of requests to providers", _COUNT),
    "x-tidegate-failed-attempts": ("The attempts that failed: model:code:seconds, separated by commas", _TEXT),
    "x-tidegate-ignored-params": ("Fields that the provider does not support, separated by commas", _TEXT),
    "x-tidegate-max-tokens": ("The limit of the answer, if it was lowered to what a budget has left", _COUNT),
    "x-tidegate-overhead-ms": ("The time that the gateway itself took, without waiting for others", {"type": "number"}),
    "x-tidegate-guardrails": ("The guardrails that ran, and how they checked a stream", _TEXT),
    **{
        f"x-ratelimit-{what}-{unit}": (f"Limit of {unit} per minute: {what}", schema)
        for unit in ("requests", "tokens")
        for what, schema in (("limit", _COUNT), ("remaining", _COUNT), ("reset", _TEXT))
    },
}
RESPONSE_HEADERS: Schema = {
    name: {"description": description, "schema": schema} for name, (description, schema) in _RESPONSE_HEADERS.items()
}
"""Response headers, each present only if it applies. A stream that begins late has only `x-request-id`."""


def describe_fields(components: Mapping[str, object], request: str = "ChatFields") -> Schema:
    """Return the components with descriptions of the gateway's own request fields."""
    schema = cast("Schema", components[request])
    properties = cast("dict[str, Schema]", schema["properties"])
    described = {name: {**properties[name], "description": text} for name, text in _field_docstrings()}
    return {**components, request: {**schema, "properties": {**properties, **described}}}


def _field_docstrings() -> Iterator[tuple[str, str]]:
    """Yield the fields of `GatewayFields` with their docstrings, which Python keeps in the source alone."""
    tree = ast.parse(inspect.getsource(GatewayFields))
    (struct,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    for field, text in pairwise(struct.body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                yield name, docstring
            case _:
                pass
