"""Credentials of providers that a workspace brings: kept in the vault, and never shown."""

import re

from msgspec.structs import replace

from tidegate.control.authorization import find_workspace
from tidegate.control.control import Control, check_version
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.workspace import Workspace, WorkspaceCredential
from tidegate.errors import Conflict, InvalidRequest, NotFound
from tidegate.ports import Vault

MAX_CREDENTIALS = 50
MAX_VALUE_CHARACTERS = 4096

_CREDENTIAL_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,60}_API_KEY")


async def put_credential(
    control: Control, actor: AdminKey, workspace_id: str, name: str, value: str, expected_version: int | None = None
) -> Workspace:
    """The workspace, whose calls use that key of its own within a minute. The value comes first: a flag without one
    would refuse its calls.

    Raises `InvalidRequest`, `Stale`, `Conflict` where there is no vault, `NotFound`, `AdminForbidden`.
    """
    if not _CREDENTIAL_NAME.fullmatch(name):
        raise InvalidRequest(f"{name[:80]!r} is no provider's key: write it like OPENAI_API_KEY.", param="name")
    if not 0 < len(value) <= MAX_VALUE_CHARACTERS or not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidRequest(f"A key has 1 to {MAX_VALUE_CHARACTERS} characters and no blanks.", param="value")
    before = await find_workspace(control, actor, workspace_id, "write")
    check_version(before, expected_version)
    others = tuple(each for each in before.credentials if each.name != name)
    if len(others) >= MAX_CREDENTIALS:
        raise InvalidRequest(f"A workspace has {MAX_CREDENTIALS} credentials at most.", param="name")
    vault = _require_vault(control)
    await vault.write(workspace_id, {**await vault.read(workspace_id), name: value})
    credentials = sorted((*others, WorkspaceCredential(name, control.clock())), key=lambda each: each.name)
    after = replace(before, credentials=tuple(credentials), version=before.version + 1)
    await control.apply_change(actor, "put_credential", before, after)
    return after


async def delete_credential(
    control: Control, actor: AdminKey, workspace_id: str, name: str, expected_version: int | None = None
) -> Workspace:
    """The workspace, whose calls use the gateway's key again within a minute.

    Raises `Stale`, `Conflict` where there is no vault, `NotFound`, `AdminForbidden`.
    """
    before = await find_workspace(control, actor, workspace_id, "write")
    check_version(before, expected_version)
    if not before.has_credential(name):
        raise NotFound(f"The workspace has no credential {name[:80]!r}.", param="name")
    vault = _require_vault(control)
    remaining = tuple(each for each in before.credentials if each.name != name)
    after = replace(before, credentials=remaining, version=before.version + 1)
    await control.apply_change(actor, "delete_credential", before, after)
    secrets = await vault.read(workspace_id)
    await vault.write(workspace_id, {each: value for each, value in secrets.items() if each != name})
    return after


def _require_vault(control: Control) -> Vault:
    if control.vault is None:
        raise Conflict("This gateway keeps no credentials of workspaces: set TIDEGATE_WORKSPACE_SECRETS.")
    return control.vault
