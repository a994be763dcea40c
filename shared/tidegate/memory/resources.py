"""The control plane's resources, in dictionaries."""

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar, cast

from msgspec import Struct, field

from tidegate.domain.account import Account, add_amounts
from tidegate.domain.limits import SPANS, Number, booking_name, days_of_period, period_at
from tidegate.domain.managed_resources import (
    AuditEntry,
    Member,
    Resource,
    ResourceChange,
    account_busy,
    already_exists,
    resource_name,
    stale_version,
)
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.memory.ledger import MemoryLedger
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.tenants import MemoryTenants, storage_name

_R = TypeVar("_R", bound=Resource)


class MemoryResources(Struct):
    """The port `Resources`. Workspaces and keys are in `tenants`, which also authenticates calls."""

    tenants: MemoryTenants = field(default_factory=MemoryTenants)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    meter: MemoryMeter = field(default_factory=MemoryMeter)
    clock: Callable[[], float] = time.time
    resources: dict[tuple[type, str, str], Resource] = field(default_factory=dict[tuple[type, str, str], Resource])
    audit_log: list[AuditEntry] = field(default_factory=list[AuditEntry])

    async def change(
        self, changes: Sequence[ResourceChange], entry: AuditEntry, reopened: Sequence[Workspace] = ()
    ) -> None:
        """See `Resources.change`. A closed account is opened again at once."""
        accounts = {("workspace", each.id): await self._reopened_account(each) for each in reopened}
        # Nothing is awaited from here on: either all changes are made or none.
        if any(account.holds for account_key, account in self.ledger.accounts.items() if account_key in accounts):
            raise account_busy()
        for change in changes:
            stored = self._stored_resource(change)
            if change.before is None and stored is not None:
                raise already_exists()
            if change.before is not None and (stored is None or stored.version != change.before.version):
                raise stale_version()
        for before, after in changes:
            if before is not None:
                self._remove(before)
            if after is not None:
                self._put(after)
        for (_, id), account in accounts.items():
            self.ledger.accounts["workspace", id] = account
        self.audit_log.append(entry)

    async def find(self, resource_type: type[_R], name: str, workspace_id: str = "") -> _R | None:
        """See `Resources.find`."""
        return next(
            (each for each in self._list_resources(resource_type, workspace_id) if resource_name(each) == name), None
        )

    async def page(
        self, resource_type: type[_R], after: str = "", limit: int = 100, workspace_id: str = ""
    ) -> Sequence[_R]:
        """See `Resources.page`."""
        later = (each for each in self._list_resources(resource_type, workspace_id) if resource_name(each) > after)
        return sorted(later, key=resource_name)[:limit]

    async def entries(self, workspace_id: str | None, before: str | None, limit: int) -> Sequence[AuditEntry]:
        """See `Resources.entries`."""
        of_workspace = (
            entry for entry in self.audit_log if workspace_id is None or workspace_id in entry.workspace_ids
        )
        older = (entry for entry in of_workspace if before is None or entry.id < before)
        return sorted(older, key=lambda entry: entry.id, reverse=True)[:limit]

    def _list_resources(self, resource_type: type[_R], workspace_id: str) -> Sequence[_R]:
        """All resources of a type; keys and members are those of the workspace `workspace_id`."""
        if resource_type is Workspace:
            resources: Sequence[Resource] = list(self.tenants.workspaces.values())
        elif resource_type is VirtualKey:
            resources = [key for key in self.tenants.keys.values() if workspace_id in key.workspace_ids]
        else:
            resources = [
                each
                for (stored_type, owner_id, _), each in self.resources.items()
                if stored_type is resource_type and owner_id == workspace_id
            ]
        return cast("Sequence[_R]", resources)

    def _stored_resource(self, change: ResourceChange) -> Resource | None:
        match change.before or change.after:
            case Workspace(id=id):
                return self.tenants.workspaces.get(id)
            case VirtualKey() as key:
                return self.tenants.find_stored(key)
            case None:
                return None
            case other:
                return self.resources.get(_resource_key(other))

    def _put(self, resource: Resource) -> None:
        match resource:
            case Workspace(id=id):
                self.tenants.workspaces[id] = resource
            case VirtualKey() as key:
                self.tenants.keys[storage_name(key)] = key
            case _:
                self.resources[_resource_key(resource)] = resource

    def _remove(self, resource: Resource) -> None:
        match resource:
            case Workspace(id=id):
                del self.tenants.workspaces[id]
            case VirtualKey() as key:
                del self.tenants.keys[storage_name(key)]
            case _:
                del self.resources[_resource_key(resource)]

    async def _reopened_account(self, workspace: Workspace) -> Account:
        now, booked = self.clock(), dict[str, Number]()
        for span in SPANS:
            period_name = period_at(span, now, workspace.first_day).name
            for day in days_of_period(span, now, workspace.first_day):
                used = _used_amounts(await self.meter.counters(workspace.id, f"D#{day}") or {})
                add_amounts(booked, {booking_name(unit, period_name): amount for unit, amount in used.items()})
        return Account({name: amount for name, amount in booked.items() if amount})


def _resource_key(resource: Resource) -> tuple[type, str, str]:
    return type(resource), resource.workspace_id if isinstance(resource, Member) else "", resource_name(resource)


def _used_amounts(counters: Mapping[str, int | str]) -> dict[str, Number]:
    tokens = sum(int(counters.get(name, 0)) for name in ("input_tokens", "output_tokens"))
    return {"tokens": tokens, "words": int(counters.get("words", 0)), "usd": Decimal(counters.get("cost_usd", 0))}
