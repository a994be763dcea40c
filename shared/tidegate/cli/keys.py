"""`python -m tidegate keys list | rotate | revoke`: the virtual keys of a workspace."""

import argparse

from tidegate.cli.connection import StorePorts
from tidegate.cli.output import CommandOutput, columns
from tidegate.cli.workspaces import Subparsers
from tidegate.control import keys, workspaces
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.views import to_json
from tidegate.domain.keys import is_usable
from tidegate.domain.record import iso_time
from tidegate.domain.workspace import VirtualKey


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `list`, `rotate` and `revoke`."""
    list_parser = commands.add_parser("list", parents=[common], help="list a workspace's keys")
    list_parser.set_defaults(command=list_keys)
    revoke = commands.add_parser("revoke", parents=[common], help="revoke a key in all its workspaces")
    revoke.add_argument("id", help="the key's id, key_…")
    revoke.set_defaults(command=revoke_key)
    rotate = commands.add_parser("rotate", parents=[common], help="give a key a new secret and show it once")
    rotate.add_argument("id", help="the key's id, key_…")
    rotate.add_argument("--overlap-hours", type=float, default=24.0, help="how long the old one is valid; default: 24")
    rotate.set_defaults(command=rotate_key)
    for parser in (list_parser, revoke, rotate):
        parser.add_argument("--workspace", metavar="ID", required=True, help="a workspace of the key")


async def list_keys(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """List a workspace's keys, without their secrets. Raises `NotFound`."""
    await workspaces.find_workspace(ports.control, COMMAND_LINE_ACTOR, options.workspace)
    virtual_keys, now = await ports.keys.list_keys(options.workspace), ports.clock()
    rows = [
        (key.id, f"{key.prefix}…" if key.prefix else "OIDC", _status(key, now), _expiry_text(key), key.name)
        for key in virtual_keys
    ]
    text = columns(("ID", "KEY", "STATUS", "EXPIRES", "NAME"), rows) if rows else "The workspace has no keys."
    return CommandOutput([to_json(key) for key in virtual_keys], text)


async def rotate_key(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Give the key a new secret. Raises `NotFound`, `InvalidRequest`, and `Conflict` for a revoked key."""
    before = await keys.find_key(ports.control, COMMAND_LINE_ACTOR, options.workspace, options.id)
    created = await keys.rotate_key(ports.control, COMMAND_LINE_ACTOR, before, options.overlap_hours * 3600)
    text = f"Key {created.key.id} has a new secret.\n\n    {created.secret}\n\nStore it now: it is not shown again."
    return CommandOutput({**to_json(created.key), "secret": created.secret}, text)


async def revoke_key(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Revoke a key in all of its workspaces. Raises `NotFound`."""
    before = await keys.find_key(ports.control, COMMAND_LINE_ACTOR, options.workspace, options.id)
    key = await keys.revoke_key(ports.control, COMMAND_LINE_ACTOR, before)
    return CommandOutput({"id": key.id, "status": key.status}, f"Key {key.id} is {key.status}.")


def _status(key: VirtualKey, now: float) -> str:
    return "expired" if key.status == "active" and not is_usable(key, now) else key.status


def _expiry_text(key: VirtualKey) -> str:
    return "never" if key.expires_at is None else iso_time(key.expires_at)
