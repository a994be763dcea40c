"""Percentiles of histograms are within one bucket of the real ones."""

import random

import pytest

from tidegate.domain.histogram import GROWTH, MAX_BUCKET, MIN_SECONDS, add_histograms, bucket_of, percentile


def histogram_of(durations: list[float]) -> dict[int, int]:
    return add_histograms({bucket_of(seconds): 1} for seconds in durations)


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_is_at_most_a_bucket_off(share: float) -> None:
    source = random.Random(7)
    durations = sorted(source.lognormvariate(0.5, 1.2) for _ in range(10_000))
    exact = durations[int(share * len(durations)) - 1]
    estimate = percentile(histogram_of(durations), share)
    assert estimate is not None
    assert exact / GROWTH <= estimate <= exact * GROWTH


def test_equal_durations_have_their_bucket_as_each_percentile() -> None:
    for share in (0.0, 0.5, 1.0):
        estimate = percentile(histogram_of([2.0] * 9), share)
        assert estimate is not None
        assert 2.0 / GROWTH <= estimate <= 2.0 * GROWTH


def test_without_durations_there_is_no_percentile() -> None:
    assert percentile({}, 0.5) is None


def test_each_bucket_ends_where_the_next_begins_and_extremes_have_one() -> None:
    ends = [MIN_SECONDS * GROWTH**number for number in range(MAX_BUCKET)]
    assert [bucket_of(end) for end in ends] == list(range(MAX_BUCKET))
    assert [bucket_of(end * 1.001) for end in ends] == list(range(1, MAX_BUCKET + 1))
    assert (bucket_of(0.0), bucket_of(-1.0), bucket_of(1e12)) == (0, 0, MAX_BUCKET)
