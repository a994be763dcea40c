"""`python -m tidegate keys …`: bearer keys, as an operator manages them."""

import argparse

from tidegate.cli.limits import add_limits, with_limits
from tidegate.cli.moments import moment
from tidegate.cli.output import Answer, columns
from tidegate.cli.store import Ports
from tidegate.cli.workspaces import Verbs
from tidegate.control import keys, workspaces
from tidegate.control.access import COMMAND_LINE
from tidegate.control.shown import shown
from tidegate.domain.identity import MAX_SUBJECT
from tidegate.domain.keys import is_usable, subject_key
from tidegate.domain.limits import NO_LIMITS
from tidegate.domain.record import iso_time
from tidegate.domain.workspace import VirtualKey
from tidegate.errors import AlreadyExists, InvalidRequest


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
    add_limits(create)
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
    asked = _asked(options)
    if options.subject is not None:
        return await _give(ports, asked, options.issuer, options.subject)
    made = await keys.create(ports.control, COMMAND_LINE, asked)
    text = (
        f"Created key {made.key.id} for {', '.join(asked.workspace_ids)}.\n\n    {made.secret}\n\n"
        "It is not shown again: keep it now."
    )
    return Answer({**shown(made.key), "secret": made.secret}, text)


def _asked(options: argparse.Namespace) -> VirtualKey:
    """Faults in the words of the options; the control plane finds all others. Raises `InvalidRequest`."""
    if (options.subject is None) != (options.issuer is None):
        raise InvalidRequest("A subject is one of an issuer: --subject and --issuer go together.")
    if options.subject is not None and not 0 < len(options.subject) <= MAX_SUBJECT:
        raise InvalidRequest(f"A subject has 1 to {MAX_SUBJECT} characters.")
    workspace_ids: tuple[str, ...] = tuple(dict.fromkeys(options.workspaces))
    if len(workspace_ids) > keys.MAX_WORKSPACES:
        raise InvalidRequest(f"A key may have {keys.MAX_WORKSPACES} workspaces; these are {len(workspace_ids)}.")
    if options.default is not None and options.default not in workspace_ids:
        raise InvalidRequest(
            f"The default workspace {options.default!r} is not among the key's: add --workspace for it."
        )
    return VirtualKey(
        id="",
        hash="",
        prefix="",
        workspace_ids=workspace_ids,
        default_workspace_id=options.default,
        name=options.name,
        expires_at=options.expires,
        limits=with_limits(NO_LIMITS, options.limits),
        endpoints=None if options.endpoints is None else tuple(options.endpoints),
        networks=None if options.networks is None else tuple(options.networks),
    )


async def _give(ports: Ports, asked: VirtualKey, issuer: str, subject: str) -> Answer:
    try:
        key = await keys.give(ports.control, COMMAND_LINE, asked, issuer, subject)
    except AlreadyExists:
        id = subject_key(issuer, subject, asked.workspace_ids).id
        raise AlreadyExists(f"The subject has workspaces already: revoke {id!r} first.") from None
    return Answer(shown(key), f"The subject opens {', '.join(key.workspace_ids)} now, as {key.id}.")


async def list_keys(options: argparse.Namespace, ports: Ports) -> Answer:
    """A workspace's keys, without their secrets. Raises `NotFound`."""
    await workspaces.find(ports.control, COMMAND_LINE, options.workspace)
    found = await ports.keys.list_keys(options.workspace)
    rows = [
        (
            key.id,
            f"{key.prefix}…" if key.prefix else "OIDC",
            _status(key, ports.clock()),
            _time(key.expires_at) or "never",
            key.name,
        )
        for key in found
    ]
    text = columns(("ID", "KEY", "STATUS", "EXPIRES", "NAME"), rows) if rows else "The workspace has no keys."
    return Answer([shown(key) for key in found], text)


async def rotate_key(options: argparse.Namespace, ports: Ports) -> Answer:
    """The same key with a new secret. Raises `NotFound`, `InvalidRequest`, and `Conflict` for a key that is revoked."""
    before = await keys.find(ports.control, COMMAND_LINE, options.workspace, options.id)
    made = await keys.rotate(ports.control, COMMAND_LINE, before, options.overlap_hours * 3600)
    text = f"Key {made.key.id} has a new secret.\n\n    {made.secret}\n\nIt is not shown again: keep it now."
    return Answer({**shown(made.key), "secret": made.secret}, text)


async def revoke_key(options: argparse.Namespace, ports: Ports) -> Answer:
    """Revoke a key in all of its workspaces. Raises `NotFound`."""
    before = await keys.find(ports.control, COMMAND_LINE, options.workspace, options.id)
    made = await keys.revoke(ports.control, COMMAND_LINE, before)
    return Answer({"id": made.id, "status": made.status}, f"Key {made.id} is {made.status}.")


def _status(key: VirtualKey, now: float) -> str:
    return "expired" if key.status == "active" and not is_usable(key, now) else key.status


def _time(at: float | None) -> str | None:
    return None if at is None else iso_time(at)
