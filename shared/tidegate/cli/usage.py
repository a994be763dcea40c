"""`python -m tidegate usage …`: what workspaces used, which calls that was, and who changed what."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import date

from tidegate.cli.output import Answer, columns
from tidegate.cli.store import Ports
from tidegate.cli.workspaces import Verbs
from tidegate.control import logs, reports
from tidegate.control.access import COMMAND_LINE
from tidegate.control.shown import shown
from tidegate.domain.record import iso_time

_REPORTED = ("name", "calls", "calls_failed", "input_tokens", "output_tokens", "words", "cost_usd")
_LISTED = ("time", "id", "status", "model", "input_tokens", "output_tokens", "words", "cost_usd")


def add_verbs(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    """`report`, `calls`, `audit`."""
    report = verbs.add_parser("report", parents=[common], help="what a workspace used, this month until today")
    report.add_argument("--by", choices=("day", "model", "key", "app"), default="day")
    for name in ("first", "last"):
        report.add_argument(f"--{name}", metavar="DATE", type=_day, help="a day (UTC), included")
    report.set_defaults(command=show_report)
    calls = verbs.add_parser("calls", parents=[common], help="a workspace's newest calls")
    calls.set_defaults(command=list_calls)
    for parser in (report, calls):
        parser.add_argument("id", help="the workspace's id")
    audit = verbs.add_parser("audit", parents=[common], help="the newest changes, and who made them")
    audit.add_argument("--workspace", metavar="ID", help="of this one only")
    audit.set_defaults(command=list_changes)
    for parser in (calls, audit):
        parser.add_argument("--limit", type=int, default=20, help="how many; default: 20")


async def show_report(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound` and `InvalidRequest`."""
    made = await reports.report(ports.control, COMMAND_LINE, options.id, options.by, options.first, options.last)
    data = {
        "workspace_id": made.workspace_id,
        "by": made.by,
        "first": made.first.isoformat(),
        "last": made.last.isoformat(),
        "rows": list(made.rows),
        "total": made.total,
    }
    return Answer(data, _table(_REPORTED, [*made.rows, {"name": "total", **made.total}]))


async def list_calls(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound` and `InvalidRequest`."""
    page = await logs.calls(ports.control, COMMAND_LINE, options.id, logs.Filters(), options.limit)
    return Answer([dict(call) for call in page.calls], _table(_LISTED, page.calls))


async def list_changes(options: argparse.Namespace, ports: Ports) -> Answer:
    """Raises `NotFound` and `InvalidRequest`."""
    entries = await logs.audit(ports.control, COMMAND_LINE, options.workspace, None, options.limit)
    rows = [(iso_time(each.at), each.who, each.action, each.target) for each in entries]
    return Answer([shown(each) for each in entries], columns(("TIME", "WHO", "ACTION", "TARGET"), rows))


def _table(names: Sequence[str], rows: Sequence[Mapping[str, object]]) -> str:
    cells = [["" if row.get(name) is None else str(row[name]) for name in names] for row in rows]
    return columns([name.upper() for name in names], cells)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: write 2027-01-31") from None
