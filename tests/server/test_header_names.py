"""Remembered names of headers: right for every spelling, and bounded, whatever strangers send."""

import pytest

from tidegate.server.header_names import FRAMING, LineStarts, LowerNames


@pytest.mark.parametrize("name", [b"Host", b"HOST", b"host", b"X-" + b"A" * 100])
def test_each_spelling_has_its_lower_case_form_again_and_again(name: bytes) -> None:
    names, starts = LowerNames(), LineStarts()
    for _ in range(2):
        assert names[name] == name.lower()
        assert starts[name] == b"\r\n" + name.lower() + b": "


def test_as_many_names_are_remembered_as_fit_and_no_long_ones() -> None:
    names = LowerNames()
    for number in range(5_000):
        assert names[b"X-%d" % number] == b"x-%d" % number
        assert names[b"X-%d-%b" % (number, b"y" * 64)].startswith(b"x-%d-y" % number)
    assert 0 < len(names) <= 1_000
    assert max(map(len, names)) <= 64


@pytest.mark.parametrize("name", [b"Content-Length", b"content-length", b"Transfer-Encoding", b"connection"])
def test_a_header_of_the_framing_has_no_line_that_is_remembered(name: bytes) -> None:
    starts = LineStarts()
    for _ in range(2):
        with pytest.raises(KeyError):
            starts[name]
    assert name.lower() in FRAMING and not starts
