"""The SSE reader, against the examples of the specification and at arbitrary borders."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import ProviderMalformed
from tidegate.providers.base import StreamEvent
from tidegate.upstream import sse
from tidegate.upstream.sse import SseDecoder


def read(*pieces: bytes) -> list[StreamEvent]:
    decoder = SseDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.end()


def test_an_event_is_given_out_as_soon_as_its_blank_line_is_there() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [StreamEvent("message", "a")]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_every_line_ending_ends_a_line(ending: bytes) -> None:
    text = b"event: x\ndata: a\ndata: b\n\n: comment\n\ndata:c\nid: 1\nretry: 2\n\n".replace(b"\n", ending)
    assert read(text) == [StreamEvent("x", "a\nb"), StreamEvent("message", "c")]


def test_a_carriage_return_at_a_border_is_one_line_ending_with_the_line_feed_behind_it() -> None:
    assert read(b"data: a\r", b"\n\r", b"\ndata: b\r\n\r\n") == [
        StreamEvent("message", "a"),
        StreamEvent("message", "b"),
    ]


def test_a_byte_order_mark_is_skipped_even_when_it_is_split() -> None:
    assert read(b"\xef", b"\xbb", b"\xbfdata: a\n\n") == [StreamEvent("message", "a")]


def test_a_field_without_a_colon_is_an_empty_value() -> None:
    assert read(b"data\ndata\n\n") == [StreamEvent("message", "\n")]


def test_only_one_leading_space_belongs_to_the_syntax() -> None:
    assert read(b"data:  a \n\n") == [StreamEvent("message", " a ")]


def test_a_last_event_without_its_blank_line_is_still_given_out() -> None:
    assert read(b"data: a\n\ndata: [DONE]") == [StreamEvent("message", "a"), StreamEvent("message", "[DONE]")]


def test_an_event_type_does_not_outlive_its_event() -> None:
    assert read(b"event: error\n\ndata: a\n\n") == [StreamEvent("message", "a")]


def test_text_that_is_not_utf8_is_replaced() -> None:
    assert read(b"data: \xff\n\n") == [StreamEvent("message", "\ufffd")]


def test_a_line_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 10)
    with pytest.raises(ProviderMalformed):
        read(b"data: ", b"x" * 11)


def test_many_lines_of_one_event_are_refused_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 10)
    with pytest.raises(ProviderMalformed):
        read(b"data: xxxxxx\n", b"data: xxxxxx\n", b"data: x")


_lines = st.lists(
    st.one_of(
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8).map(
            lambda t: "data: " + t
        ),
        st.sampled_from(["", ": comment", "event: x", "data:", "data", "id: 7"]),
    ),
    max_size=12,
)


def test_a_line_may_end_in_two_pieces_with_an_empty_one_between() -> None:
    assert read(b"data: a\r", b"", b"\ndata: b\r\n\r\n") == [StreamEvent("message", "a\nb")]


@given(_lines, st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_the_borders_of_the_bytes_change_nothing(lines: list[str], ending: str, data: st.DataObject) -> None:
    whole = (ending.join(lines) + ending).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    borders = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(borders)]
    assert read(*pieces) == read(whole)


_lines_of_blocks = st.sampled_from(
    ["data: a", "data:b", "data: ", "data", "event: x", "event: ", "event:y", ":", "id: 1"]
)
_blocks = st.lists(_lines_of_blocks | st.sampled_from(["data: ü\r", "data: a\x00\x0b"]), max_size=3).map("\n".join)


@given(st.lists(st.lists(_blocks, max_size=3).map("\n\n".join), max_size=4), st.sampled_from(["\n", "\r\n"]))
def test_pieces_of_whole_events_are_read_as_their_bytes_one_by_one(texts: list[str], ending: str) -> None:
    pieces = [f"{text}\n\n".replace("\n", ending).encode() for text in texts]
    assert read(*pieces) == read(*(bytes([byte]) for piece in pieces for byte in piece))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "event: x{}", "event: y{}", "event: {}", ": ping{}"]),
            st.sampled_from(
                ["data: a{}", "data: ü\u2028{}", "data: a\rb{}", "data: a\ndata: b{}", "data:a{}", "data: {}"]
            ),
            st.sampled_from(["\n", "\r\n", "\r"]),
        ),
        max_size=6,
    )
)
def test_an_event_like_the_one_before_is_read_as_its_bytes_one_by_one(events: list[tuple[str, str, str]]) -> None:
    pieces = [f"{kind}{value}{{}}".replace("{}", ending).encode() for kind, value, ending in events for _ in range(2)]
    assert read(*pieces) == read(*(bytes([byte]) for piece in pieces for byte in piece))


def test_a_long_line_may_come_in_many_pieces() -> None:
    pieces = [b"data: ", *[b"x" * 1024] * 20_000, b"\n\n"]
    assert read(*pieces) == [StreamEvent("message", "x" * 1024 * 20_000)]


def test_a_stream_may_come_a_byte_at_a_time() -> None:
    whole = "\ufeffevent: a\ndata: ü\r\n\r\n: ping\n\ndata: b\ndata: c\n\n".encode()
    assert read(*(bytes([byte]) for byte in whole)) == [StreamEvent("a", "ü"), StreamEvent("message", "b\nc")]
