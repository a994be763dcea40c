"""`python -m tidegate workspaces credentials …`: providers' keys that a workspace brings."""

import argparse
import sys
from getpass import getpass

from tidegate.cli.connection import Ports
from tidegate.cli.output import Answer, columns
from tidegate.cli.workspaces import Verbs
from tidegate.control import credentials, workspaces
from tidegate.control.authorization import COMMAND_LINE
from tidegate.control.views import shown
from tidegate.domain.record import iso_time
from tidegate.errors import ConfigurationError


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`credentials list`, `credentials put`, `credentials remove`."""
    parser = verbs.add_parser("credentials", help="list, put and remove providers' keys of its own")
    inner = parser.add_subparsers(required=True, metavar="command")
    listing = inner.add_parser("list", parents=[common], help="list their names")
    put = inner.add_parser("put", parents=[common], help="keep a key: asked for, or read from standard input")
    remove = inner.add_parser("remove", parents=[common], help="use the gateway's key again, within a minute")
    for each, command in ((listing, list_credentials), (put, put_credential), (remove, remove_credential)):
        each.add_argument("id", help="the workspace's id")
        each.set_defaults(command=command)
    for each in (put, remove):
        each.add_argument("name", help="the name of the key's setting, like OPENAI_API_KEY")


async def list_credentials(options: argparse.Namespace, ports: Ports) -> Answer:
    """Names, never values. Raises `NotFound`."""
    workspace = await workspaces.find(ports.control, COMMAND_LINE, options.id)
    rows = [(each.name, iso_time(each.changed_at)) for each in workspace.credentials]
    text = columns(("NAME", "CHANGED"), rows) if rows else "The workspace has no credentials of its own."
    return Answer(shown(workspace)["credentials"], text)


async def put_credential(options: argparse.Namespace, ports: Ports) -> Answer:
    """Keep a value, which is shown nowhere. Raises `NotFound`, `InvalidRequest`, `ConfigurationError`."""
    _check_vault(ports)
    await workspaces.find(ports.control, COMMAND_LINE, options.id)
    value = _value(options.name)
    made = await credentials.put(ports.control, COMMAND_LINE, options.id, options.name, value)
    return Answer(shown(made), f"Calls of {made.id} use its own {options.name} within a minute.")


async def remove_credential(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound` and `ConfigurationError`."""
    _check_vault(ports)
    made = await credentials.delete(ports.control, COMMAND_LINE, options.id, options.name)
    return Answer(shown(made), f"Calls of {made.id} use the gateway's {options.name} within a minute.")


def _value(name: str) -> str:
    """Never an argument: those stand in the shell's history, and in the list of processes."""
    if not sys.stdin.isatty():
        return sys.stdin.read().strip()
    try:
        return getpass(f"{name}: ").strip()
    except EOFError:
        return ""


def _check_vault(ports: Ports) -> None:
    if ports.control.vault is None:
        raise ConfigurationError(
            "It is not said where workspaces' keys are: set TIDEGATE_WORKSPACE_SECRETS as the stack has it. A server "
            "on this machine keeps them in its process: use its admin API."
        )
