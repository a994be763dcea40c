"""Virtual keys: their secrets are shown once, and are replaced with an overlap in which both open."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from tidegate.control.authorization import check_scope, check_workspaces, find_workspace, unknown_workspace
from tidegate.control.control import Control, check_version
from tidegate.control.validation import check_end, check_limits, check_name, check_page, id_for
from tidegate.domain import restrictions
from tidegate.domain.account import Scope, used
from tidegate.domain.identity import MAX_SUBJECT
from tidegate.domain.keys import (
    create_key_id,
    create_secret,
    hash_secret,
    is_subject,
    is_usable,
    shown_prefix,
    subject_key,
)
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.record import plain
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.errors import Conflict, InvalidRequest, KeyWithoutWorkspace, LimitBelowUsed, NotFound

MAX_WORKSPACES = 30
"""A key's change is one transaction, which takes a hundred items: two or three for each workspace."""

MAX_OVERLAP_SECONDS = 30 * 86400


class Made(NamedTuple):
    """A key, and its secret where it is new: nobody can show that again."""

    key: VirtualKey
    secret: str | None


async def create(control: Control, who: AdminKey, asked: VirtualKey, idempotency_key: str | None = None) -> Made:
    """A key with what `asked` says of workspaces, name, end and limits. Without a secret it was there already.

    Raises `KeyWithoutWorkspace`, `InvalidRequest`, `NotFound` for a workspace, `AlreadyExists`, `AdminForbidden`.
    """
    asked = await _checked(control, who, asked)
    secret = create_secret()
    made = replace(
        asked,
        id=id_for("key_", who.id, idempotency_key) if idempotency_key is not None else create_key_id(),
        hash=hash_secret(secret),
        prefix=shown_prefix(secret),
        created_at=control.clock(),
        version=1,
    )
    key, is_new = await control.create(who, made, _same)
    return Made(key, secret if is_new else None)


async def give(control: Control, who: AdminKey, asked: VirtualKey, issuer: str, subject: str) -> VirtualKey:
    """The same to an OIDC subject, whose access tokens are its secrets. It has one such key: revoke it for another.

    Raises what `create` raises.
    """
    if not issuer or not 0 < len(subject) <= MAX_SUBJECT:
        raise InvalidRequest(f"A subject has an issuer, and 1 to {MAX_SUBJECT} characters.", param="subject")
    asked = await _checked(control, who, asked)
    given = subject_key(issuer, subject, asked.workspace_ids)
    known = replace(asked, id=given.id, hash=given.hash, prefix="", name=asked.name or given.name)
    made = replace(known, created_at=control.clock(), version=1)
    return (await control.create(who, made, _same))[0]


async def find(control: Control, who: AdminKey, workspace_id: str, key_id: str) -> VirtualKey:
    """The workspace's key. Raises `NotFound` and `AdminForbidden`."""
    check_scope(who, "read")
    check_workspaces(who, (workspace_id,))
    key = await control.register.find(VirtualKey, key_id, workspace_id)
    if key is None:
        raise NotFound(f"The workspace has no key {key_id[:80]!r}.", param="key_id")
    return key


async def page(control: Control, who: AdminKey, workspace_id: str, after: str, limit: int) -> Sequence[VirtualKey]:
    """The workspace's keys by id, revoked ones too. Raises `InvalidRequest`, `NotFound`, `AdminForbidden`."""
    check_page(limit)
    await find_workspace(control, who, workspace_id)
    return await control.register.page(VirtualKey, after, limit, workspace_id)


async def update(
    control: Control, who: AdminKey, before: VirtualKey, after: VirtualKey, expected: int | None, *, force: bool = False
) -> VirtualKey:
    """The key as it is then: another name, end, default workspace, limits or restrictions. In force within a minute.

    Raises `Stale`, `InvalidRequest`, `AdminForbidden`, `NotFound`; `LimitBelowUsed` unless forced.
    """
    _check_write(who, before)
    check_version(before, expected)
    after = _restricted(after)
    if after == before:
        return before
    _check(control, after, is_new=after.expires_at != before.expires_at)
    if not force and after.limits != before.limits:
        await _check_used(control, before, after)
    after = replace(after, version=before.version + 1)
    await control.change(who, "update", before, after)
    return after


