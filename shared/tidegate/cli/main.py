"""The commands and their exit codes: 0 done, 1 not found, 2 invalid usage or configuration, or store unavailable."""

import argparse
import os
import sys
from collections.abc import Sequence

from tidegate import __version__
from tidegate.cli.output import show_help
from tidegate.errors import TidegateError
from tidegate.lazy import load

_COMMANDS = {
    "serve": ("tidegate.local.serve", "run the gateway on this machine"),
    "workspaces": ("tidegate.cli.commands", "create, list, show, change, suspend and delete workspaces"),
    "plans": (
        "tidegate.cli.commands",
        "create, list, show, change and delete plans: named limits that many workspaces share",
    ),
    "usage": ("tidegate.cli.commands", "report the usage of a workspace, list its calls and the audit log"),
    "admin-keys": ("tidegate.cli.commands", "create, list and revoke the keys of the admin API"),
    "keys": ("tidegate.cli.commands", "create, list, change, rotate and revoke virtual keys"),
    "calls": ("tidegate.cli.calls", "show, follow, export, repeat and reprice calls"),
    "connect": ("tidegate.cli.connect", "print or write the settings of a client for this gateway"),
    "batch": ("tidegate.cli.batch", "run files of requests: submit, list, show, cancel, fetch results"),
}
"""Only the chosen command's module is imported, because `serve` loads moto, an emulator of AWS."""

READER_GONE = 141
"""The exit code that shells report of a program that the signal SIGPIPE has ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. An error is printed as one line on standard error."""
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # `head` and others close their input when they have enough. At its exit, Python flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except TidegateError as error:
        return _report_error(error.message)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "tidegate":
            raise
        return _report_error(f"The package {error.name!r} is missing: run pip install '.[local]'.")


def _run(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tidegate", description="An OpenAI-compatible gateway in your AWS account.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(run=show_help(parser))
    commands = parser.add_subparsers(metavar="command")
    chosen = next((word for word in words if word in _COMMANDS), None)
    for name, (module, summary) in _COMMANDS.items():
        if name == chosen:
            load(module, "add_parser")(commands, name, summary)
        else:
            commands.add_parser(name, help=summary)
    options = parser.parse_args(words)
    return options.run(options)


def _report_error(message: str) -> int:
    print(f"tidegate: {message}", file=sys.stderr)
    return 2
