"""Resources as people and programs may see them: JSON without secrets or their hashes."""

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


def shown(value: Resource | AuditEntry) -> JsonObject:
    """All fields but the hashes: times in ISO 8601, money as text, of limits those that are set.

    Routes and guardrails are as they were written, without what is as it would be anyway.
    """
    fields: dict[str, Json] = msgspec.to_builtins(value)
    made = {name: _field(name, field) for name, field in fields.items() if name not in _HIDDEN}
    if isinstance(value, Workspace):
        made["guardrails"] = [definition.shown(each) for each in value.guardrails]
        made["effective_limits"] = shown_limits(value.effective_limits)
        made["credentials"] = [
            {"name": each.name, "changed_at": iso_time(each.changed_at)} for each in value.credentials
        ]
    return made


def shown_to(who: AdminKey, value: Resource | AuditEntry) -> JsonObject:
    """The same, without the workspaces that `who` may not know of."""
    made = shown(value)
    if who.workspace_ids is None:
        return made
    if isinstance(value, AuditEntry):
        for state in (made["before"], made["after"]):
            _forget(state, who.workspace_ids)
    if isinstance(value, AuditEntry | VirtualKey):
        _forget(made, who.workspace_ids)
    return made


def shown_limits(limits: Limits) -> JsonObject:
    """Those that are set."""
    return _sparse(msgspec.to_builtins(limits))


def _field(name: str, field: Json) -> Json:
    if name in _TIMES and isinstance(field, int | float):
        return iso_time(field)
    return _sparse(field) if name in ("limits", "plan_limits") and isinstance(field, dict) else field


def _sparse(fields: Mapping[str, Json]) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}


def _forget(state: Json, known: tuple[str, ...]) -> None:
    if not isinstance(state, dict):
        return
    ids = state.get("workspace_ids")
    if isinstance(ids, list | tuple):
        state["workspace_ids"] = [id for id in cast("list[Json]", ids) if id in known]
    if state.get("default_workspace_id") not in (None, *known):
        state["default_workspace_id"] = None
