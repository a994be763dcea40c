"""The response bodies of the admin API, and how they are sent."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar, get_type_hints

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, create_model

from tidegate.api.admin.route_requests import GuardrailBody, RouteBody
from tidegate.control.control import Control
from tidegate.control.views import to_json_for
from tidegate.domain.limits import Limits
from tidegate.domain.managed_resources import AdminKey, AdminScope, Resource, Role
from tidegate.domain.workspace import BatchMode, KeyStatus, WordsMethod, WorkspaceStatus
from tidegate.json import Json, JsonObject

_T = TypeVar("_T")

_LIMIT_TYPES: Mapping[object, tuple[Any, Any]] = {
    int | None: (int, 0),
    Decimal | None: (str, ""),
    tuple[str, ...] | None: (list[str], []),
}
_LIMIT_FIELDS: dict[str, Any] = {name: _LIMIT_TYPES[hint] for name, hint in get_type_hints(Limits).items()}


class LimitsResponse(create_model("LimitsResponse", **_LIMIT_FIELDS)):
    """The limits that are set; a limit that is not set is left out."""


class ResourceResponse(BaseModel):
    created_at: str
    version: int = Field(description="The ETag is this number in quotes.")


class PlanResponse(ResourceResponse):
    id: str
    name: str
    limits: LimitsResponse


class RolloutResponse(BaseModel):
    updated: int
    pending: list[str] = Field(description="Workspaces with calls running: send the change again.")


class ChangedPlanResponse(PlanResponse):
    workspaces: RolloutResponse


class CredentialResponse(BaseModel):
    name: str
    changed_at: str


class WorkspaceResponse(ResourceResponse):
    id: str
    name: str
    status: WorkspaceStatus
    words_method: WordsMethod
    charge_input_words: bool
    plan_id: str | None
    plan_limits: LimitsResponse
    limits: LimitsResponse
    effective_limits: LimitsResponse
    first_day: int
    allows_unpriced: bool
    lowers_max_tokens: bool
    adds_max_tokens: bool
    timeout_seconds: float | None
    cache_ttl_seconds: int | None
    routes: list[RouteBody]
    guardrails: list[GuardrailBody]
    shards: int
    batch_webhook: str | None
    batch_mode: BatchMode
    trace_sample: float
    trace_failures: bool
    trace_callers: bool
    trace_days: int
    trace_mask: list[str]
    credentials: list[CredentialResponse] = Field(description="The workspace's own provider keys, without their values")


class KeyResponse(ResourceResponse):
    id: str
    prefix: str
    name: str
    status: KeyStatus
    workspace_ids: list[str]
    default_workspace_id: str | None
    expires_at: str | None
    previous_prefix: str | None
    previous_expires_at: str | None
    limits: LimitsResponse
    endpoints: list[str] | None
    networks: list[str] | None
    trace_sample: float | None


class CreatedKeyResponse(KeyResponse):
    secret: str | None = Field(description="Shown once; null if the key existed already.")


class MemberResponse(ResourceResponse):
    workspace_id: str
    subject: str
    role: Role


class AdminResponse(ResourceResponse):
    id: str
    prefix: str
    name: str
    status: KeyStatus
    scopes: list[AdminScope]
    workspace_ids: list[str] | None
    expires_at: str | None


class CreatedAdminResponse(AdminResponse):
    secret: str = Field(description="Shown once.")


class AuditEntryResponse(BaseModel):
    id: str
    at: str
    who: str
    action: str
    target: str
    workspace_ids: list[str]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class UsageFigures(BaseModel):
    calls: int
    calls_failed: int
    input_tokens: int
    output_tokens: int
    words: int
    cost_usd: str


class NamedUsageFigures(UsageFigures):
    name: str


class UsageReportResponse(BaseModel):
    object: Literal["usage_report"]
    workspace_id: str
    by: str
    first: str
    last: str
    rows: list[NamedUsageFigures]
    total: UsageFigures


class PageResponse(BaseModel, Generic[_T]):
    data: list[_T]
    next_cursor: str | None = Field(description="The cursor of the next page; null on the last.")


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    error: ErrorDetail


_ERROR_DESCRIPTIONS = {
    400: "The request is not valid: `param` names the field",
    401: "The admin key is missing or not valid",
    403: "The admin key does not have the permission",
    404: "Not found",
    405: "The path does not allow this method",
    409: "The change conflicts with the current state",
    412: "The resource has changed: read it again",
    413: "The request is too large",
    428: "If-Match is missing",
    503: "The store does not answer: try again later",
}
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": text} for status, text in _ERROR_DESCRIPTIONS.items()
}


class AdminContext:
    """The control plane and the admin key of one request; builds its response."""

    def __init__(self, control: Control, actor: AdminKey) -> None:
        self.control = control
        self.actor = actor

    def resource_response(self, resource: Resource, *, status: int = 200, **extra_fields: Json) -> JSONResponse:
        """Respond with one resource, and its version as the ETag."""
        content: JsonObject = {**to_json_for(self.actor, resource), **extra_fields}
        return JSONResponse(content, status, {"etag": f'"{resource.version}"'})

    def page_response(self, resources: Sequence[Resource], cursors: Sequence[str], limit: int) -> JSONResponse:
        """Respond with a page of resources and the cursor of the next page."""
        data: list[Json] = [to_json_for(self.actor, resource) for resource in resources]
        return JSONResponse({"data": data, "next_cursor": cursors[-1] if len(cursors) >= limit and cursors else None})
