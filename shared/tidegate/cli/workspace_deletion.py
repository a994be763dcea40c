"""`python -m tidegate workspaces delete`: delete a workspace with its keys and members."""

import argparse

from tidegate.cli.connection import StorePorts
from tidegate.cli.output import CommandOutput
from tidegate.cli.workspaces import Subparsers
from tidegate.control import workspace_deletion
from tidegate.control.authorization import COMMAND_LINE_ACTOR


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `delete`."""
    help_text = (
        "delete a workspace with its keys, members, provider keys, files and batches; usage and records are kept"
    )
    delete = commands.add_parser("delete", parents=[common], help=help_text)
    delete.add_argument("id", help="the workspace's id")
    delete.add_argument(
        "--force", action="store_true", help="also if keys can be used, batches are open or calls are running"
    )
    delete.set_defaults(command=delete_workspace)


async def delete_workspace(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Delete the workspace. Raises `NotFound`; unless forced, `Conflict` for usable keys, open batches and calls."""
    force: bool = options.force
    workspace = await workspace_deletion.delete_workspace(ports.control, COMMAND_LINE_ACTOR, options.id, force=force)
    text = f"Workspace {workspace.id} is deleted, with its keys, members and batches. Its usage and records are kept."
    return CommandOutput({"id": workspace.id}, text)
