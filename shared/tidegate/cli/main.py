"""The commands and their exit codes: 0 done, 1 not found, 2 invalid usage or configuration, or store unavailable."""

import argparse
import sys
from collections.abc import Sequence

from tidegate import __version__
from tidegate.errors import TidegateError
from tidegate.lazy import load

_COMMANDS = {
    "serve": ("tidegate.local.serve", "run the gateway on this machine"),
    "workspaces": ("tidegate.cli.commands", "create, list, show, change, suspend and resume workspaces"),
    "plans": ("tidegate.cli.commands", "create, list, show and change plans: named limits that many workspaces share"),
    "usage": ("tidegate.cli.commands", "report the usage of a workspace, list its calls and the audit log"),
    "admin-keys": ("tidegate.cli.commands", "create, list and revoke the keys of the admin API"),
    "keys": ("tidegate.cli.commands", "create, list, change, rotate and revoke virtual keys"),
}
"""Only the chosen command's module is imported, because `serve` loads moto, an emulator of AWS."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. An error is printed as one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="tidegate", description="An OpenAI-compatible gateway in your AWS account.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    chosen = next((word for word in words if word in _COMMANDS), None)
    for name, (module, summary) in _COMMANDS.items():
        if name == chosen:
            load(module, "add_parser")(commands, name, summary)
        else:
            commands.add_parser(name, help=summary)
    options = parser.parse_args(words)
    try:
        return options.run(options)
    except TidegateError as error:
        print(f"tidegate: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
