"""The filters of `tidegate calls`, which are those of the call log, and its range."""

import argparse
from datetime import UTC, datetime

from tidegate.cli.dates import parse_time
from tidegate.domain.record import iso_time

_FILTERS = (
    ("--status", "status", "STATUS", "ok, failed, cancelled, cached, lost or batch"),
    ("--model", "model", "ID", "calls that requested this model, or that this provider/model answered"),
    ("--key-id", "key", "ID", "calls with this key"),
    ("--app", "app", "ID", "calls of this application"),
    ("--session", "session", "ID", "calls of this session"),
    ("--error", "error", "TEXT", "calls with this text in the code of an error"),
    ("--slower", "slower", "SECONDS", "calls that took longer"),
    ("--dearer", "dearer", "USD", "calls that cost more"),
)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the options that `filters_of` reads."""
    group = parser.add_argument_group("which calls")
    for option, name, metavar, help_text in _FILTERS:
        group.add_argument(option, dest=f"filter_{name}", metavar=metavar, help=help_text)


def add_range(parser: argparse.ArgumentParser) -> None:
    """Add the options `--from` and `--to`, in UTC seconds in `since` and `until`."""
    for option, name, preposition in (("--from", "since", "since"), ("--to", "until", "before")):
        help_text = f"calls {preposition} this time, UTC by default"
        parser.add_argument(option, dest=name, metavar="DATE", type=parse_time, help=help_text)


def filters_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the filters that are set, as the call log names them."""
    values = {name: getattr(options, f"filter_{name}") for _, name, _, _ in _FILTERS}
    return {name: value for name, value in values.items() if value is not None}


def range_query(since: float | None, until: float | None) -> dict[str, str]:
    """Return the range as the gateway reads it."""
    times = {"from": since, "to": until}
    return {name: iso_time(at) for name, at in times.items() if at is not None}


def month_range(month: str) -> tuple[float, float]:
    """Return the begin and the end of a month, "2026-10", in UTC seconds. Raises `ValueError`."""
    begin = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    year, following = divmod(begin.year * 12 + begin.month, 12)
    return begin.timestamp(), begin.replace(year=year, month=following + 1).timestamp()
