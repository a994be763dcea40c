"""`python -m tidegate admin-keys …`: keys of the admin API. Only this command can create the first one."""

import argparse
from typing import get_args

from tidegate.cli.connection import StorePorts
from tidegate.cli.dates import parse_time
from tidegate.cli.output import CommandOutput, columns
from tidegate.cli.workspaces import Subparsers
from tidegate.control import admins
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.views import to_json
from tidegate.domain.managed_resources import AdminKey, AdminScope

PAGE_SIZE = 100


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `create`, `list` and `revoke`."""
    create = commands.add_parser("create", parents=[common], help="create an admin key and show its secret once")
    create.add_argument("--name", default="", help="a display name")
    rights = create.add_mutually_exclusive_group()
    rights.add_argument("--read-only", action="store_true", help="the key may read, but not change anything")
    rights.add_argument(
        "--scope",
        dest="scopes",
        choices=get_args(AdminScope),
        action="append",
        help="what the key may do, repeatable; content: read prompts and answers of traces. Default: read and write",
    )
    create.add_argument(
        "--workspace", dest="workspaces", metavar="ID", action="append", help="repeatable; default: all"
    )
    create.add_argument("--expires", metavar="DATE", type=parse_time, help="the expiry: ISO 8601, UTC by default")
    create.set_defaults(command=create_admin)
    commands.add_parser("list", parents=[common], help="list admin keys").set_defaults(command=list_admins)
    revoke = commands.add_parser("revoke", parents=[common], help="revoke an admin key at once")
    revoke.add_argument("id", help="the key's id, adm_…")
    revoke.set_defaults(command=revoke_admin)


async def create_admin(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Create an admin key and print its secret, which is not stored. Raises `InvalidRequest` and `NotFound`."""
    requested = AdminKey(
        id="",
        hash="",
        prefix="",
        scopes=("read",) if options.read_only else tuple(dict.fromkeys(options.scopes or ("read", "write"))),
        workspace_ids=tuple(dict.fromkeys(options.workspaces)) if options.workspaces else None,
        name=options.name,
        expires_at=options.expires,
    )
    admin_key, secret = await admins.create_admin_key(ports.control, COMMAND_LINE_ACTOR, requested)
    text = f"Created admin key {admin_key.id}.\n\n    {secret}\n\nStore it now: it is not shown again."
    return CommandOutput({**to_json(admin_key), "secret": secret}, text)


async def list_admins(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """List all admin keys, by id."""
    admin_keys: list[AdminKey] = []
    while page := await admins.list_admin_keys(
        ports.control, COMMAND_LINE_ACTOR, admin_keys[-1].id if admin_keys else "", PAGE_SIZE
    ):
        admin_keys += page
    rows = [
        (key.id, f"{key.prefix}…", key.status, ",".join(key.scopes), ",".join(key.workspace_ids or ("all",)), key.name)
        for key in admin_keys
    ]
    heads = ("ID", "KEY", "STATUS", "SCOPES", "WORKSPACES", "NAME")
    text = columns(heads, rows) if rows else "There are no admin keys."
    return CommandOutput([to_json(key) for key in admin_keys], text)


async def revoke_admin(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Revoke the admin key at once. Raises `NotFound`."""
    admin_key = await admins.revoke_admin_key(ports.control, COMMAND_LINE_ACTOR, options.id)
    return CommandOutput(to_json(admin_key), f"Admin key {admin_key.id} is revoked.")
