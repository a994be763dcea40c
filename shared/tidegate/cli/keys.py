"""`python -m tidegate keys …`: bearer keys, as an operator manages them."""

import argparse
from dataclasses import replace

from tidegate.cli.moments import moment
from tidegate.cli.output import Answer, columns
from tidegate.cli.store import Ports
from tidegate.cli.workspaces import Verbs, find_workspace
from tidegate.control import keys
from tidegate.control.access import COMMAND_LINE
from tidegate.control.shown import shown
from tidegate.domain import restrictions
from tidegate.domain.identity import MAX_SUBJECT
from tidegate.domain.keys import create_key_id, create_secret, hash_secret, is_usable, shown_prefix, subject_key
from tidegate.domain.record import iso_time
from tidegate.domain.workspace import VirtualKey
from tidegate.errors import InvalidRequest, NotFound

MAX_WORKSPACES = 50
"""A key is written in one transaction, which takes a hundred items."""


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`create`, `list`, `rotate`, `revoke`."""
    create = verbs.add_parser("create", parents=[common], help="create a key, and show its secret once")
    create.add_argument(
        "--workspace",
        dest="workspaces",
        metavar="ID",
        action="append",
        required=True,
        help="may be given several times",
    )
    create.add_argument("--subject", help="give the workspaces to a subject of OIDC tokens instead: no secret is made")
    create.add_argument("--issuer", metavar="URL", help="who gives out the subject's tokens, as TIDEGATE_OIDC_ISSUER")
    create.add_argument("--default", metavar="ID", help="the workspace of calls that name none")
    create.add_argument("--name", default="", help="what people call the key")
    create.add_argument(
        "--endpoint",
        dest="endpoints",
        metavar="PATTERN",
        action="append",
        help="a path that it may be used for, like '/v1/chat/*'; may be given several times; default: any",
    )
    create.add_argument(
        "--network",
        dest="networks",
        metavar="CIDR",
        action="append",
        help="where it may be used from, like 203.0.113.0/24; may be given several times; default: anywhere",
    )
    create.add_argument("--expires", metavar="DATE", type=moment, help="ISO 8601, UTC unless it says otherwise")
    create.set_defaults(command=create_key)
    listing = verbs.add_parser("list", parents=[common], help="list a workspace's keys")
    listing.set_defaults(command=list_keys)
    revoke = verbs.add_parser("revoke", parents=[common], help="refuse a key everywhere, within a minute")
    revoke.add_argument("id", help="the key's id, key_…")
    revoke.set_defaults(command=revoke_key)
    rotate = verbs.add_parser("rotate", parents=[common], help="give a key a new secret, and show it once")
    rotate.add_argument("id", help="the key's id, key_…")
    rotate.add_argument("--overlap-hours", type=float, default=24.0, help="how long the old one opens; default: 24")
    rotate.set_defaults(command=rotate_key)
    for parser in (listing, revoke, rotate):
        parser.add_argument("--workspace", metavar="ID", required=True, help="a workspace of the key")


async def create_key(options: argparse.Namespace, ports: Ports) -> Answer:
    """A new key and its secret, which is nowhere else; an OIDC subject's has none.

    Raises `InvalidRequest`, and `NotFound` for a workspace.
    """
    if (options.subject is None) != (options.issuer is None):
        raise InvalidRequest("A subject is one of an issuer: --subject and --issuer go together.")
    if options.subject is not None and not 0 < len(options.subject) <= MAX_SUBJECT:
        raise InvalidRequest(f"A subject has 1 to {MAX_SUBJECT} characters.")
    workspace_ids: tuple[str, ...] = tuple(dict.fromkeys(options.workspaces))
    if len(workspace_ids) > MAX_WORKSPACES:
        raise InvalidRequest(f"A key may have {MAX_WORKSPACES} workspaces; these are {len(workspace_ids)}.")
    if options.default is not None and options.default not in workspace_ids:
        raise InvalidRequest(
            f"The default workspace {options.default!r} is not among the key's: add --workspace for it."
        )
    if options.expires is not None and options.expires <= ports.clock():
        raise InvalidRequest(f"The key would have expired at {iso_time(options.expires)} already.")
    endpoints = None if options.endpoints is None else restrictions.endpoints(options.endpoints)
    networks = None if options.networks is None else restrictions.networks(options.networks)
    for workspace_id in workspace_ids:
        await find_workspace(ports, workspace_id)
    secret = create_secret()
    key = VirtualKey(
        id=create_key_id(),
        hash=hash_secret(secret),
        prefix=shown_prefix(secret),
        workspace_ids=workspace_ids,
        default_workspace_id=options.default,
        name=options.name,
        created_at=ports.clock(),
        expires_at=options.expires,
        endpoints=endpoints,
        networks=networks,
    )
    if options.subject is not None:
        return await _give(ports, key, options.issuer, options.subject)
    if not await ports.keys.put_key(key):
        raise InvalidRequest("The key's id is taken: try again.")
    text = (
        f"Created key {key.id} for {', '.join(workspace_ids)}.\n\n    {secret}\n\nIt is not shown again: keep it now."
    )
    return Answer({**_fields(key), "secret": secret}, text)


async def _give(ports: Ports, asked: VirtualKey, issuer: str, subject: str) -> Answer:
    given = subject_key(issuer, subject, asked.workspace_ids)
    key = replace(asked, id=given.id, hash=given.hash, prefix="", name=asked.name or given.name)
    if not await ports.keys.put_key(key):
        raise InvalidRequest(f"The subject has workspaces already: revoke {key.id!r} first.")
    return Answer(_fields(key), f"The subject opens {', '.join(key.workspace_ids)} now, as {key.id}.")


async def list_keys(options: argparse.Namespace, ports: Ports) -> Answer:
    """A workspace's keys, without their secrets. Raises `NotFound`."""
    await find_workspace(ports, options.workspace)
    keys = await ports.keys.list_keys(options.workspace)
    rows = [
        (
            key.id,
            f"{key.prefix}…" if key.prefix else "OIDC",
            _status(key, ports.clock()),
            _time(key.expires_at) or "never",
            key.name,
        )
        for key in keys
    ]
    text = columns(("ID", "KEY", "STATUS", "EXPIRES", "NAME"), rows) if rows else "The workspace has no keys."
    return Answer([_fields(key) for key in keys], text)


