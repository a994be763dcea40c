"""Virtual keys: their secrets are shown once, and are replaced with an overlap in which both open."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from tidegate.control.authorization import check_scope, check_workspace_access, find_workspace, workspace_not_found
from tidegate.control.control import Control, check_version
from tidegate.control.validation import check_expiry, check_limits, check_name, check_page, id_from_idempotency_key
from tidegate.domain import restrictions
from tidegate.domain.account import AccountScope, used_amount
from tidegate.domain.identity import MAX_SUBJECT
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
from tidegate.errors import Conflict, InvalidRequest, KeyWithoutWorkspace, LimitBelowUsed, NotFound

MAX_WORKSPACES = 30
"""A key's change is one transaction, which takes a hundred items: two or three for each workspace."""

MAX_OVERLAP_SECONDS = 30 * 86400


class CreatedKey(NamedTuple):
    """A key, and its secret where it is new: nobody can show that again."""

    key: VirtualKey
    secret: str | None


async def create_key(
    control: Control, actor: AdminKey, key: VirtualKey, idempotency_key: str | None = None
) -> CreatedKey:
    """A key with what `asked` says of workspaces, name, end and limits. Without a secret it was there already.

    Raises `KeyWithoutWorkspace`, `InvalidRequest`, `NotFound` for a workspace, `AlreadyExists`, `AdminForbidden`.
    """
    key = await _validate_new_key(control, actor, key)
    secret = create_secret()
    created_key = replace(
        key,
        id=id_from_idempotency_key("key_", actor.id, idempotency_key)
        if idempotency_key is not None
        else create_key_id(),
        hash=hash_secret(secret),
        prefix=display_prefix(secret),
        created_at=control.clock(),
        version=1,
    )
    stored_key, is_new = await control.create_or_find(actor, created_key, _is_same_key)
    return CreatedKey(stored_key, secret if is_new else None)


async def create_key_for_subject(
    control: Control, actor: AdminKey, key: VirtualKey, issuer: str, subject: str
) -> VirtualKey:
    """The same to an OIDC subject, whose access tokens are its secrets. It has one such key: revoke it for another.

    Raises what `create` raises.
    """
    if not issuer or not 0 < len(subject) <= MAX_SUBJECT:
        raise InvalidRequest(f"A subject has an issuer, and 1 to {MAX_SUBJECT} characters.", param="subject")
    key = await _validate_new_key(control, actor, key)
    subject_identity = subject_key(issuer, subject, key.workspace_ids)
    identified_key = replace(
        key, id=subject_identity.id, hash=subject_identity.hash, prefix="", name=key.name or subject_identity.name
    )
    created_key = replace(identified_key, created_at=control.clock(), version=1)
    return (await control.create_or_find(actor, created_key, _is_same_key))[0]


async def find_key(control: Control, actor: AdminKey, workspace_id: str, key_id: str) -> VirtualKey:
    """The workspace's key. Raises `NotFound` and `AdminForbidden`."""
    check_scope(actor, "read")
    check_workspace_access(actor, (workspace_id,))
    key = await control.resources.find(VirtualKey, key_id, workspace_id)
    if key is None:
        raise NotFound(f"The workspace has no key {key_id[:80]!r}.", param="key_id")
    return key


async def list_keys(
    control: Control, actor: AdminKey, workspace_id: str, after: str, limit: int
) -> Sequence[VirtualKey]:
    """The workspace's keys by id, revoked ones too. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`."""
    check_page(limit)
    await find_workspace(control, actor, workspace_id)
    return await control.resources.page(VirtualKey, after, limit, workspace_id)


