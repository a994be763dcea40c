"""Virtual keys. A secret is shown once; after a rotation the old and the new secret are both valid for a while."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from tidegate.control.authorization import check_scope, check_workspace_access, find_workspace, workspace_not_found
from tidegate.control.control import Control, check_version
from tidegate.control.validation import (
    check_expiry,
    check_limits,
    check_name,
    check_page,
    check_trace_sample,
    id_from_idempotency_key,
)
from tidegate.domain import restrictions
from tidegate.domain.account import AccountScope, used_amount
from tidegate.domain.identity import MAX_SUBJECT, subject_id
from tidegate.domain.keys import (
    create_key_id,
    create_secret,
    display_prefix,
    hash_secret,
    is_subject_key,
    is_usable,
    subject_key,
)
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.record import plain_decimal
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import (
    AdminForbidden,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    KeyWithoutWorkspace,
    LimitBelowUsed,
    NotFound,
)

MAX_WORKSPACES = 30
"""A key is changed in one DynamoDB transaction of at most 100 items, with two or three items for each workspace."""

MAX_OVERLAP_SECONDS = 30 * 86400

_ASSIGNED_FIELDS = ("hash", "prefix", "created_at", "traces_since", "version")


class CreatedKey(NamedTuple):
    """A key and its secret. The secret is None for a key that existed already: only its hash is stored."""

    key: VirtualKey
    secret: str | None


async def create_key(
    control: Control, actor: AdminKey, key: VirtualKey, idempotency_key: str | None = None
) -> CreatedKey:
    """Create a key like `key`, with a new secret. Raises `KeyWithoutWorkspace`, and `AlreadyExists` if it differs."""
    key = await _validate_new_key(control, actor, key)
    secret = create_secret()
    id = create_key_id() if idempotency_key is None else id_from_idempotency_key("key_", actor.id, idempotency_key)
    key_hash, prefix = hash_secret(secret), display_prefix(secret)
    created_key = replace(key, id=id, hash=key_hash, prefix=prefix, created_at=control.clock(), version=1)
    stored_key, is_new = await control.create_or_find(actor, created_key, _is_same_key)
    return CreatedKey(stored_key, secret if is_new else None)


async def create_key_for_subject(
    control: Control, actor: AdminKey, key: VirtualKey, issuer: str, subject: str
) -> tuple[VirtualKey, bool]:
    """Grant workspaces to an OIDC subject, by a key without a secret; True if it is new.

    A subject has at most one grant for a workspace, whatever it has for others. Raises the errors of `create_key`.
    """
    if not issuer or not 0 < len(subject) <= MAX_SUBJECT:
        raise InvalidRequest(f"Give an issuer, and a subject of 1 to {MAX_SUBJECT} characters.", param="subject")
    if control.issuer not in (None, issuer):
        message = (
            f"Access tokens of this issuer are not accepted here: it must be {control.issuer!r}, as in the tokens."
        )
        raise InvalidRequest(message, param="issuer")
    key = await _validate_new_key(control, actor, key)
    identity = subject_key(issuer, subject, key.workspace_ids)
    identified_key = replace(key, id=identity.id, hash=identity.hash, prefix="", name=key.name or identity.name)
    created_key = replace(identified_key, created_at=control.clock(), version=1)
    for workspace_id in key.workspace_ids:
        grant = await control.resources.find(VirtualKey, subject_id(identity.hash), workspace_id)
        if grant is not None:  # from the time when a subject had one grant in the whole gateway
            return _same_or_conflict(grant, replace(created_key, id=grant.id)), False
    try:
        return await control.create_or_find(actor, created_key, _is_same_key)
    except AlreadyExists:
        raise _other_grant() from None


def _same_or_conflict(existing: VirtualKey, requested: VirtualKey) -> VirtualKey:
    if not _is_same_key(existing, requested):
        raise _other_grant()
    return existing


def _other_grant() -> AlreadyExists:
    message = "The subject has another grant for one of these workspaces, which was not changed: revoke it first."
    return AlreadyExists(message, param="subject")


async def find_key(control: Control, actor: AdminKey, workspace_id: str, key_id: str) -> VirtualKey:
    """Return a key of the workspace. Raises `NotFound` and `AdminForbidden`."""
    check_scope(actor, "read")
    check_workspace_access(actor, (workspace_id,))
    key = await control.resources.find(VirtualKey, key_id, workspace_id)
    if key is None:
        raise NotFound(f"The workspace has no key {key_id[:80]!r}.", param="key_id")
    return key


async def list_keys(
    control: Control, actor: AdminKey, workspace_id: str, after: str, limit: int
) -> Sequence[VirtualKey]:
    """List the workspace's keys by id, revoked keys included. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`."""
    check_page(limit)
    await find_workspace(control, actor, workspace_id)
    return await control.resources.page(VirtualKey, after, limit, workspace_id)


async def update_key(
    control: Control,
    actor: AdminKey,
    before: VirtualKey,
    after: VirtualKey,
    version: int | None,
    *,
    force: bool = False,
) -> VirtualKey:
    """Change the key in all of its workspaces, within a minute. Raises `Stale`; `LimitBelowUsed` unless forced."""
    _check_write(actor, before)
    check_version(before, version)
    after = _normalise_restrictions(after)
    if after == before:
        return before
    _check_fields(control, after, is_new=after.expires_at != before.expires_at)
    if not force and after.limits != before.limits:
        await _check_not_below_used(control, before, after)
    after = replace(after, version=before.version + 1)
    await control.apply_change(actor, "update", before, after)
    return after


