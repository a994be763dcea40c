"""What the control plane manages, in dictionaries."""

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar, cast

from msgspec import Struct, field

from tidegate.domain.account import Account, booked_name
from tidegate.domain.limits import SPANS, Number, days_of, period
from tidegate.domain.managed_resources import AuditEntry, Change, Member, Resource, busy, name_of, stale, taken
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.memory.ledger import MemoryLedger
from tidegate.memory.meter import MemoryMeter
from tidegate.memory.tenants import MemoryTenants

_R = TypeVar("_R", bound=Resource)


class MemoryRegister(Struct):
    """The port `Register`, over the tenants by whom calls are authenticated."""

    tenants: MemoryTenants = field(default_factory=MemoryTenants)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    meter: MemoryMeter = field(default_factory=MemoryMeter)
    clock: Callable[[], float] = time.time
    kept: dict[tuple[type, str, str], Resource] = field(default_factory=dict[tuple[type, str, str], Resource])
    log: list[AuditEntry] = field(default_factory=list[AuditEntry])

    async def change(self, changes: Sequence[Change], entry: AuditEntry, reopened: Sequence[Workspace] = ()) -> None:
        """See `Register.change`; an account is opened again at once."""
        accounts = {("workspace", each.id): await self._opened(each) for each in reopened}
        # From here on nothing is awaited: it is all or nothing.
        if any(account.holds for place, account in self.ledger.accounts.items() if place in accounts):
            raise busy()
        for change in changes:
            there = self._there(change)
            if change.before is None and there is not None:
                raise taken()
            if change.before is not None and (there is None or there.version != change.before.version):
                raise stale()
        for before, after in changes:
            if before is not None:
                self._remove(before)
            if after is not None:
                self._put(after)
        for (_, id), account in accounts.items():
            self.ledger.accounts["workspace", id] = account
        self.log.append(entry)

    async def find(self, kind: type[_R], name: str, within: str = "") -> _R | None:
        """See `Register.find`."""
        return next((each for each in self._all(kind, within) if name_of(each) == name), None)

    async def page(self, kind: type[_R], after: str = "", limit: int = 100, within: str = "") -> Sequence[_R]:
        """See `Register.page`."""
        later = (each for each in self._all(kind, within) if name_of(each) > after)
        return sorted(later, key=name_of)[:limit]

    async def entries(self, workspace_id: str | None, before: str | None, limit: int) -> Sequence[AuditEntry]:
        """See `Register.entries`."""
        own = (entry for entry in self.log if workspace_id is None or workspace_id in entry.workspace_ids)
        older = (entry for entry in own if before is None or entry.id < before)
        return sorted(older, key=lambda entry: entry.id, reverse=True)[:limit]

    def _all(self, kind: type[_R], within: str) -> Sequence[_R]:
        """Of a kind; those that belong to workspaces only within theirs."""
        if kind is Workspace:
            found: Sequence[Resource] = list(self.tenants.workspaces.values())
        elif kind is VirtualKey:
            found = [key for key in self.tenants.keys.values() if within in key.workspace_ids]
        else:
            found = [each for (of, owner, _), each in self.kept.items() if of is kind and owner == within]
        return cast("Sequence[_R]", found)

    def _there(self, change: Change) -> Resource | None:
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
                return self.kept.get(_place(other))

    def _put(self, resource: Resource) -> None:
        match resource:
            case Workspace(id=id):
                self.tenants.workspaces[id] = resource
            case VirtualKey(hash=key_hash):
                self.tenants.keys[key_hash] = resource
            case _:
                self.kept[_place(resource)] = resource

    def _remove(self, resource: Resource) -> None:
        match resource:
            case Workspace(id=id):
                del self.tenants.workspaces[id]
            case VirtualKey(hash=key_hash):
                del self.tenants.keys[key_hash]
            case _:
                del self.kept[_place(resource)]

    async def _opened(self, workspace: Workspace) -> Account:
        now, booked = self.clock(), dict[str, Number]()
        for span in SPANS:
            name = period(span, now, workspace.first_day).name
            for day in days_of(span, now, workspace.first_day):
                for unit, amount in _used(await self.meter.counters(workspace.id, f"D#{day}") or {}).items():
                    place = booked_name(unit, name)
                    booked[place] = booked.get(place, 0) + amount
        return Account({name: amount for name, amount in booked.items() if amount})


def _place(resource: Resource) -> tuple[type, str, str]:
    return type(resource), resource.workspace_id if isinstance(resource, Member) else "", name_of(resource)


def _used(counters: Mapping[str, int | str]) -> dict[str, Number]:
    tokens = sum(int(counters.get(name, 0)) for name in ("input_tokens", "output_tokens"))
    return {"tokens": tokens, "words": int(counters.get("words", 0)), "usd": Decimal(counters.get("cost_usd", 0))}
