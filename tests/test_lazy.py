"""Patterns that are compiled late match as others do."""

import re

from tidegate.lazy import late_pattern


def test_a_late_pattern_is_compiled_by_its_first_use() -> None:
    wrong, right = late_pattern("("), late_pattern(rb"(?P<tide>high|low)", re.I)
    match = right.fullmatch(b"HIGH")
    assert match is not None
    assert (match["tide"], right.search(b"slack"), right.pattern, right.flags) == (
        b"HIGH",
        None,
        rb"(?P<tide>high|low)",
        2,
    )
    try:
        wrong.search("")
    except re.error as error:
        assert "missing )" in str(error)
    else:
        raise AssertionError("the pattern was never compiled")


def test_the_methods_of_a_late_pattern_are_found_once() -> None:
    pattern = late_pattern("tide")
    assert pattern.sub == pattern.sub
    assert pattern.sub("wave", "tide") == "wave"
    assert "sub" in vars(pattern)