async def rotate(
    control: Control, who: AdminKey, before: VirtualKey, overlap_seconds: float, expected: int | None = None
) -> Made:
    """The same key with a new secret: the old one opens for `overlap_seconds` more, the one before that no longer.

    Raises `Stale`, `Conflict` for a key that opens nothing or has no secret, `InvalidRequest`, `AdminForbidden`,
    `NotFound`.
    """
    _check_write(who, before)
    check_version(before, expected)
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidRequest(f"An overlap has 0 to {MAX_OVERLAP_SECONDS} seconds.", param="overlap_seconds")
    now = control.clock()
    if is_subject(before):
        raise Conflict("The key is an OIDC subject's: its issuer gives out new tokens.")
    if not is_usable(before, now):
        raise Conflict("The key is revoked or expired: create another one.")
    secret = create_secret()
    overlaps = overlap_seconds > 0
    after = replace(
        before,
        hash=hash_secret(secret),
        prefix=shown_prefix(secret),
        previous_hash=before.hash if overlaps else None,
        previous_prefix=before.prefix if overlaps else None,
        previous_expires_at=now + overlap_seconds if overlaps else None,
        version=before.version + 1,
    )
    await control.change(who, "rotate", before, after)
    return Made(after, secret)


async def revoke(control: Control, who: AdminKey, before: VirtualKey, expected: int | None = None) -> VirtualKey:
    """The key, which opens nothing within a minute, in none of its workspaces, with none of its secrets.

    A subject's is deleted, so that the subject may be given another.
    Raises `Stale`, `AdminForbidden`, `NotFound`.
    """
    _check_write(who, before)
    check_version(before, expected)
    if before.status == "revoked":
        return before
    after = replace(before, status="revoked", version=before.version + 1)
    await control.change(who, "revoke", before, None if is_subject(before) else after)
    return after


async def _checked(control: Control, who: AdminKey, asked: VirtualKey) -> VirtualKey:
    """What may be created, with its restrictions as they are kept."""
    check_scope(who, "write")
    check_workspaces(who, asked.workspace_ids)
    asked = _restricted(asked)
    _check(control, asked)
    for workspace_id in asked.workspace_ids:
        if await control.register.find(Workspace, workspace_id) is None:
            raise unknown_workspace(workspace_id)
    return asked


def _check_write(who: AdminKey, key: VirtualKey) -> None:
    check_scope(who, "write")
    check_workspaces(who, key.workspace_ids)


def _restricted(key: VirtualKey) -> VirtualKey:
    """With its restrictions as they are compared, once they make sense."""
    return replace(
        key,
        endpoints=None if key.endpoints is None else restrictions.endpoints(list(key.endpoints)),
        networks=None if key.networks is None else restrictions.networks(list(key.networks)),
    )


def _check(control: Control, key: VirtualKey, *, is_new: bool = True) -> None:
    if not key.workspace_ids:
        raise KeyWithoutWorkspace("A key has at least one workspace: name it in workspace_ids.", param="workspace_ids")
    if len(key.workspace_ids) > MAX_WORKSPACES or len(set(key.workspace_ids)) < len(key.workspace_ids):
        raise InvalidRequest(f"A key has up to {MAX_WORKSPACES} workspaces, each once.", param="workspace_ids")
    if key.default_workspace_id is not None and key.default_workspace_id not in key.workspace_ids:
        raise InvalidRequest("The default workspace is not among the key's.", param="default_workspace_id")
    if is_new:
        check_end(key.expires_at, control.clock())
    check_name(key.name)
    check_limits(key.limits)


async def _check_used(control: Control, before: VirtualKey, after: VirtualKey) -> None:
    """Whether budgets that became smaller are not used already, as far as the key's account knows."""
    old = {budget.name: budget.most for budget in before.limits.budgets()}
    workspace = await control.register.find(Workspace, after.workspace_ids[0])
    account = await control.ledger.account(Scope("key", after.id, after.limits))
    for budget in after.limits.budgets():
        spent = used(account, budget.unit, budget.span, control.clock(), workspace.first_day if workspace else 1)
        if budget.most < old.get(budget.name, budget.most + 1) and spent > budget.most:
            text = plain(spent) if isinstance(spent, Decimal) else str(spent)
            raise LimitBelowUsed(
                f"{budget.name} of {budget.most} is less than the {text} used in this {budget.span}; "
                "force it, and calls are refused until that is over.",
                param=f"limits.{budget.name}",
            )


def _same(there: VirtualKey, asked: VirtualKey) -> bool:
    known = {name: getattr(there, name) for name in ("hash", "prefix", "created_at", "version")}
    return replace(asked, **known) == there
