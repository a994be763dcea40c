"""The ports that only the control plane uses, apart so that a cold start of the data plane does not load them."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from tidegate.domain.deployment import CoolingTarget, ProviderConfig
from tidegate.domain.managed_resources import AuditEntry, Resource, ResourceChange
from tidegate.domain.workspace import Workspace

R = TypeVar("R", bound=Resource)


class Resources(Protocol):
    """The store of the resources that the control plane manages, and of its audit log. All raise `StoreUnavailable`.

    Keys and members belong to workspaces: name the workspace as `workspace_id`, as in
    `await resources.find(VirtualKey, "key_1", "ws_1")`.
    """

    async def change(
        self, changes: Sequence[ResourceChange], entry: AuditEntry, reopened: Sequence[Workspace] = ()
    ) -> None:
        """Make all of the changes and write the audit entry, in one transaction of at most 100 items.

        Also closes the accounts of `reopened`: the next call opens them with the amounts that the counters have.
        Raises `AlreadyExists`, `Stale`, and `AccountBusy` if a call holds a reservation on one of these accounts.
        """
        ...

    async def find(self, resource_type: type[R], name: str, workspace_id: str = "") -> R | None:
        """Return the resource with this id; the name of a member is its subject."""
        ...

    async def page(
        self, resource_type: type[R], after: str = "", limit: int = 100, workspace_id: str = ""
    ) -> Sequence[R]:
        """List resources of a type in the order of their names, from the first name after `after`."""
        ...

    async def entries(self, workspace_id: str | None, before: str | None, limit: int) -> Sequence[AuditEntry]:
        """List audit entries of a workspace, or all, the newest first: those older than the entry `before`."""
        ...


class TraceReader(Protocol):
    """Reads and destroys the traces of calls. All raise `StoreUnavailable`."""

    async def find(self, workspace_id: str, call_id: str, /) -> bytes | None:
        """Return the call's trace; None if it has expired, is lost, or the workspace's key has been destroyed."""
        ...

    async def destroy_key(self, workspace_id: str) -> None:
        """Destroy the key of the workspace's traces: those that exist are unreadable from then on."""
        ...

    async def delete_all(self, workspace_id: str) -> None:
        """Delete the workspace's traces and their key. May be repeated after a failure."""
        ...


class ProviderStates(Protocol):
    """The state of providers, as the data plane in this process knows it, or as it is stored."""

    @property
    def configs(self) -> Mapping[str, ProviderConfig] | None:
        """The operator's configuration of every provider, by its name; None in a process without a data plane."""
        ...

    async def cooling_targets(self, workspaces: Sequence[Workspace]) -> Sequence[CoolingTarget]:
        """Return the cooling targets of the workspaces' and the operator's routes. Raises `StoreUnavailable`."""
        ...


class WorkspaceBatches(Protocol):
    """Files and batches of a workspace that is deleted. All raise `StoreUnavailable`."""

    async def open_batch_ids(self, workspace_id: str) -> Sequence[str]:
        """Return the ids of the workspace's batches that have not ended."""
        ...

    async def delete_all(self, workspace_id: str) -> None:
        """Delete the workspace's files, uploads and batches, also open ones. May be repeated after a failure."""
        ...