async def update_key(
    control: Control,
    actor: AdminKey,
    before: VirtualKey,
    after: VirtualKey,
    expected_version: int | None,
    *,
    force: bool = False,
) -> VirtualKey:
    """The key as it is then: another name, end, default workspace, limits or restrictions. In force within a minute.

    Raises `Stale`, `InvalidRequest`, `AdminForbidden`, `NotFound`; `LimitBelowUsed` unless forced.
    """
    _check_write(actor, before)
    check_version(before, expected_version)
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
    control: Control, actor: AdminKey, before: VirtualKey, overlap_seconds: float, expected_version: int | None = None
) -> CreatedKey:
    """The same key with a new secret: the old one opens for `overlap_seconds` more, the one before that no longer.

    Raises `Stale`, `Conflict` for a key that opens nothing or has no secret, `InvalidRequest`, `AdminForbidden`,
    `NotFound`.
    """
    _check_write(actor, before)
    check_version(before, expected_version)
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidRequest(f"An overlap has 0 to {MAX_OVERLAP_SECONDS} seconds.", param="overlap_seconds")
    now = control.clock()
    if is_subject_key(before):
        raise Conflict("The key is an OIDC subject's: its issuer gives out new tokens.")
    if not is_usable(before, now):
        raise Conflict("The key is revoked or expired: create another one.")
    secret = create_secret()
    overlaps = overlap_seconds > 0
    after = replace(
        before,
        hash=hash_secret(secret),
        prefix=display_prefix(secret),
        previous_hash=before.hash if overlaps else None,
        previous_prefix=before.prefix if overlaps else None,
        previous_expires_at=now + overlap_seconds if overlaps else None,
        version=before.version + 1,
    )
    await control.apply_change(actor, "rotate", before, after)
    return CreatedKey(after, secret)


async def revoke_key(
    control: Control, actor: AdminKey, before: VirtualKey, expected_version: int | None = None
) -> VirtualKey:
    """The key, which opens nothing within a minute, in none of its workspaces, with none of its secrets.

    A subject's is deleted, so that the subject may be given another.
    Raises `Stale`, `AdminForbidden`, `NotFound`.
    """
    _check_write(actor, before)
    check_version(before, expected_version)
    if before.status == "revoked":
        return before
    after = replace(before, status="revoked", version=before.version + 1)
    await control.apply_change(actor, "revoke", before, None if is_subject_key(before) else after)
    return after


async def _validate_new_key(control: Control, actor: AdminKey, key: VirtualKey) -> VirtualKey:
    """What may be created, with its restrictions as they are kept."""
    check_scope(actor, "write")
    check_workspace_access(actor, key.workspace_ids)
    key = _normalise_restrictions(key)
    _check_fields(control, key)
    for workspace_id in key.workspace_ids:
        if await control.resources.find(Workspace, workspace_id) is None:
            raise workspace_not_found(workspace_id)
    return key


def _check_write(actor: AdminKey, key: VirtualKey) -> None:
    check_scope(actor, "write")
    check_workspace_access(actor, key.workspace_ids)


def _normalise_restrictions(key: VirtualKey) -> VirtualKey:
    """With its restrictions as they are compared, once they make sense."""
    return replace(
        key,
        endpoints=None if key.endpoints is None else restrictions.parse_endpoints(list(key.endpoints)),
        networks=None if key.networks is None else restrictions.parse_networks(list(key.networks)),
    )


def _check_fields(control: Control, key: VirtualKey, *, is_new: bool = True) -> None:
    if not key.workspace_ids:
        raise KeyWithoutWorkspace("A key has at least one workspace: name it in workspace_ids.", param="workspace_ids")
    if len(key.workspace_ids) > MAX_WORKSPACES or len(set(key.workspace_ids)) < len(key.workspace_ids):
        raise InvalidRequest(f"A key has up to {MAX_WORKSPACES} workspaces, each once.", param="workspace_ids")
    if key.default_workspace_id is not None and key.default_workspace_id not in key.workspace_ids:
        raise InvalidRequest("The default workspace is not among the key's.", param="default_workspace_id")
    if is_new:
        check_expiry(key.expires_at, control.clock())
    check_name(key.name)
    check_limits(key.limits)


async def _check_not_below_used(control: Control, before: VirtualKey, after: VirtualKey) -> None:
    """Whether budgets that became smaller are not used already, as far as the key's account knows."""
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
                "force it, and calls are refused until that is over.",
                param=f"limits.{budget.name}",
            )


def _is_same_key(existing: VirtualKey, requested: VirtualKey) -> bool:
    assigned_fields = {name: getattr(existing, name) for name in ("hash", "prefix", "created_at", "version")}
    return replace(requested, **assigned_fields) == existing
