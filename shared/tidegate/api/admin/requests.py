"""The request bodies of the admin API, and how they change resources."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar, cast, get_type_hints

from msgspec.structs import replace
from pydantic import Field, create_model

from tidegate.api.admin.field_types import (
    CacheTtl,
    Count,
    FirstDay,
    Flag,
    Id,
    Name,
    Patterns,
    RequestBody,
    Shards,
    Share,
    Timestamp,
    TraceDays,
    Url,
    Usd,
)
from tidegate.api.admin.route_requests import GuardrailBody, RouteBody, Seconds, guardrails_from, routes_from
from tidegate.control.keys import MAX_OVERLAP_SECONDS
from tidegate.domain.identity import MAX_SUBJECT
from tidegate.domain.limits import Limits
from tidegate.domain.managed_resources import AdminKey, AdminScope, Plan, Role
from tidegate.domain.routes import MAX_ROUTES
from tidegate.domain.workspace import BatchMode, VirtualKey, WordsMethod, Workspace
from tidegate.policy.guardrails.definition import MAX_GUARDRAILS

_R = TypeVar("_R", Plan, Workspace, VirtualKey)

_LIMIT_TYPES: Mapping[object, Any] = {int | None: Count, Decimal | None: Usd, tuple[str, ...] | None: Patterns}
_LIMIT_HINTS = get_type_hints(Limits).items()
_LIMIT_FIELDS: dict[str, Any] = {name: (_LIMIT_TYPES[hint] | None, None) for name, hint in _LIMIT_HINTS}


class LimitsBody(create_model("LimitsBody", __base__=RequestBody, **_LIMIT_FIELDS)):
    """Any of the limits; null means no limit. A change keeps the limits that are left out."""

    def merge_into(self, limits: Limits) -> Limits:
        """Return `limits` with the fields that were sent."""
        return replace(limits, **{name: _to_domain_value(getattr(self, name)) for name in self.model_fields_set})


class PlanChange(RequestBody):
    name: Name = ""
    limits: LimitsBody = LimitsBody()


class PlanBody(PlanChange):
    id: Id = Field("", description="plan_…; optional with an Idempotency-Key")
    name: Name = Field(...)


class WorkspaceChange(RequestBody):
    name: Name = ""
    words_method: WordsMethod = "tokens"
    charge_input_words: Flag = False
    plan_id: Id | None = None
    limits: LimitsBody = LimitsBody()
    first_day: FirstDay = 1
    allows_unpriced: Flag = False
    lowers_max_tokens: Flag = False
    adds_max_tokens: Flag = True
    timeout_seconds: Seconds | None = Field(None, description="How long a call may take; null: the gateway's timeout")
    cache_ttl_seconds: CacheTtl | None = Field(None, description="For calls that do not say; null: no caching")
    routes: list[RouteBody] = Field([], max_length=MAX_ROUTES, description="A change replaces the list")
    guardrails: list[GuardrailBody] = Field([], max_length=MAX_GUARDRAILS, description="A change replaces the list")
    shards: Shards = 1
    batch_mode: BatchMode = Field("calls", description="Of batches that do not say; provider_batch: at half the price")
    batch_webhook: Url | None = Field(None, description="An https URL that is told when a batch ends; null: none")
    trace_sample: Share = Field(0.0, description="The part of its calls whose content is kept: 0.05 is 5 %")
    trace_failures: Flag = Field(False, description="Keep the content of all calls that fail")
    trace_callers: Flag = Field(True, description="Keep the content of calls that ask for it with observability")
    trace_days: TraceDays = Field(7, description="How long content is kept")
    trace_mask: list[Name] = Field(
        [], max_length=MAX_GUARDRAILS, description="Guardrails that mask content before it is kept"
    )

    def routes_and_guardrails(self) -> Mapping[str, object]:
        """Return the routes and guardrails that were sent, in their stored form. Raises `InvalidRequest`."""
        fields: dict[str, object] = {}
        if "routes" in self.model_fields_set:
            fields["routes"] = routes_from(self.routes)
        if "guardrails" in self.model_fields_set:
            fields["guardrails"] = guardrails_from(self.guardrails)
        return fields


class WorkspaceBody(WorkspaceChange):
    id: Id = Field("", description="ws_…; default: derived from the Idempotency-Key, or random")
    name: Name = Field(...)


class KeyChange(RequestBody):
    name: Name = ""
    default_workspace_id: Id | None = None
    expires_at: Timestamp | None = None
    limits: LimitsBody = LimitsBody()
    endpoints: Patterns | None = Field(None, description="Paths that the key may call, e.g. /v1/chat/*; null: all")
    networks: Patterns | None = Field(None, description="Networks of its callers, e.g. 192.0.2.0/24; null: all")
    trace_sample: Share | None = Field(None, description="The part of its calls to trace; null: the workspace's")


class KeyBody(KeyChange):
    workspace_ids: list[Id] = Field(description="At least one")


class SubjectBody(RequestBody):
    """An OIDC subject; `key` is what its access tokens may use."""

    issuer: Annotated[str, Field(strict=True, min_length=1, max_length=2048, description="The iss claim of the tokens")]
    subject: Annotated[str, Field(strict=True, min_length=1, max_length=MAX_SUBJECT, description="Their sub claim")]
    key: KeyBody


class Rotation(RequestBody):
    overlap_seconds: Annotated[int, Field(strict=True, ge=0, le=MAX_OVERLAP_SECONDS)] = 86400


class CredentialBody(RequestBody):
    value: Annotated[str, Field(strict=True, pattern=r"^[!-~]+$", max_length=4096)]


class MemberBody(RequestBody):
    role: Role


class AdminBody(RequestBody):
    name: Name
    scopes: Annotated[list[AdminScope], Field(min_length=1, max_length=3)]
    workspace_ids: Annotated[list[Id], Field(min_length=1, max_length=100)] | None = None
    expires_at: Timestamp | None = None

    def to_admin_key(self) -> AdminKey:
        ids = None if self.workspace_ids is None else tuple(dict.fromkeys(self.workspace_ids))
        scopes = tuple(dict.fromkeys(self.scopes))
        return AdminKey("", "", "", scopes, ids, self.name, expires_at=_utc_seconds(self.expires_at))


ChangeBody = PlanChange | WorkspaceChange | KeyChange


def apply_changes(body: ChangeBody, resource: _R) -> _R:
    """Return the resource with the fields that were sent. Raises `InvalidRequest` for routes and guardrails."""
    fields: Mapping[str, object] = {name: getattr(body, name) for name in body.model_fields_set}
    changes = {name: _to_domain_value(value) for name, value in fields.items()}
    if "limits" in changes:
        changes["limits"] = body.limits.merge_into(resource.limits)
    if isinstance(body, WorkspaceChange):
        changes |= body.routes_and_guardrails()
    return replace(resource, **changes)


def _to_domain_value(value: object) -> object:
    match value:
        case list():
            return tuple(cast("list[object]", value))
        case datetime():
            return value.timestamp()
        case _:
            return value


def _utc_seconds(value: datetime | None) -> float | None:
    return None if value is None else value.timestamp()
