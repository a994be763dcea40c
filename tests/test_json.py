"""The limits of a caller's JSON: how many objects and arrays, and how many within each other."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.json import (
    MAX_CONTAINERS,
    MAX_NESTING,
    JsonTooComplex,
    check_complexity,
    count_containers,
    decode_bounded,
    decode_bounded_or_none,
    decode_or_none,
)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='ab[]{}"\\\n', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='a{}[]"\\', max_size=3), inner),
    max_leaves=20,
)


@pytest.mark.parametrize("levels", [1, MAX_NESTING - 1, MAX_NESTING])
def test_json_up_to_the_limit_of_nesting_is_decoded(levels: int) -> None:
    assert decode_bounded(nested(levels)) == json.loads(nested(levels))
    assert decode_bounded(nested(levels).encode()) == json.loads(nested(levels))


@pytest.mark.parametrize("levels", [MAX_NESTING + 1, 1_000, 100_000])
@pytest.mark.parametrize(
    "write", [nested, lambda levels: '{"a":' * levels + "1" + "}" * levels, lambda levels: "[" * levels]
)
def test_json_beyond_the_limit_of_nesting_is_refused_before_it_is_decoded(levels: int, write: Any) -> None:
    with pytest.raises(JsonTooComplex, match=r"is nested more than 100 levels deep|has more than 12,000 objects"):
        decode_bounded(write(levels))
    assert decode_bounded_or_none(write(levels)) is None


def test_json_with_many_objects_is_refused() -> None:
    most = [{}] * (MAX_CONTAINERS - 1)
    assert decode_bounded(json.dumps(most)) == most
    with pytest.raises(JsonTooComplex, match="has more than 12,000 objects and arrays"):
        decode_bounded(json.dumps([*most, {}]))


def test_brackets_in_texts_and_their_escapes_count_for_nothing() -> None:
    texts = {"{[" * 50_000: "[" * 300, "\\": '"' + "{" * 300, '\\"': "\\\\" + "[" * 300, "a": [["]"], "[["]}
    assert decode_bounded(json.dumps(texts)) == texts


@pytest.mark.parametrize("size", [0, 100_000])
@pytest.mark.parametrize("brackets", [0, 1, 99, 100, 101, 250])
@pytest.mark.parametrize("bracket", ["{", "[", "{[", "[{{"])
def test_few_containers_are_counted_at_least_once_in_short_and_in_long_texts(
    bracket: str, brackets: int, size: int
) -> None:
    text = json.dumps("-".join([bracket] * brackets) + "x" * size)
    found = brackets * len(bracket)
    assert count_containers(text) == (found if found <= MAX_NESTING else 0)
    assert count_containers(f"[{text}]") == (found + 1 if found + 1 <= MAX_NESTING else 1)


@given(VALUES, st.integers(0, MAX_NESTING + 20))
def test_the_depth_is_counted_as_a_walk_counts_it(value: Any, levels: int) -> None:
    text = "[" * levels + json.dumps([value, "[" * MAX_NESTING]) + "]" * levels
    depth = depth_of(json.loads(text))
    if depth <= MAX_NESTING:
        assert decode_bounded(text) == json.loads(text)
    else:
        with pytest.raises(JsonTooComplex):
            check_complexity(text)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize("text", ["", "[", "]" * 300, "[" * 90 + "}" * 300, '"' + "[" * 300, "{]" * 200, "nul"])
def test_what_is_not_json_is_left_to_the_decoder(text: str) -> None:
    check_complexity(text)
    assert decode_or_none(text) is decode_bounded_or_none(text) is None
