"""What an operator manages, who may do so, and what is kept of every change."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from tidegate.domain.limits import NO_LIMITS, Limits
from tidegate.domain.workspace import KeyStatus, VirtualKey, Workspace
from tidegate.errors import AccountBusy, AlreadyExists, Stale
from tidegate.json import Json

AdminScope = Literal["read", "write"]
Role = Literal["reader", "admin"]


class Plan(Struct, frozen=True):
    """Limits under a name, which workspaces refer to. Their copies follow when it changes."""

    id: str
    name: str
    limits: Limits = NO_LIMITS
    created_at: float = 0.0
    version: int = 1


class AdminKey(Struct, frozen=True):
    """A bearer key of the control plane, known by the sha-256 of its secret. `workspace_ids` None are all of them."""

    id: str
    hash: str
    prefix: str
    scopes: tuple[AdminScope, ...]
    workspace_ids: tuple[str, ...] | None = None
    name: str = ""
    status: KeyStatus = "active"
    created_at: float = 0.0
    expires_at: float | None = None
    version: int = 1


class Member(Struct, frozen=True):
    """A person or a service account of a workspace: an e-mail address, or the subject of its tokens."""

    workspace_id: str
    subject: str
    role: Role = "reader"
    created_at: float = 0.0
    version: int = 1


Resource: TypeAlias = Plan | Workspace | VirtualKey | AdminKey | Member


class ResourceChange(NamedTuple):
    """Of one resource: made when there was none before, deleted when there is none after.

    It is refused where the resource is no longer of the version of `before`. With both alike it changes nothing, and
    is refused all the same: what another change relies on.
    """

    before: Resource | None
    after: Resource | None


class AuditEntry(Struct, frozen=True):
    """Who (an admin key's id) did what to which resource, e.g. "update" to "workspaces/ws_acme"; never a secret.

    `id` is a ULID, `at` UTC seconds, `workspace_ids` those whose own log has it too.
    """

    id: str
    at: float
    who: str
    action: str
    target: str
    workspace_ids: tuple[str, ...] = ()
    before: Mapping[str, Json] | None = None
    after: Mapping[str, Json] | None = None


def resource_name(resource: Resource) -> str:
    """By which a resource is found, within its workspace where it belongs to one."""
    return resource.subject if isinstance(resource, Member) else resource.id


def already_exists() -> AlreadyExists:
    return AlreadyExists("The id is taken.")


def stale_version() -> Stale:
    return Stale("It has been changed since: read it again, and change that.")


def account_busy() -> AccountBusy:
    """Of a workspace whose account cannot be opened anew."""
    return AccountBusy("Calls of the workspace are open: suspend it, and try again a minute after its last call.")