async def rotate_key(options: argparse.Namespace, ports: Ports) -> Answer:
    """The same key with a new secret. Raises `NotFound`, `InvalidRequest`, and `Conflict` for a key that is revoked."""
    before = await keys.find(ports.control, COMMAND_LINE, options.workspace, options.id)
    made = await keys.rotate(ports.control, COMMAND_LINE, before, options.overlap_hours * 3600)
    text = f"Key {made.key.id} has a new secret.\n\n    {made.secret}\n\nIt is not shown again: keep it now."
    return Answer({**shown(made.key), "secret": made.secret}, text)


async def revoke_key(options: argparse.Namespace, ports: Ports) -> Answer:
    """Revoke a key in all of its workspaces. Raises `NotFound`."""
    if not await ports.keys.revoke_key(options.workspace, options.id):
        raise NotFound(f"The workspace {options.workspace!r} has no key {options.id!r}; `keys list` shows them.")
    return Answer({"id": options.id, "status": "revoked"}, f"Key {options.id} is revoked.")


def _fields(key: VirtualKey) -> dict[str, object]:
    return {
        "id": key.id,
        "prefix": key.prefix,
        "name": key.name,
        "status": key.status,
        "workspace_ids": list(key.workspace_ids),
        "default_workspace_id": key.default_workspace_id,
        "created_at": iso_time(key.created_at),
        "expires_at": _time(key.expires_at),
        "endpoints": None if key.endpoints is None else list(key.endpoints),
        "networks": None if key.networks is None else list(key.networks),
    }


def _status(key: VirtualKey, now: float) -> str:
    return "expired" if key.status == "active" and not is_usable(key, now) else key.status


def _time(at: float | None) -> str | None:
    return None if at is None else iso_time(at)