async def rotate_key(
    control: Control, actor: AdminKey, before: VirtualKey, overlap_seconds: float, version: int | None = None
) -> CreatedKey:
    """Give the key a new secret. The old one stays valid for `overlap_seconds`; an older one ends at once.

    If `actor` may not read content, the key's traces until the end of the overlap are not for who has the new secret.
    Raises `Stale`, and `Conflict` for a key that is revoked, expired or a subject's.
    """
    _check_write(actor, before)
    check_version(before, version)
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidRequest(f"The overlap must be 0 to {MAX_OVERLAP_SECONDS} seconds.", param="overlap_seconds")
    now = control.clock()
    if is_subject_key(before):
        raise Conflict("The key of an OIDC subject has no secret: its issuer gives out new tokens.")
    if not is_usable(before, now):
        raise Conflict("The key is revoked or expired: create a new key.")
    secret = create_secret()
    overlaps, may_read_traces = overlap_seconds > 0, "content" in actor.scopes
    after = replace(
        before,
        hash=hash_secret(secret),
        prefix=display_prefix(secret),
        previous_hash=before.hash if overlaps else None,
        previous_prefix=before.prefix if overlaps else None,
        previous_expires_at=now + overlap_seconds if overlaps else None,
        traces_since=before.traces_since if may_read_traces else now + overlap_seconds,
        version=before.version + 1,
    )
    await control.apply_change(actor, "rotate", before, after)
    return CreatedKey(after, secret)


async def revoke_key(control: Control, actor: AdminKey, before: VirtualKey, version: int | None = None) -> VirtualKey:
    """Revoke the key with all of its secrets, in all of its workspaces, within a minute.

    A subject's key is deleted, so that the subject can get a new one. Raises `Stale`.
    """
    _check_write(actor, before)
    check_version(before, version)
    if before.status == "revoked":
        return before
    after = replace(before, status="revoked", version=before.version + 1)
    await control.apply_change(actor, "revoke", before, None if is_subject_key(before) else after)
    return after


async def _validate_new_key(control: Control, actor: AdminKey, key: VirtualKey) -> VirtualKey:
    """Check that `actor` may create the key. Returns it with its restrictions in their stored form."""
    check_scope(actor, "write")
    check_workspace_access(actor, key.workspace_ids)
    key = _normalise_restrictions(key)
    _check_fields(control, key)
    for workspace_id in key.workspace_ids:
        if await control.resources.find(Workspace, workspace_id) is None:
            raise workspace_not_found(workspace_id)
    return key


def _check_write(actor: AdminKey, key: VirtualKey) -> None:
    """Raises `AdminForbidden` for a key that also has workspaces of others; the message must not name them."""
    check_scope(actor, "write")
    if actor.workspace_ids is not None and not set(key.workspace_ids) <= set(actor.workspace_ids):
        raise AdminForbidden("The key is shared with other workspaces: only an admin key of all of them may change it.")


def _normalise_restrictions(key: VirtualKey) -> VirtualKey:
    """Return the key with its restrictions in their stored form. Raises `InvalidRequest`."""
    return replace(
        key,
        endpoints=None if key.endpoints is None else restrictions.parse_endpoints(list(key.endpoints)),
        networks=None if key.networks is None else restrictions.parse_networks(list(key.networks)),
    )


def _check_fields(control: Control, key: VirtualKey, *, is_new: bool = True) -> None:
    if not key.workspace_ids:
        raise KeyWithoutWorkspace("A key needs a workspace: name it in workspace_ids.", param="workspace_ids")
    if len(key.workspace_ids) > MAX_WORKSPACES or len(set(key.workspace_ids)) < len(key.workspace_ids):
        raise InvalidRequest(f"Name at most {MAX_WORKSPACES} workspaces, and each only once.", param="workspace_ids")
    if key.default_workspace_id is not None and key.default_workspace_id not in key.workspace_ids:
        raise InvalidRequest("The default workspace must be one of the key's workspaces.", param="default_workspace_id")
    if is_new:
        check_expiry(key.expires_at, control.clock())
    check_name(key.name)
    check_limits(key.limits)
    check_trace_sample(key.trace_sample)


async def _check_not_below_used(control: Control, before: VirtualKey, after: VirtualKey) -> None:
    """Raises `LimitBelowUsed` if a lowered budget is below the amount that the key's account has counted."""
    limits_before = {budget.name: budget.maximum for budget in before.limits.budgets()}
    workspace = await control.resources.find(Workspace, after.workspace_ids[0])
    account = await control.ledger.account(AccountScope("key", after.id, after.limits))
    for budget in after.limits.budgets():
        first_day = workspace.first_day if workspace else 1
        used = used_amount(account, budget.unit, budget.span, control.clock(), first_day)
        if budget.maximum < limits_before.get(budget.name, budget.maximum + 1) and used > budget.maximum:
            text = plain_decimal(used) if isinstance(used, Decimal) else str(used)
            raise LimitBelowUsed(
                f"{budget.name} of {budget.maximum} is less than the {text} used in this {budget.span}; "
                "force the change to refuse calls until that period ends.",
                param=f"limits.{budget.name}",
            )


def _is_same_key(existing: VirtualKey, requested: VirtualKey) -> bool:
    assigned_fields = {name: getattr(existing, name) for name in _ASSIGNED_FIELDS}
    return replace(requested, **assigned_fields) == existing
