"""`workspaces`, `keys`, `plans`, `usage` and `admin-keys`: the commands on the table."""

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from tidegate.aws.secrets import SecretsManagerError
from tidegate.cli import admins, credentials, key_grants, keys, members, plans, usage, workspace_limits, workspaces
from tidegate.cli.connection import (
    StoreLocation,
    StorePorts,
    add_store_options,
    explain_store_error,
    find_store,
    open_ports,
)
from tidegate.cli.output import CommandOutput
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
"""What shows those that there are, by the parameter of which there is none."""

_MODULES = {
    "workspaces": (workspaces, workspace_limits, members, credentials),
    "keys": (key_grants, keys),
    "plans": (plans,),
    "usage": (usage,),
    "admin-keys": (admins,),
}


def add_parser(commands: Subparsers, name: str, summary: str) -> None:
    """Add one of `_MODULES`; the namespace that it parses into goes to `run`, which is its `run`."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="answer in JSON")
    add_store_options(common)
    parser = commands.add_parser(name, help=summary)
    verbs = parser.add_subparsers(required=True, metavar="command")
    for module in _MODULES[name]:
        module.add_verbs(verbs, common)
    parser.set_defaults(run=run)


def run(
    options: argparse.Namespace, env: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.time
) -> int:
    """Do what `options` say and print the answer. Returns one of the exit codes in `cli/main.py`."""
    # The one line on stderr says it all; the library's warnings are for servers.
    logging.getLogger("tidegate").addHandler(logging.NullHandler())
    try:
        location = find_store(options, env)
        answer = asyncio.run(_run_command(options.command, options, location, clock))
    except NotFound as error:
        hint = f"; `{_LIST_COMMANDS[error.param]}` shows them." if error.param in _LIST_COMMANDS else "."
        return _report_error(error.message.removesuffix(".") + hint, NOT_FOUND)
    except (ConfigurationError, InvalidRequest, StoreUnavailable) as error:
        return _report_error(error.message, FAILED)
    answer.show(options.json)
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
