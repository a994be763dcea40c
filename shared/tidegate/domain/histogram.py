"""Histograms of durations whose buckets grow by 8 %: they are small, they can be added, and they give percentiles."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import ceil, log
from typing import TypeAlias

Histogram: TypeAlias = dict[int, int]
"""The number of durations by the number of their bucket. Empty buckets are absent."""

GROWTH = 1.08
"""A percentile is at most 8 % off, and usually half of it: the buckets of 1 ms to an hour are 197."""

MIN_SECONDS = 0.001
"""The upper end of bucket 0."""

MAX_BUCKET = 255
"""The last bucket begins after three days, and has no end."""

_LOG_GROWTH = log(GROWTH)


def bucket_of(seconds: float) -> int:
    """Return the number of the bucket: bucket n ends at `MIN_SECONDS * GROWTH ** n`, included."""
    if seconds <= MIN_SECONDS:
        return 0
    return min(MAX_BUCKET, ceil(log(seconds / MIN_SECONDS) / _LOG_GROWTH - 1e-9))


def add_histograms(histograms: Iterable[Histogram]) -> Histogram:
    """Return the sum of the histograms, a new one."""
    total = defaultdict[int, int](int)
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[bucket] += count
    return dict(total)


def percentile(histogram: Mapping[int, int], share: float) -> float | None:
    """Return the seconds that this share of the durations does not exceed, interpolated within its bucket.

    None without any duration. Example: `percentile(histogram, 0.95)`.
    """
    rank = share * sum(histogram.values())
    counted = 0
    for bucket, count in sorted(histogram.items()):
        if counted + count >= rank and count:
            return MIN_SECONDS * GROWTH ** (bucket - 1 + max(0.0, rank - counted) / count)
        counted += count
    return None
