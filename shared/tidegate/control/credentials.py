"""Secrets that a workspace brings, which are stored in the vault and never shown again.

These are its provider keys, and the secret with which its webhooks are signed.
"""

import re

from msgspec.structs import replace

from tidegate.control.authorization import find_workspace
from tidegate.control.control import Control, check_version
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.webhook import WEBHOOK_SECRET, decode_secret
from tidegate.domain.workspace import Workspace, WorkspaceCredential
from tidegate.errors import Conflict, InvalidRequest, NotFound
from tidegate.ports import Vault

MAX_CREDENTIALS = 50
MAX_VALUE_CHARACTERS = 4096

_CREDENTIAL_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,60}_API_KEY")


async def put_credential(
    control: Control, actor: AdminKey, workspace_id: str, name: str, value: str, version: int | None = None
) -> Workspace:
    """Store a secret and return the workspace. Its calls use a provider key within a minute.

    The vault is written first: calls of a workspace that lists a credential without a value would fail.
    Raises `Stale`, and `Conflict` without a vault.
    """
    if name != WEBHOOK_SECRET and not _CREDENTIAL_NAME.fullmatch(name):
        message = f"{name[:80]!r} is not a valid name: write it like OPENAI_API_KEY, or {WEBHOOK_SECRET}."
        raise InvalidRequest(message, param="name")
    if name == WEBHOOK_SECRET:
        _check_webhook_secret(value)
    if not 0 < len(value) <= MAX_VALUE_CHARACTERS or not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidRequest(f"A key has 1 to {MAX_VALUE_CHARACTERS} characters, all ASCII, no spaces.", param="value")
    before = await find_workspace(control, actor, workspace_id, "write")
    check_version(before, version)
    others = tuple(each for each in before.credentials if each.name != name)
    if len(others) >= MAX_CREDENTIALS:
        raise InvalidRequest(f"A workspace has at most {MAX_CREDENTIALS} credentials: delete one first.", param="name")
    vault = _require_vault(control)
    await vault.update(workspace_id, lambda credentials: {**credentials, name: value})
    credentials = sorted((*others, WorkspaceCredential(name, control.clock())), key=lambda each: each.name)
    after = replace(before, credentials=tuple(credentials), version=before.version + 1)
    await control.apply_change(actor, "put_credential", before, after)
    return after


async def delete_credential(
    control: Control, actor: AdminKey, workspace_id: str, name: str, version: int | None = None
) -> Workspace:
    """Delete a provider key: calls use the gateway's within a minute. Raises `Stale`, `Conflict` without a vault."""
    before = await find_workspace(control, actor, workspace_id, "write")
    check_version(before, version)
    if not before.has_credential(name):
        raise NotFound(f"The workspace has no credential {name[:80]!r}.", param="name")
    vault = _require_vault(control)
    remaining = tuple(each for each in before.credentials if each.name != name)
    after = replace(before, credentials=remaining, version=before.version + 1)
    deleted_value = (await vault.read(workspace_id)).get(name)
    await control.apply_change(actor, "delete_credential", before, after)
    # A value that was put since then stays.
    await vault.update(
        workspace_id,
        lambda credentials: {
            each: value for each, value in credentials.items() if (each, value) != (name, deleted_value)
        },
    )
    return after


def _check_webhook_secret(value: str) -> None:
    try:
        decode_secret(value)
    except ValueError as error:
        raise InvalidRequest(f"The secret of webhooks {error}.", param="value") from None


def _require_vault(control: Control) -> Vault:
    if control.vault is None:
        raise Conflict("This gateway does not store credentials of workspaces: set TIDEGATE_WORKSPACE_SECRETS.")
    return control.vault
