"""`tidegate calls reprice`: what the calls of a range would have cost on other models."""

import argparse
import textwrap

from tidegate.cli.calls_client import CallsClient
from tidegate.cli.calls_filters import month_range, range_query
from tidegate.cli.calls_text import count, object_of, printable, usd
from tidegate.cli.output import CommandOutput, columns
from tidegate.errors import ConfigurationError
from tidegate.json import Json, JsonObject

_RECORDED = ("ANSWERED BY", "CALLS", "INPUT", "CACHED", "OUTPUT", "RECORDED", "LIST PRICE")
_PROBLEMS = {"unknown_model": "not in the catalogue", "no_price": "no price in the catalogue"}


def reprice_calls(options: argparse.Namespace, client: CallsClient) -> int:
    """Print the recorded cost, that of each `--model`, and what the amounts do not tell. Raises `RequestFailed`."""
    if options.month and (options.since is not None or options.until is not None):
        raise ConfigurationError("Use either --month, or --from and --to.")
    since, until = options.month or (options.since, options.until)
    report = client.reprice({**range_query(since, until), "model": options.model})
    CommandOutput(report, _text(report)).show(options.json)
    return 0


def parse_month(text: str) -> tuple[float, float]:
    """Parse a month to its range in UTC seconds. Raises `ArgumentTypeError`."""
    try:
        return month_range(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid month: write 2027-01") from None


def _text(report: JsonObject) -> str:
    total = usd(report.get("cost_usd"))
    recorded = [
        (
            printable(row.get("model")),
            count(row.get("calls")),
            *(count(object_of(row.get("tokens")).get(kind)) for kind in ("input", "cached", "output")),
            usd(row.get("cost_usd")),
            _amount(row, "list_cost_usd"),
        )
        for row in _rows(report.get("recorded"))
    ]
    models = [
        (printable(row.get("model")), _amount(row, "cost_usd"), _difference(row)) for row in _rows(report.get("models"))
    ]
    parts = [
        f"{report.get('from')} to {report.get('to')}: {count(report.get('calls'))} calls, {total} recorded",
        columns(_RECORDED, recorded) if recorded else "There are no calls in this range that a model has answered.",
        columns(("ON THE MODEL", "COST", "DIFFERENCE"), models) if models else "Name other models with --model.",
        "\n".join(
            textwrap.fill(printable(row.get("message")), 100, initial_indent="- ", subsequent_indent="  ")
            for row in _rows(report.get("cautions"))
        ),
    ]
    return "\n\n".join(parts)


def _rows(value: Json) -> list[JsonObject]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _amount(row: JsonObject, name: str) -> str:
    problem = row.get("problem")
    return usd(row.get(name)) if problem is None else _PROBLEMS.get(str(problem), str(problem))


def _difference(row: JsonObject) -> str | None:
    difference = row.get("difference_usd")
    if difference is None:
        return None
    return usd(difference) if str(difference).startswith("-") else f"+{usd(difference)}"
