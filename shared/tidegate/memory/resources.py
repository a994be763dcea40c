"""What the control plane manages, in dictionaries."""

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar, cast

from msgspec import Struct, field

from tidegate.domain.account import Account, booking_name
from tidegate.domain.limits import SPANS, Number, days_of_period, period_at
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
from tidegate.memory.tenants import MemoryTenants

_R = TypeVar("_R", bound=Resource)


class MemoryResources(Struct):
    """The port `Register`, over the tenants by whom calls are authenticated."""

    tenants: MemoryTenants = field(default_factory=MemoryTenants)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    meter: MemoryMeter = field(default_factory=MemoryMeter)
    clock: Callable[[], float] = time.time
    resources: dict[tuple[type, str, str], Resource] = field(default_factory=dict[tuple[type, str, str], Resource])
    audit_log: list[AuditEntry] = field(default_factory=list[AuditEntry])

    async def change(
        self, changes: Sequence[ResourceChange], entry: AuditEntry, reopened: Sequence[Workspace] = ()
    ) -> None:
        """See `Register.change`; an account is opened again at once."""
        accounts = {("workspace", each.id): await self._reopened_account(each) for each in reopened}
        # From here on nothing is awaited: it is all or nothing.
        if any(account.holds for place, account in self.ledger.accounts.items() if place in accounts):
            raise account_busy()
        for change in changes:
            there = self._stored_resource(change)
            if change.before is None and there is not None:
                raise already_exists()
            if change.before is not None and (there is None or there.version != change.before.version):
                raise stale_version()
        for before, after in changes:
            if before is not None:
                self._remove(before)
            if after is not None:
                self._put(after)
        for (_, id), account in accounts.items():
            self.ledger.accounts["workspace", id] = account
        self.audit_log.append(entry)

    async def find(self, kind: type[_R], name: str, within: str = "") -> _R | None:
        """See `Register.find`."""
        return next((each for each in self._list_resources(kind, within) if resource_name(each) == name), None)

    async def page(self, kind: type[_R], after: str = "", limit: int = 100, within: str = "") -> Sequence[_R]:
        """See `Register.page`."""
        later = (each for each in self._list_resources(kind, within) if resource_name(each) > after)
        return sorted(later, key=resource_name)[:limit]

    async def entries(self, workspace_id: str | None, before: str | None, limit: int) -> Sequence[AuditEntry]:
        """See `Register.entries`."""
        own = (entry for entry in self.audit_log if workspace_id is None or workspace_id in entry.workspace_ids)
        older = (entry for entry in own if before is None or entry.id < before)
        return sorted(older, key=lambda entry: entry.id, reverse=True)[:limit]

    def _list_resources(self, kind: type[_R], within: str) -> Sequence[_R]:
        """Of a kind; those that belong to workspaces only within theirs."""
        if kind is Workspace:
            found: Sequence[Resource] = list(self.tenants.workspaces.values())
        elif kind is VirtualKey:
            found = [key for key in self.tenants.keys.values() if within in key.workspace_ids]
        else:
            found = [each for (of, owner, _), each in self.resources.items() if of is kind and owner == within]
        return cast("Sequence[_R]", found)

    def _stored_resource(self, change: ResourceChange) -> Resource | None:
        match change.before or change.after:
            case Workspace(id=id):
                return self.tenants.workspaces.get(id)
            case VirtualKey() as key:
                same = (each for each in self.tenants.keys.values() if each.id == key.id)
                shared = (each for each in same if set(each.workspace_ids) & set(key.workspace_ids))
                return next(shared, self.tenants.keys.get(key.hash))
            case None:
                return None
            case other:
                return self.resources.get(_resource_key(other))

    def _put(self, resource: Resource) -> None:
        match resource:
            case Workspace(id=id):
                self.tenants.workspaces[id] = resource
            case VirtualKey(hash=key_hash):
                self.tenants.keys[key_hash] = resource
            case _:
                self.resources[_resource_key(resource)] = resource

    def _remove(self, resource: Resource) -> None:
        match resource:
            case Workspace(id=id):
                del self.tenants.workspaces[id]
            case VirtualKey(hash=key_hash):
                del self.tenants.keys[key_hash]
            case _:
                del self.resources[_resource_key(resource)]

    async def _reopened_account(self, workspace: Workspace) -> Account:
        now, booked = self.clock(), dict[str, Number]()
        for span in SPANS:
            name = period_at(span, now, workspace.first_day).name
            for day in days_of_period(span, now, workspace.first_day):
                for unit, amount in _used_amounts(await self.meter.counters(workspace.id, f"D#{day}") or {}).items():
                    place = booking_name(unit, name)
                    booked[place] = booked.get(place, 0) + amount
        return Account({name: amount for name, amount in booked.items() if amount})


def _resource_key(resource: Resource) -> tuple[type, str, str]:
    return type(resource), resource.workspace_id if isinstance(resource, Member) else "", resource_name(resource)


def _used_amounts(counters: Mapping[str, int | str]) -> dict[str, Number]:
    tokens = sum(int(counters.get(name, 0)) for name in ("input_tokens", "output_tokens"))
    return {"tokens": tokens, "words": int(counters.get("words", 0)), "usd": Decimal(counters.get("cost_usd", 0))}
