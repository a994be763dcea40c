"""`python -m tidegate calls tail | show | export | replay | reprice`: calls, over HTTP with a key.

A developer has a key and the gateway's address, not the credentials of its table: what the key may see, the gateway
decides. Operators with these credentials have `usage report` and `usage calls`.

Exit codes: 0 done, 1 there is no such call or trace, 2 the command failed.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import TypeAlias

import httpx

from tidegate.cli.calls_client import CallsClient
from tidegate.cli.calls_export import export_calls
from tidegate.cli.calls_filters import add_filters, add_range
from tidegate.cli.calls_replay import replay_call
from tidegate.cli.calls_reprice import parse_month, reprice_calls
from tidegate.cli.calls_show import show_call
from tidegate.cli.calls_tail import tail_calls
from tidegate.cli.output import show_help
from tidegate.cli.server_access import add_server_options, find_server
from tidegate.cli.server_client import RequestFailed
from tidegate.cli.workspaces import Subparsers
from tidegate.errors import NotFound, TidegateError

Command: TypeAlias = Callable[[argparse.Namespace, CallsClient], int]

NOT_FOUND, FAILED, INTERRUPTED = 1, 2, 130

CONSOLE_VARIABLE = "TIDEGATE_CONSOLE_URL"


def add_parser(commands: Subparsers, name: str, summary: str) -> None:
    """Add the command with its subcommands. `main` calls `run` with the parsed options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON; of several calls, one line each")
    add_server_options(common)
    console_help = f"the dashboard's URL, if it is at another host; default: {CONSOLE_VARIABLE}, then the gateway's"
    common.add_argument("--console-url", metavar="URL", help=console_help)
    common.set_defaults(run=run)
    parser = commands.add_parser(name, help=summary)
    parser.set_defaults(run=show_help(parser))
    subparsers = parser.add_subparsers(metavar="command")
    _add_lists(subparsers, common)
    _add_single(subparsers, common)
    reprice = subparsers.add_parser("reprice", parents=[common], help="say what calls would have cost on other models")
    reprice.add_argument("--month", metavar="YYYY-MM", type=parse_month, help="the month; default: this one")
    add_range(reprice)
    reprice.add_argument("--model", metavar="ID", action="append", default=[], help="a model; may be repeated")
    reprice.set_defaults(command=reprice_calls)


def _add_lists(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    tail = commands.add_parser("tail", parents=[common], help="show calls as they end, one line each")
    add_filters(tail)
    tail.add_argument("--lines", metavar="N", type=int, default=10, help="so many earlier calls first; default: 10")
    tail.set_defaults(command=tail_calls)
    export = commands.add_parser("export", parents=[common], help="write all calls of a range, the newest first")
    add_filters(export)
    add_range(export)
    export.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="default: jsonl")
    export.add_argument("--output", metavar="FILE", help="a file in place of standard output")
    export.add_argument("--cursor", help="go on where an export has stopped: it says so")
    export.set_defaults(command=export_calls)


def _add_single(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    show = commands.add_parser("show", parents=[common], help="show a call: its record, timeline and cost")
    show.add_argument("--trace", action="store_true", help="show its content as well, if it was kept")
    show.set_defaults(command=show_call)
    replay = commands.add_parser("replay", parents=[common], help="make a call again, and compare both answers")
    replay.add_argument("--model", metavar="ID", help="another model; default: the same")
    replay.add_argument("--yes", action="store_true", help="do not ask, although the call costs money")
    replay.set_defaults(command=replay_call)
    for parser in (show, replay):
        parser.add_argument("id", metavar="CALL", help="the call's id, or that of its reply")


def run(
    options: argparse.Namespace, env: Mapping[str, str] = os.environ, transport: httpx.BaseTransport | None = None
) -> int:
    """Run the command, and return its exit code. Errors are one line on standard error."""
    try:
        console_url = options.console_url or env.get(CONSOLE_VARIABLE)
        with CallsClient(find_server(options, env), console_url, transport) as client:
            return options.command(options, client)
    except KeyboardInterrupt:
        return INTERRUPTED
    except TidegateError as error:
        print(f"tidegate: {error.message}", file=sys.stderr)
        is_missing = isinstance(error, NotFound) or (isinstance(error, RequestFailed) and error.status == 404)
        return NOT_FOUND if is_missing else FAILED
