"""`python -m tidegate usage …`: what workspaces used, which calls that was, and who changed what."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import date

from tidegate.cli.connection import Ports
from tidegate.cli.dates import moment
from tidegate.cli.output import Answer, columns
from tidegate.cli.workspaces import Verbs
from tidegate.control import logs, reports
from tidegate.control.authorization import COMMAND_LINE
from tidegate.control.views import shown
from tidegate.domain.record import iso_time
from tidegate.errors import InvalidRequest

_REPORTED = ("name", "calls", "calls_failed", "input_tokens", "output_tokens", "words", "cost_usd")
_LISTED = ("time", "id", "status", "model", "input_tokens", "output_tokens", "words", "cost_usd")


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`report`, `calls`, `audit`."""
    report = verbs.add_parser("report", parents=[common], help="what a workspace used, this month until today")
    report.add_argument("--by", choices=("day", "model", "key", "app"), default="day")
    for name in ("first", "last"):
        report.add_argument(f"--{name}", metavar="DATE", type=_day, help="a day (UTC), included")
    report.add_argument("--csv", action="store_true", help="for spreadsheets, instead of a table")
    report.set_defaults(command=show_report)
    calls = verbs.add_parser("calls", parents=[common], help="a workspace's calls, the newest first")
    _add_filters(calls)
    calls.set_defaults(command=list_calls)
    for parser in (report, calls):
        parser.add_argument("id", help="the workspace's id")
    audit = verbs.add_parser("audit", parents=[common], help="the newest changes, and who made them")
    audit.add_argument("--workspace", metavar="ID", help="of this one only")
    audit.set_defaults(command=list_changes)
    for parser in (calls, audit):
        parser.add_argument("--limit", type=int, default=20, help="how many; default: 20")
        parser.add_argument("--cursor", help="go on where the page before ended")


def _add_filters(calls: argparse.ArgumentParser) -> None:
    calls.add_argument("--status", help="ok, failed, cancelled, cached or lost")
    calls.add_argument("--model", help="as asked for, or as provider/model that answered")
    calls.add_argument("--key", metavar="ID", help="called with that key")
    calls.add_argument("--app", metavar="ID", help="called by that application, as X-App-ID says")
    calls.add_argument(
        "--from", dest="since", metavar="DATE", type=moment, help="not before, UTC unless it says otherwise"
    )
    calls.add_argument("--to", dest="until", metavar="DATE", type=moment, help="before, UTC unless it says otherwise")


async def show_report(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound` and `InvalidRequest`."""
    if options.csv and options.json:
        raise InvalidRequest("A report is written with --csv or with --json.")
    made = await reports.report(ports.control, COMMAND_LINE, options.id, options.by, options.first, options.last)
    data = {
        "workspace_id": made.workspace_id,
        "by": made.by,
        "first": made.first.isoformat(),
        "last": made.last.isoformat(),
        "rows": list(made.rows),
        "total": made.total,
    }
    if options.csv:
        return Answer(data, reports.to_csv(made).replace("\r\n", "\n").removesuffix("\n"))
    return Answer(data, _table(_REPORTED, [*made.rows, {"name": "total", **made.total}]))


async def list_calls(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound` and `InvalidRequest`."""
    filters = logs.Filters(options.status, options.model, options.key, options.app, options.since, options.until)
    page = await logs.calls(ports.control, COMMAND_LINE, options.id, filters, options.limit, options.cursor)
    data = {"data": [dict(call) for call in page.calls], "next_cursor": page.cursor}
    return Answer(data, _table(_LISTED, page.calls) + _more(page.cursor))


async def list_changes(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound` and `InvalidRequest`."""
    entries = await logs.audit(ports.control, COMMAND_LINE, options.workspace, options.cursor, options.limit)
    rows = [(iso_time(each.at), each.who, each.action, each.target) for each in entries]
    cursor = entries[-1].id if len(entries) == options.limit else None
    data = {"data": [shown(each) for each in entries], "next_cursor": cursor}
    return Answer(data, columns(("TIME", "WHO", "ACTION", "TARGET"), rows) + _more(cursor))


def _more(cursor: str | None) -> str:
    """A page may be short, or empty, and not the last."""
    return f"\n\nThere may be more: --cursor {cursor}" if cursor else ""


def _table(names: Sequence[str], rows: Sequence[Mapping[str, object]]) -> str:
    cells = [["" if row.get(name) is None else str(row[name]) for name in names] for row in rows]
    return columns([name.upper() for name in names], cells)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: write 2027-01-31") from None
