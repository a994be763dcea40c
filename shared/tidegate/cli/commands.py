"""The commands that work on the table: `workspaces`, `keys`, `plans`, `usage` and `admin-keys`."""

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from tidegate.aws.secrets import SecretsManagerError
from tidegate.cli import (
    admins,
    credentials,
    key_grants,
    keys,
    members,
    plans,
    usage,
    workspace_deletion,
    workspace_limits,
    workspaces,
)
from tidegate.cli.connection import (
    StoreLocation,
    StorePorts,
    add_store_options,
    explain_store_error,
    find_store,
    open_ports,
)
from tidegate.cli.output import CommandOutput, show_help
from tidegate.cli.workspaces import Subparsers
from tidegate.errors import ConfigurationError, InvalidRequest, NotFound, StoreUnavailable

Command: TypeAlias = Callable[[argparse.Namespace, StorePorts], Awaitable[CommandOutput]]

DONE, NOT_FOUND, FAILED = 0, 1, 2

_LIST_COMMANDS = {
    "workspace_id": "workspaces list",
    "key_id": "keys list",
    "plan_id": "plans list",
    "admin_id": "admin-keys list",
}
"""The command that lists the existing resources, by the `param` of a `NotFound`."""

_MODULES = {
    "workspaces": (workspaces, workspace_limits, workspace_deletion, members, credentials),
    "keys": (key_grants, keys),
    "plans": (plans,),
    "usage": (usage,),
    "admin-keys": (admins,),
}


def add_parser(commands: Subparsers, name: str, summary: str) -> None:
    """Add a command of `_MODULES` with its subcommands. `main` calls `run` with the parsed options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON")
    add_store_options(common)
    parser = commands.add_parser(name, help=summary)
    parser.set_defaults(run=show_help(parser))
    common.set_defaults(run=run)
    subparsers = parser.add_subparsers(metavar="command")
    for module in _MODULES[name]:
        module.add_subcommands(subparsers, common)


def run(
    options: argparse.Namespace, env: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.time
) -> int:
    """Run the command, print its output, and return an exit code of `cli/main.py`."""
    # An error is one line on stderr: the library's log warnings are meant for servers.
    logging.getLogger("tidegate").addHandler(logging.NullHandler())
    try:
        location = find_store(options, env)
        output = asyncio.run(_run_command(options.command, options, location, clock))
    except NotFound as error:
        hint = f"; to see all, run `{_LIST_COMMANDS[error.param]}`." if error.param in _LIST_COMMANDS else "."
        return _report_error(error.message.removesuffix(".") + hint, NOT_FOUND)
    except (ConfigurationError, InvalidRequest, StoreUnavailable) as error:
        return _report_error(error.message, FAILED)
    output.show(options.json)
    return DONE


async def _run_command(
    command: Command, options: argparse.Namespace, location: StoreLocation, clock: Callable[[], float]
) -> CommandOutput:
    async with open_ports(location, clock) as ports:
        try:
            return await command(options, ports)
        except SecretsManagerError:
            raise
        except StoreUnavailable as error:
            raise StoreUnavailable(explain_store_error(error.__cause__, location)) from error


def _report_error(message: str, code: int) -> int:
    print(f"tidegate: {message}", file=sys.stderr)
    return code
