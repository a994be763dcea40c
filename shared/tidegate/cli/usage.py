"""`python -m tidegate usage …`: usage reports, the call log and the audit log."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import date

from msgspec.structs import asdict

from tidegate.cli.connection import StorePorts
from tidegate.cli.dates import parse_time
from tidegate.cli.output import CommandOutput, columns
from tidegate.cli.workspaces import Subparsers
from tidegate.control import logs, reports
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.views import to_json
from tidegate.domain.record import iso_time
from tidegate.errors import InvalidRequest

_REPORT_COLUMNS = ("name", "calls", "calls_failed", "input_tokens", "output_tokens", "words", "cost_usd")
_CALL_COLUMNS = (
    *("time", "id", "status", "model", "input_tokens", "output_tokens", "words", "cost_usd"),
    *("error_code", "failed_attempts"),
)


def add_subcommands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add `report`, `calls` and `audit`."""
    report_help = "report a workspace's usage, by default of this month until today"
    report = commands.add_parser("report", parents=[common], help=report_help)
    report.add_argument(
        "--by", choices=("day", "model", "key", "app", "session"), default="day", help="group by; default: day"
    )
    for name in ("first", "last"):
        report.add_argument(f"--{name}", metavar="DATE", type=_parse_day, help=f"the {name} day of the report, in UTC")
    report.add_argument("--csv", action="store_true", help="print CSV for spreadsheets instead of a table")
    report.set_defaults(command=show_report)
    calls = commands.add_parser("calls", parents=[common], help="list a workspace's calls, the newest first")
    _add_filters(calls)
    calls.set_defaults(command=list_calls)
    for parser in (report, calls):
        parser.add_argument("id", help="the workspace's id")
    audit = commands.add_parser("audit", parents=[common], help="list changes, the newest first")
    audit.add_argument("--workspace", metavar="ID", help="list changes of this workspace only")
    audit.set_defaults(command=list_changes)
    for parser in (calls, audit):
        parser.add_argument("--limit", type=int, default=20, help="the number of entries; default: 20")
        parser.add_argument("--cursor", help="continue after the previous page")


def _add_filters(calls: argparse.ArgumentParser) -> None:
    calls.add_argument("--status", help="only calls with this status: ok, failed, cancelled, cached, lost or batch")
    calls.add_argument("--model", help="only calls that requested this model, or that this provider/model answered")
    calls.add_argument("--key", metavar="ID", help="only calls with this key")
    calls.add_argument("--app", metavar="ID", help="only calls of this application (their X-App-ID header)")
    for option, field, preposition in (("--from", "since", "since"), ("--to", "until", "before")):
        help_text = f"only calls {preposition} this time, UTC by default"
        calls.add_argument(option, dest=field, metavar="DATE", type=parse_time, help=help_text)


async def show_report(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """Print a usage report. Raises `NotFound` and `InvalidRequest`."""
    if options.csv and options.json:
        raise InvalidRequest("Use either --csv or --json, not both.")
    first, last = options.first, options.last
    report = await reports.report_usage(ports.control, COMMAND_LINE_ACTOR, options.id, options.by, first, last)
    dates = {"first": report.first.isoformat(), "last": report.last.isoformat()}
    data = {**asdict(report), **dates, "rows": list(report.rows)}
    if options.csv:
        return CommandOutput(data, reports.to_csv(report).replace("\r\n", "\n").removesuffix("\n"))
    return CommandOutput(data, _table(_REPORT_COLUMNS, [*report.rows, {"name": "total", **report.total}]))


async def list_calls(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """List a page of calls. Raises `NotFound` and `InvalidRequest`."""
    filters = logs.CallFilters(options.status, options.model, options.key, options.app, options.since, options.until)
    page = await logs.list_calls(ports.control, COMMAND_LINE_ACTOR, options.id, filters, options.limit, options.cursor)
    data = {"data": [dict(call) for call in page.calls], "next_cursor": page.cursor}
    return CommandOutput(data, _table(_CALL_COLUMNS, page.calls) + _next_page_hint(page.cursor))


async def list_changes(options: argparse.Namespace, ports: StorePorts) -> CommandOutput:
    """List a page of the audit log. Raises `NotFound` and `InvalidRequest`."""
    workspace_id, limit = options.workspace, options.limit
    entries = await logs.list_audit_entries(ports.control, COMMAND_LINE_ACTOR, workspace_id, options.cursor, limit)
    rows = [(iso_time(each.at), each.who, each.action, each.target) for each in entries]
    cursor = entries[-1].id if len(entries) == limit else None
    data = {"data": [to_json(each) for each in entries], "next_cursor": cursor}
    return CommandOutput(data, columns(("TIME", "WHO", "ACTION", "TARGET"), rows) + _next_page_hint(cursor))


def _next_page_hint(cursor: str | None) -> str:
    """Tell how to get the next page: a short or empty page need not be the last."""
    return f"\n\nThere may be more: add --cursor {cursor}" if cursor else ""


def _table(names: Sequence[str], rows: Sequence[Mapping[str, object]]) -> str:
    return columns([name.upper() for name in names], [[row.get(name) for name in names] for row in rows])


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid day: write 2027-01-31") from None
