"""Figures of an overview: sums and percentiles of an aggregate, and its rows by name."""

from typing import TypeAlias

from tidegate.domain.aggregate import DIMENSIONS, FIGURES, OTHER, Aggregate, cost_usd
from tidegate.domain.histogram import Histogram, add_histograms, percentile
from tidegate.domain.record import plain_decimal

Figures: TypeAlias = dict[str, int | float | str | None]

MAX_ROWS = 100
"""Names of a dimension that are listed; the others are summed as `OTHER`."""


def figures_of(aggregate: Aggregate) -> Figures:
    """Return the sums of an aggregate, and its percentiles."""
    first_tokens, durations = (add_histograms(each.values()) for each in (aggregate.first_tokens, aggregate.durations))
    return {
        **sums_of(aggregate),
        "ttft_p50": _seconds(first_tokens, 0.5),
        "ttft_p95": _seconds(first_tokens, 0.95),
        "duration_p50": _seconds(durations, 0.5),
        "duration_p95": _seconds(durations, 0.95),
    }


def sums_of(aggregate: Aggregate) -> Figures:
    """Return the sums of an aggregate."""
    columns = zip(*aggregate.sums.values(), strict=True) if aggregate.sums else [()] * len(FIGURES)
    *sums, cost = map(sum, columns)
    return {**dict(zip(FIGURES[:-1], sums, strict=True)), "cost_usd": plain_decimal(cost_usd(cost))}


def rows_of(total: Aggregate) -> dict[str, list[Figures]]:
    """Return the figures by dimension and name, the highest cost first. Status and error have no row without a name."""
    return {dimension: _rows(total, dimension) for dimension in DIMENSIONS}


def _rows(total: Aggregate, dimension: str) -> list[Figures]:
    names = total.first_names(dimension, MAX_ROWS)
    groups = total.group(dimension, frozenset(names))
    listed = [name for name in names if name != OTHER and (name or dimension not in ("status", "error"))]
    return [{"name": name, **figures_of(groups[name])} for name in (*listed, OTHER) if name in groups]


def _seconds(histogram: Histogram, share: float) -> float | None:
    seconds = percentile(histogram, share)
    return None if seconds is None else round(seconds, 3)
