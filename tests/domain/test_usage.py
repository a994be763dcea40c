"""Which counts of a provider are believed."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain.usage import (
    INVALID_COUNT,
    MAX_SEARCHES_BELIEVED,
    TokenCounts,
    Usage,
    any_counts,
    parse_count,
    reported_counts,
)


def counts(prompt: Any = 10, completion: Any = 20, total: Any = 30, **more: Any) -> TokenCounts | None:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **more}
    return reported_counts(cast(Usage, usage), 1000, 2000)


@pytest.mark.parametrize(
    ("value", "count"),
    [(None, 0), (0, 0), (7, 7), (7.0, 7), (3.5, 4), (1e18, 10**18), (-0.0, 0), ("7", 7), ("3.5", 4)]
    + [
        (odd, INVALID_COUNT)
        for odd in (-1, -0.5, True, False, "many", "", "-7", "1e5", "9" * 16, [], {}, float("nan"), float("inf"))
    ],
)
def test_a_fraction_is_rounded_up_and_only_counts_count(value: Any, count: int) -> None:
    assert parse_count(value) == count


@pytest.mark.parametrize("odd", [-1, "many", True, float("nan"), float("inf"), [], 10**18, 10**400, 1e300])
def test_totals_that_are_no_counts_or_absurd_are_refused(odd: Any) -> None:
    assert counts(prompt=odd) is None
    assert counts(completion=odd) is None


def test_totals_are_believed_up_to_the_maximum() -> None:
    assert counts(1000, 2000) == TokenCounts(input=1000, output=2000)
    assert counts(1001, 2000) is None
    assert counts(1000, 2001) is None
    assert counts(999.5, 3.5, None) == TokenCounts(input=1000, output=4)
    assert counts(None, None) == TokenCounts()


@pytest.mark.parametrize(
    ("details", "name", "field", "whole"),
    [
        ("prompt_tokens_details", "cached_tokens", "cached", 10),
        ("prompt_tokens_details", "cache_write_tokens", "written", 10),
        ("prompt_tokens_details", "image_tokens", "image_input", 10),
        ("prompt_tokens_details", "audio_tokens", "audio_input", 10),
        ("completion_tokens_details", "reasoning_tokens", "reasoning", 20),
        ("completion_tokens_details", "audio_tokens", "audio_output", 20),
        ("completion_tokens_details", "image_tokens", "image_output", 20),
    ],
)
def test_a_part_is_at_most_the_whole(details: str, name: str, field: str, whole: int) -> None:
    for value, limited in ((10**9, whole), (-5, 0), ("many", 0), (True, 0), (float("nan"), 0)):
        clamped = TokenCounts(input=10, output=20, usage_fault="clamped", **{field: limited})
        assert counts(**{details: {name: value}}) == clamped
    for value, believed in ((whole, whole), (2.5, 3), (None, 0)):
        assert counts(**{details: {name: value}}) == TokenCounts(input=10, output=20, **{field: believed})


def test_parts_of_parts_are_at_most_these() -> None:
    details = {"cached_tokens": 4, "audio_tokens": 3, "cached_tokens_details": {"audio_tokens": 4}}
    hours = {"cache_write_tokens": 2, "cache_write_1h_tokens": 3}
    assert counts(prompt_tokens_details={**details, **hours}) == TokenCounts(
        input=10, output=20, cached=4, written=2, written_1h=2, audio_input=3, audio_cached=3, usage_fault="clamped"
    )


def test_what_was_read_from_a_cache_and_written_to_it_counts_twice() -> None:
    both = {"cached_tokens": 9, "cache_write_tokens": 9}
    assert counts(prompt_tokens_details=both) == TokenCounts(input=10, output=20, cached=9, written=9)


def test_audio_beside_the_prompt_is_part_of_the_input() -> None:
    audio = {"prompt_tokens_details": {"audio_tokens": 375}}
    assert counts(9, 201, 585, **audio) == TokenCounts(input=384, output=201, audio_input=375)
    assert counts(9, 201, 210, **audio) == TokenCounts(input=9, output=201, audio_input=9, usage_fault="clamped")


def test_searches_have_a_bound() -> None:
    assert counts(num_search_queries=10**9) == TokenCounts(
        input=10, output=20, searches=MAX_SEARCHES_BELIEVED, usage_fault="clamped"
    )


odd_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=2) | st.just([]) | st.just({})
names = ("cached_tokens", "cache_write_tokens", "cache_write_1h_tokens", "audio_tokens", "image_tokens")
parts = odd_values | st.dictionaries(st.sampled_from((*names, "reasoning_tokens", "cached_tokens_details")), odd_values)


@given(st.dictionaries(
    st.sampled_from(("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details",
                     "completion_tokens_details", "server_tool_use", "num_search_queries")), parts))  # fmt: skip
def test_whatever_is_reported_no_part_is_greater_than_the_whole(usage: dict[str, Any]) -> None:
    found = reported_counts(cast(Usage, usage), 1000, 2000)
    if found is None:
        return
    assert 0 <= found.input <= 1000 and 0 <= found.output <= 2000
    for part in (found.cached, found.written, found.audio_input, found.image_input):
        assert 0 <= part <= found.input
    for part in (found.reasoning, found.audio_output, found.image_output):
        assert 0 <= part <= found.output
    assert 0 <= found.written_1h <= found.written
    assert 0 <= found.audio_cached <= min(found.cached, found.audio_input)


numbers = st.integers(0, 5) | st.sampled_from([None, True, 2.5, "3", -1, 10**20])
details = st.none() | st.dictionaries(st.sampled_from((*names, "reasoning_tokens", "own")), numbers, max_size=4)


@given(
    st.fixed_dictionaries(
        {"prompt_tokens": st.integers(0, 9) | numbers, "completion_tokens": st.integers(0, 9) | numbers},
        optional={
            **{"total_tokens": numbers, "own": numbers},
            **{"prompt_tokens_details": details, "completion_tokens_details": details},
            **{"server_tool_use": details, "num_search_queries": numbers},
        },
    ),
    st.integers(0, 9),
)
def test_the_usual_usage_is_read_as_any_usage_is(usage: dict[str, Any], maximum: int) -> None:
    counts = cast(Usage, usage)
    assert reported_counts(counts, maximum, maximum) == any_counts(counts, maximum, maximum)
