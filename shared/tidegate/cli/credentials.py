"""`python -m tidegate workspaces credentials …`: provider keys that a workspace brings."""

import argparse
import sys
from getpass import getpass

from tidegate.cli.connection import StorePorts
from tidegate.cli.output import CommandOutput, columns, show_help
from tidegate.cli.workspaces import Subparsers
from tidegate.control import credentials, workspaces
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.views import to_json
from tidegate.domain.record import iso_time
from tidegate.domain.webhook import WEBHOOK_SECRET
from tidegate.errors import ConfigurationError


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `credentials list`, `credentials put` and `credentials remove`."""
    parser = commands.add_parser("credentials", help="list, store and remove a workspace's own provider keys")
    parser.set_defaults(run=show_help(parser))
    actions = parser.add_subparsers(metavar="command")
    list_parser = actions.add_parser("list", parents=[common], help="list the names of the stored keys")
    put = actions.add_parser("put", parents=[common], help="store a key, typed at a prompt or read from standard input")
    remove_help = "remove a key: calls use the gateway's key within a minute"
    remove = actions.add_parser("remove", parents=[common], help=remove_help)
    for each, command in ((list_parser, list_credentials), (put, put_credential), (remove, remove_credential)):
        each.add_argument("id", help="the workspace's id")
        each.set_defaults(command=command)
    for each in (put, remove):
        each.add_argument(
            "name", help="the setting that names the key, e.g. OPENAI_API_KEY; or TIDEGATE_WEBHOOK_SECRET"
        )


async def list_credentials(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """List the names of the credentials, never their values. Raises `NotFound`."""
    workspace = await workspaces.find_workspace(ports.control, COMMAND_LINE_ACTOR, options.id)
    rows = [(each.name, iso_time(each.changed_at)) for each in workspace.credentials]
    text = columns(("NAME", "CHANGED"), rows) if rows else "The workspace has no credentials of its own."
    return CommandOutput(to_json(workspace)["credentials"], text)


async def put_credential(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Store a credential. Its value is never shown. Raises `NotFound`, `InvalidRequest`, `ConfigurationError`."""
    _check_vault(ports)
    await workspaces.find_workspace(ports.control, COMMAND_LINE_ACTOR, options.id)
    value = _read_value(options.name)
    workspace = await credentials.put_credential(ports.control, COMMAND_LINE_ACTOR, options.id, options.name, value)
    text = f"Within a minute, calls of {workspace.id} use its own {options.name}."
    if options.name == WEBHOOK_SECRET:
        text = f"Webhooks of {workspace.id} are signed with it from now on."
    return CommandOutput(to_json(workspace), text)


async def remove_credential(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Remove a credential. Raises `NotFound` and `ConfigurationError`."""
    _check_vault(ports)
    workspace = await credentials.delete_credential(ports.control, COMMAND_LINE_ACTOR, options.id, options.name)
    text = f"Within a minute, calls of {workspace.id} use the gateway's {options.name}."
    if options.name == WEBHOOK_SECRET:
        text = f"No webhook of {workspace.id} is sent from now on: they must be signed."
    return CommandOutput(to_json(workspace), text)


def _read_value(name: str) -> str:
    """Read the value from a prompt or from standard input: arguments are visible in `ps` and the shell's history."""
    if not sys.stdin.isatty():
        return sys.stdin.read().strip()
    try:
        return getpass(f"{name}: ").strip()
    except EOFError:
        return ""


def _check_vault(ports: StorePorts) -> None:
    if ports.control.vault is None:
        raise ConfigurationError(
            "No store of credentials is configured: set TIDEGATE_WORKSPACE_SECRETS to the value of the stack. A local "
            "server keeps credentials in memory: use its admin API."
        )
