"""Figures of an overview: sums and percentiles of an aggregate, and its rows by name."""

from collections.abc import Iterable
from typing import TypeAlias

from tidegate.domain.aggregate import DIMENSIONS, FIGURES, OTHER, Aggregate, cost_usd
from tidegate.domain.histogram import Histogram, add_histogram, percentile
from tidegate.domain.record import plain_decimal

_STATUS = DIMENSIONS.index("status")

Figures: TypeAlias = dict[str, int | float | str | None]

MAX_ROWS = 100
"""Names of a dimension that are listed; the others are summed as `OTHER`."""


def figures_of(aggregate: Aggregate) -> Figures:
    """Return the sums of an aggregate, and its percentiles."""
    sums = dict(zip(FIGURES, map(sum, zip(*aggregate.sums.values(), strict=True)), strict=False))
    first_tokens, durations = _joined(aggregate.first_tokens.values()), _joined(aggregate.durations.values())
    return {
        "calls": sums.get("calls", 0),
        "failed": _calls_with_status(aggregate, "failed"),
        "cached": _calls_with_status(aggregate, "cached"),
        **{name: sums.get(name, 0) for name in FIGURES[1:-1]},
        "cost_usd": plain_decimal(cost_usd(sums.get("cost", 0))),
        "ttft_p50": _seconds(first_tokens, 0.5),
        "ttft_p95": _seconds(first_tokens, 0.95),
        "duration_p50": _seconds(durations, 0.5),
        "duration_p95": _seconds(durations, 0.95),
    }


def rows_of(total: Aggregate) -> dict[str, list[Figures]]:
    """Return the figures by dimension and name, the highest cost first; errors without the calls that have none."""
    few_cells = total.without_sessions()
    return {dimension: _rows(total if dimension == "session" else few_cells, dimension) for dimension in DIMENSIONS}


def _rows(total: Aggregate, dimension: str) -> list[Figures]:
    names = total.first_names(dimension, MAX_ROWS)
    groups = total.group(dimension, frozenset(names))
    listed = [name for name in names if name != OTHER and (name or dimension != "error")]
    return [{"name": name, **figures_of(groups[name])} for name in (*listed, OTHER) if name in groups]


def _calls_with_status(aggregate: Aggregate, status: str) -> int:
    return sum(row[0] for names, row in aggregate.sums.items() if names[_STATUS] == status)


def _joined(histograms: Iterable[Histogram]) -> Histogram:
    total: Histogram = {}
    for histogram in histograms:
        add_histogram(total, histogram)
    return total


def _seconds(histogram: Histogram, share: float) -> float | None:
    seconds = percentile(histogram, share)
    return None if seconds is None else round(seconds, 3)
