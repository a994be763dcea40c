"""Resources and audit entries as JSON, without secrets and their hashes."""

from collections.abc import Mapping
from typing import cast

import msgspec

from tidegate.domain.limits import Limits
from tidegate.domain.managed_resources import AdminKey, AuditEntry, Resource
from tidegate.domain.record import iso_time
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.json import Json, JsonObject
from tidegate.policy.guardrails import definition

_HIDDEN = frozenset({"hash", "previous_hash"})
_TIMES = frozenset({"created_at", "expires_at", "previous_expires_at", "at"})


def to_json(value: Resource | AuditEntry) -> JsonObject:
    """Return all fields except the hashes: times in ISO 8601, money as text, only the limits that are set.

    Routes and guardrails have the form in which operators write them, without fields equal to their default.
    """
    fields: dict[str, Json] = msgspec.to_builtins(value)
    content = {name: _field_to_json(name, field) for name, field in fields.items() if name not in _HIDDEN}
    if isinstance(value, Workspace):
        content["guardrails"] = [definition.guardrail_to_json(each) for each in value.guardrails]
        content["effective_limits"] = limits_to_json(value.effective_limits)
        credentials = value.credentials
        content["credentials"] = [{"name": each.name, "changed_at": iso_time(each.changed_at)} for each in credentials]
    return content


def to_json_for(actor: AdminKey, value: Resource | AuditEntry) -> JsonObject:
    """Return the value as JSON, without the ids of workspaces that `actor` may not manage."""
    content = to_json(value)
    if actor.workspace_ids is None:
        return content
    if isinstance(value, AuditEntry):
        for state in (content["before"], content["after"]):
            _hide_workspaces(state, actor.workspace_ids)
    if isinstance(value, AuditEntry | VirtualKey):
        _hide_workspaces(content, actor.workspace_ids)
    return content


def limits_to_json(limits: Limits) -> JsonObject:
    """Return the limits that are set."""
    return _without_nulls(msgspec.to_builtins(limits))


def _field_to_json(name: str, field: Json) -> Json:
    if name in _TIMES and isinstance(field, int | float):
        return iso_time(field)
    return _without_nulls(field) if name in ("limits", "plan_limits") and isinstance(field, dict) else field


def _without_nulls(fields: Mapping[str, Json]) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


def _hide_workspaces(content: Json, visible_ids: tuple[str, ...]) -> None:
    if not isinstance(content, dict):
        return
    ids = content.get("workspace_ids")
    if isinstance(ids, list | tuple):
        content["workspace_ids"] = [id for id in cast("list[Json]", ids) if id in visible_ids]
    if content.get("default_workspace_id") not in (None, *visible_ids):
        content["default_workspace_id"] = None
