"""`python -m tidegate workspaces delete | destroy-traces`: delete a workspace, or the content of its calls."""

import argparse

from tidegate.cli.connection import StorePorts
from tidegate.cli.output import CommandOutput
from tidegate.cli.workspaces import Subparsers
from tidegate.control import traces, workspace_deletion
from tidegate.control.authorization import COMMAND_LINE_ACTOR


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `delete` and `destroy-traces`."""
    help_text = (
        "delete a workspace with its keys, members, provider keys, files, batches and traces; its records are kept"
    )
    delete = commands.add_parser("delete", parents=[common], help=help_text)
    delete.add_argument("id", help="the workspace's id")
    delete.add_argument(
        "--force", action="store_true", help="also if keys can be used, batches are open or calls are running"
    )
    delete.set_defaults(command=delete_workspace)
    destroy_help = "destroy the key that encrypts a workspace's traces: those that exist are unreadable at once"
    destroy = commands.add_parser("destroy-traces", parents=[common], help=destroy_help)
    destroy.add_argument("id", help="the workspace's id")
    destroy.set_defaults(command=destroy_traces)


async def delete_workspace(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Delete the workspace. Raises `NotFound`; unless forced, `Conflict` for usable keys, open batches and calls."""
    force: bool = options.force
    workspace = await workspace_deletion.delete_workspace(ports.control, COMMAND_LINE_ACTOR, options.id, force=force)
    text = f"Workspace {workspace.id} is deleted, with its keys, members and batches. Its usage and records are kept."
    return CommandOutput({"id": workspace.id}, text)


async def destroy_traces(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Make the workspace's traces unreadable. Raises `NotFound`."""
    workspace_id: str = options.id
    await traces.destroy_traces(ports.control, COMMAND_LINE_ACTOR, workspace_id)
    text = f"The key of the traces of {workspace_id} is destroyed: nobody can read them. The next trace gets a new key."
    return CommandOutput({"id": workspace_id}, text)
