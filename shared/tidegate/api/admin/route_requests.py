"""The request bodies of routes and guardrails. Field types are checked here, all other rules in the domain."""

from collections.abc import Sequence
from typing import Annotated, Literal, cast

from pydantic import Field, JsonValue, StrictStr

from tidegate.api.admin.field_types import Flag, RequestBody
from tidegate.domain import guardrails
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.routes import MAX_FAILURES, MAX_FALLBACKS, MAX_SECONDS, MAX_TARGETS, MAX_WEIGHT, Route, RouteOrder
from tidegate.json import Json
from tidegate.policy.guardrails.definition import parse_guardrails
from tidegate.policy.routing.route_config import parse_routes

Seconds = Annotated[float, Field(strict=True, gt=0, le=MAX_SECONDS)]
_Count = Annotated[int, Field(strict=True, ge=1)]
_Texts = list[StrictStr]


class TargetBody(RequestBody):
    """A deployment of a route. Only the operator's own routes may set base URLs and keys."""

    model: StrictStr = Field(description="provider/model, as a caller would request it")
    weight: Annotated[int, Field(strict=True, ge=0, le=MAX_WEIGHT)] = 1
    region: StrictStr | None = Field(None, description="The cloud region, if the provider belongs to a cloud")
    api_version: StrictStr | None = None


class RouteBody(RequestBody):
    """A route, which callers request as the model `name`."""

    name: StrictStr
    targets: Annotated[list[TargetBody], Field(min_length=1, max_length=MAX_TARGETS)]
    by: RouteOrder = "order"
    fallbacks: Annotated[_Texts, Field(max_length=MAX_FALLBACKS)] = Field([])
    timeout_seconds: Seconds | None = None
    sticky: Flag = False
    hedge_after_seconds: Seconds | None = None
    cooldown_failures: Annotated[int, Field(strict=True, ge=1, le=MAX_FAILURES)] = 3
    cooldown_seconds: Seconds = 30


class GuardrailBody(RequestBody):
    """A guardrail. Its fields depend on its kind: docs/GUARDRAILS.md."""

    name: StrictStr
    kind: guardrails.GuardrailKind
    on: guardrails.StageSelection = Field(
        "both", description="Kinds that support only one of them have it as their default"
    )
    action: guardrails.GuardrailAction = "block"
    stream: guardrails.StreamMode | None = None
    always: Flag = Field(False, description="Run on every call, even if the caller does not name it")
    window_characters: _Count = 256
    patterns: _Texts = Field([])
    words: _Texts = Field([])
    entities: list[guardrails.Entity] = Field([])
    scripts: _Texts = Field([])
    max_tokens: _Count | None = None
    max_characters: _Count | None = None
    json_schema: JsonValue = Field(None, alias="schema", description="The schema of the answer, for json_schema")
    guardrail_id: StrictStr | None = None
    guardrail_version: StrictStr = "DRAFT"
    region: StrictStr | None = None
    url: StrictStr | None = None
    timeout_seconds: Seconds = 2
    fails: Literal["closed", "open"] = "closed"


def routes_from(bodies: Sequence[RouteBody]) -> tuple[Route, ...]:
    """Raises `InvalidRequest` with the field's path."""
    return parse_routes(_to_json(bodies))


def guardrails_from(bodies: Sequence[GuardrailBody]) -> tuple[Guardrail, ...]:
    """Raises `InvalidRequest` with the field's path."""
    return parse_guardrails(_to_json(bodies))


def _to_json(bodies: Sequence[RequestBody]) -> Json:
    """Return the fields that were sent, with the names that were sent."""
    return cast("Json", [each.model_dump(exclude_unset=True, by_alias=True) for each in bodies])
