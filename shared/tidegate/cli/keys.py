"""`python -m tidegate keys list | rotate | revoke`: bearer keys, as an operator manages them."""

import argparse

from tidegate.cli.connection import Ports
from tidegate.cli.output import Answer, columns
from tidegate.cli.workspaces import Verbs
from tidegate.control import keys, workspaces
from tidegate.control.authorization import COMMAND_LINE
from tidegate.control.views import shown
from tidegate.domain.keys import is_usable
from tidegate.domain.record import iso_time
from tidegate.domain.workspace import VirtualKey


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`list`, `rotate`, `revoke`."""
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
