"""The control plane's ports, and how it changes a resource: in one transaction with an audit entry."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from tidegate.control.ports import ProviderStates, Resources, TraceReader, WorkspaceBatches
from tidegate.control.views import to_json
from tidegate.domain.ids import ulid
from tidegate.domain.managed_resources import (
    AdminKey,
    AuditEntry,
    Member,
    Plan,
    Resource,
    ResourceChange,
    resource_name,
    stale_version,
)
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import AlreadyExists
from tidegate.policy.metering.roller import Aggregates
from tidegate.ports import Ledger, ResponseStates, UsageReader, Vault

_R = TypeVar("_R", Plan, Workspace, VirtualKey, AdminKey, Member)

_COLLECTION_NAMES: dict[type[Resource], str] = {
    Plan: "plans",
    Workspace: "workspaces",
    VirtualKey: "keys",
    AdminKey: "admins",
    Member: "members",
}


class Control(Struct, frozen=True):
    """The ports that every use case of the control plane works with.

    `issuer` is the OIDC issuer whose subjects may get grants; None does not check it. `providers` is None in a process
    without a data plane.
    """

    resources: Resources
    usages: UsageReader
    ledger: Ledger
    clock: Callable[[], float] = time.time
    vault: Vault | None = None
    issuer: str | None = None
    batches: WorkspaceBatches | None = None
    aggregates: Aggregates | None = None
    providers: ProviderStates | None = None
    traces: TraceReader | None = None
    response_states: ResponseStates | None = None

    async def apply_change(
        self,
        actor: AdminKey,
        action: str,
        before: Resource | None,
        after: Resource | None,
        *,
        relies_on: Sequence[Resource] = (),
        reopened: Sequence[Workspace] = (),
    ) -> None:
        """Change one resource and write the audit entry. Raises what `Resources.change` raises.

        The change fails if a resource of `relies_on` has changed; the accounts of `reopened` are opened anew.
        """
        changes = [ResourceChange(before, after), *(ResourceChange(each, each) for each in relies_on)]
        await self.resources.change(changes, self.audit_entry(actor, action, before, after), reopened)

    def audit_entry(self, actor: AdminKey, action: str, before: Resource | None, after: Resource | None) -> AuditEntry:
        """Return the audit log's entry for a change."""
        now = self.clock()
        resource = after or before
        assert resource is not None  # noqa: S101  # a change has a state before, after, or both
        return AuditEntry(
            id=ulid(now),
            at=now,
            who=actor.id,
            action=action,
            target=f"{_COLLECTION_NAMES[type(resource)]}/{resource_name(resource)}",
            workspace_ids=_workspace_ids_of(resource),
            before=to_json(before) if before else None,
            after=to_json(after) if after else None,
        )

    async def log_action(self, actor: AdminKey, action: str, target: str, workspace_id: str) -> None:
        """Write an audit entry for something that changes no resource. Raises `StoreUnavailable`."""
        now = self.clock()
        entry = AuditEntry(ulid(now), now, actor.id, action, target, (workspace_id,))
        await self.resources.change([], entry)

    async def create_or_find(
        self, actor: AdminKey, resource: _R, is_same: Callable[[_R, _R], bool], relies_on: Sequence[Resource] = ()
    ) -> tuple[_R, bool]:
        """Create the resource (True), or find the same one (False). Raises `AlreadyExists` for a different one."""
        try:
            await self.apply_change(actor, "create", None, resource, relies_on=relies_on)
        except AlreadyExists:
            workspace_id = next(iter(_workspace_ids_of(resource)), "")
            existing = await self.resources.find(type(resource), resource_name(resource), workspace_id)
            if existing is None or not is_same(existing, resource):
                name = f"{_COLLECTION_NAMES[type(resource)]}/{resource_name(resource)}"
                raise AlreadyExists(f"A different {name} exists already, and was not changed.") from None
            return existing, False
        return resource, True


def check_version(resource: Resource, version: int | None) -> None:
    """Raises `Stale` if the resource does not have the version that the change was meant for; None means any."""
    if version is not None and resource.version != version:
        raise stale_version()


def _workspace_ids_of(resource: Resource) -> tuple[str, ...]:
    match resource:
        case Workspace(id=id):
            return (id,)
        case Member(workspace_id=id):
            return (id,)
        case VirtualKey(workspace_ids=ids):
            return ids
        case AdminKey() | Plan():
            return ()
