"""The operator's resources: plans, admin keys, members, and the audit log of changes."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from tidegate.domain.limits import NO_LIMITS, Limits
from tidegate.domain.workspace import KeyStatus, VirtualKey, Workspace
from tidegate.errors import AccountBusy, AlreadyExists, Stale
from tidegate.json import Json

AdminScope = Literal["read", "write", "content"]
"""`content`: the key may read prompts and answers, where traces keep them."""

Role = Literal["reader", "admin"]


class Plan(Struct, frozen=True):
    """A tariff: named limits that workspaces refer to. A change is copied to all of them."""

    id: str
    name: str
    limits: Limits = NO_LIMITS
    created_at: float = 0.0
    version: int = 1


class AdminKey(Struct, frozen=True):
    """A bearer key of the control plane, stored as the sha-256 of its secret. `workspace_ids` None allows all."""

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
    """A person or service account of a workspace; `subject` is an e-mail address or the subject of its tokens."""

    workspace_id: str
    subject: str
    role: Role = "reader"
    created_at: float = 0.0
    version: int = 1


Resource: TypeAlias = Plan | Workspace | VirtualKey | AdminKey | Member


class ResourceChange(NamedTuple):
    """A conditional change of one resource: a creation if `before` is None, a deletion if `after` is None.

    It fails if the stored version is not that of `before`. If both are equal, it only checks the version: use this for
    a resource on which another change relies.
    """

    before: Resource | None
    after: Resource | None


class AuditEntry(Struct, frozen=True):
    """One change, for example "update" of "workspaces/ws_acme" by an admin key (`who` is its id); never a secret.

    `id` is a ULID, `at` UTC seconds. The entry is also in the logs of the workspaces in `workspace_ids`.
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
    """The id of a resource, or the subject of a member, which is unique within its workspace."""
    return resource.subject if isinstance(resource, Member) else resource.id


def already_exists() -> AlreadyExists:
    return AlreadyExists("This id already exists: choose another one.")


def stale_version() -> Stale:
    return Stale("The resource has changed since you read it: read it again and repeat the change.")


def account_busy() -> AccountBusy:
    """The error for a workspace whose account cannot be reopened yet."""
    return AccountBusy("The workspace has running calls: suspend it, and retry a minute after its last call.")
