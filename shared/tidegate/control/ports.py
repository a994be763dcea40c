"""What the control plane needs from the world besides: a cold start of the data plane never loads it."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from tidegate.domain.managed_resources import AuditEntry, Resource, ResourceChange
from tidegate.domain.workspace import Workspace

R = TypeVar("R", bound=Resource)


class Resources(Protocol):
    """All that the control plane manages, with what was done to it. All raise `StoreUnavailable`.

    Keys and members are those of a workspace, and are looked for `within` it.
    """

    async def change(
        self, changes: Sequence[ResourceChange], entry: AuditEntry, reopened: Sequence[Workspace] = ()
    ) -> None:
        """All of the changes and their entry, or nothing, in one transaction of 100 items at most.

        The accounts of `reopened` are closed with it: the next call opens them, with what the counters say.
        Raises `AlreadyExists`, `Stale`, and `AccountBusy` while a call is open on one of those.
        """
        ...

    async def find(self, kind: type[R], name: str, within: str = "") -> R | None:
        """The resource of that id, or a member by its subject."""
        ...

    async def page(self, kind: type[R], after: str = "", limit: int = 100, within: str = "") -> Sequence[R]:
        """The first of them after that name, by name."""
        ...

    async def entries(self, workspace_id: str | None, before: str | None, limit: int) -> Sequence[AuditEntry]:
        """The newest first, of one workspace or of all, and older than the entry of that id."""
        ...
