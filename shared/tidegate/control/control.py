"""What the control plane works with, and how it changes something: with its version, and with an audit entry."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from tidegate.control.ports import Register
from tidegate.control.views import shown
from tidegate.domain.ids import ulid
from tidegate.domain.managed_resources import AdminKey, AuditEntry, Change, Member, Plan, Resource, name_of, stale
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import AlreadyExists
from tidegate.ports import Ledger, Usages, Vault

_R = TypeVar("_R", Plan, Workspace, VirtualKey, AdminKey, Member)

_CALLED: dict[type[Resource], str] = {
    Plan: "plans",
    Workspace: "workspaces",
    VirtualKey: "keys",
    AdminKey: "admins",
    Member: "members",
}


class Control(Struct, frozen=True):
    """The control plane's ports."""

    register: Register
    usages: Usages
    ledger: Ledger
    clock: Callable[[], float] = time.time
    vault: Vault | None = None

    async def change(
        self,
        who: AdminKey,
        action: str,
        before: Resource | None,
        after: Resource | None,
        *,
        relies_on: Sequence[Resource] = (),
        reopened: Sequence[Workspace] = (),
    ) -> None:
        """One change, on record. See `Register.change` for what it raises."""
        changes = [Change(before, after), *(Change(each, each) for each in relies_on)]
        await self.register.change(changes, self.entry(who, action, before, after), reopened)

    def entry(self, who: AdminKey, action: str, before: Resource | None, after: Resource | None) -> AuditEntry:
        """What is kept of the change."""
        now = self.clock()
        of = after or before
        assert of is not None  # noqa: S101  # a change of nothing is none
        return AuditEntry(
            id=ulid(now),
            at=now,
            who=who.id,
            action=action,
            target=f"{_CALLED[type(of)]}/{name_of(of)}",
            workspace_ids=_workspaces_of(of),
            before=shown(before) if before else None,
            after=shown(after) if after else None,
        )

    async def create(
        self, who: AdminKey, made: _R, same: Callable[[_R, _R], bool], relies_on: Sequence[Resource] = ()
    ) -> tuple[_R, bool]:
        """The resource, and whether it is new: one that is there already, and the same, is what was asked for.

        Raises `AlreadyExists` for another one.
        """
        try:
            await self.change(who, "create", None, made, relies_on=relies_on)
        except AlreadyExists:
            there = await self.register.find(type(made), name_of(made), next(iter(_workspaces_of(made)), ""))
            if there is None or not same(there, made):
                what = f"{_CALLED[type(made)]}/{name_of(made)}"
                raise AlreadyExists(f"There is another {what} already; it stays as it was.") from None
            return there, False
        return made, True


def check_version(there: Resource, expected: int | None) -> None:
    """Raises `Stale` when it is not the version that a change was meant for; None is any."""
    if expected is not None and there.version != expected:
        raise stale()


def _workspaces_of(resource: Resource) -> tuple[str, ...]:
    match resource:
        case Workspace(id=id):
            return (id,)
        case Member(workspace_id=id):
            return (id,)
        case VirtualKey(workspace_ids=ids):
            return ids
        case AdminKey() | Plan():
            return ()
