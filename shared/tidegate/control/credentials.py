"""Credentials of providers that a workspace brings: kept in the vault, and never shown."""

import re

from msgspec.structs import replace

from tidegate.control.authorization import find_workspace
from tidegate.control.control import Control, check_version
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.workspace import Credential, Workspace
from tidegate.errors import Conflict, InvalidRequest, NotFound
from tidegate.ports import Vault

MAX_CREDENTIALS = 50
MAX_VALUE = 4096

_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,60}_API_KEY")


async def put(
    control: Control, who: AdminKey, workspace_id: str, name: str, value: str, expected: int | None = None
) -> Workspace:
    """The workspace, whose calls use that key of its own within a minute. The value comes first: a flag without one
    would refuse its calls.

    Raises `InvalidRequest`, `Stale`, `Conflict` where there is no vault, `NotFound`, `AdminForbidden`.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name[:80]!r} is no provider's key: write it like OPENAI_API_KEY.", param="name")
    if not 0 < len(value) <= MAX_VALUE or not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidRequest(f"A key has 1 to {MAX_VALUE} characters and no blanks.", param="value")
    before = await find_workspace(control, who, workspace_id, "write")
    check_version(before, expected)
    others = tuple(each for each in before.credentials if each.name != name)
    if len(others) >= MAX_CREDENTIALS:
        raise InvalidRequest(f"A workspace has {MAX_CREDENTIALS} credentials at most.", param="name")
    vault = _vault(control)
    await vault.write(workspace_id, {**await vault.read(workspace_id), name: value})
    made = sorted((*others, Credential(name, control.clock())), key=lambda each: each.name)
    after = replace(before, credentials=tuple(made), version=before.version + 1)
    await control.change(who, "put_credential", before, after)
    return after


async def delete(
    control: Control, who: AdminKey, workspace_id: str, name: str, expected: int | None = None
) -> Workspace:
    """The workspace, whose calls use the gateway's key again within a minute.

    Raises `Stale`, `Conflict` where there is no vault, `NotFound`, `AdminForbidden`.
    """
    before = await find_workspace(control, who, workspace_id, "write")
    check_version(before, expected)
    if not before.owns(name):
        raise NotFound(f"The workspace has no credential {name[:80]!r}.", param="name")
    vault = _vault(control)
    left = tuple(each for each in before.credentials if each.name != name)
    after = replace(before, credentials=left, version=before.version + 1)
    await control.change(who, "delete_credential", before, after)
    kept = await vault.read(workspace_id)
    await vault.write(workspace_id, {each: value for each, value in kept.items() if each != name})
    return after


def _vault(control: Control) -> Vault:
    if control.vault is None:
        raise Conflict("This gateway keeps no credentials of workspaces: set TIDEGATE_WORKSPACE_SECRETS.")
    return control.vault
