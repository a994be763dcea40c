"""Our decoder of AWS event streams against botocore's, over whatever hypothesis thinks of."""

import random
import struct
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from tests.upstream.frames import error, event, exception, frame, header, text
from tidegate.errors import ProviderMalformed, StreamCut
from tidegate.providers.base import StreamEvent
from tidegate.upstream.eventstream import EventStreamDecoder, parse_headers

strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = strings.filter(lambda name: 0 < len(name.encode()) < 256)


def _sized(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


values = st.one_of(
    st.sampled_from([(0, b""), (1, b"")]),
    st.binary(min_size=1, max_size=1).map(lambda value: (2, value)),
    st.binary(min_size=2, max_size=2).map(lambda value: (3, value)),
    st.binary(min_size=4, max_size=4).map(lambda value: (4, value)),
    st.binary(min_size=8, max_size=8).map(lambda value: (5, value)),
    st.binary(max_size=30).map(lambda value: (6, _sized(value))),
    strings.map(lambda value: (7, _sized(value.encode()))),
    st.binary(min_size=8, max_size=8).map(lambda value: (8, value)),
    st.binary(min_size=16, max_size=16).map(lambda value: (9, value)),
)
header_blocks = st.dictionaries(names, values, max_size=5).map(
    lambda made: b"".join(header(name, kind, value) for name, (kind, value) in made.items())
)
messages = st.tuples(header_blocks, st.binary(max_size=200))


@given(headers=header_blocks)
def test_headers_are_read_as_botocore_reads_them(headers: bytes) -> None:
    theirs = EventStreamBuffer()
    theirs.add_data(frame(headers, b""))
    assert parse_headers(headers) == next(theirs).headers


@given(sent=st.lists(messages, max_size=5), seed=st.integers())
def test_messages_are_found_as_botocore_finds_them_however_they_are_cut(
    sent: list[tuple[bytes, bytes]], seed: int
) -> None:
    raw = b"".join(frame(headers, payload) for headers, payload in sent)
    theirs = EventStreamBuffer()
    theirs.add_data(raw)
    ours = _decode(raw, random.Random(seed))
    assert [one.data for one in ours if not one.type.startswith("error:")] == [
        one.payload for one in theirs if one.headers.get(":message-type") != "error"
    ]


@given(sent=st.lists(messages, min_size=1, max_size=3), place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_one_wrong_bit_is_never_read(sent: list[tuple[bytes, bytes]], place: int, bit: int) -> None:
    raw = bytearray(b"".join(frame(headers, payload) for headers, payload in sent))
    whole = EventStreamDecoder().feed(bytes(raw))
    raw[place % len(raw)] ^= 1 << bit
    decoder = EventStreamDecoder()
    with pytest.raises((ProviderMalformed, StreamCut)):
        events = decoder.feed(bytes(raw))
        assert events == whole[: len(events)] and len(events) < len(whole)
        if decoder.broken is not None:
            raise decoder.broken
        decoder.end()


@given(sent=st.lists(messages, min_size=1, max_size=3), place=st.integers(min_value=0))
def test_a_stream_that_ends_inside_a_message_is_a_cut(sent: list[tuple[bytes, bytes]], place: int) -> None:
    frames = [frame(headers, payload) for headers, payload in sent]
    raw = b"".join(frames)
    borders = {sum(map(len, frames[:count])) for count in range(len(frames) + 1)}
    end = place % len(raw)
    decoder = EventStreamDecoder()
    decoder.feed(raw[:end])
    if end in borders:
        assert decoder.end() == []
    else:
        with pytest.raises(StreamCut):
            decoder.end()


def test_each_kind_of_message_is_told_apart() -> None:
    raw = event("messageStart", {"role": "assistant"}) + exception("throttlingException", {"message": "slow"})
    assert EventStreamDecoder().feed(raw + error("InternalError", "gone")) == [
        StreamEvent("messageStart", b'{"role": "assistant"}'),
        StreamEvent("exception:throttlingException", b'{"message": "slow"}'),
        StreamEvent("error:InternalError", b'{"message":"gone"}'),
    ]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (text("a", "1") + text("a", "2"), "two headers 'a'"),
        (header("a", 10, b""), "a header of the unknown type 10"),
        (header("a", 7, struct.pack(">H", 9) + b"short"), "invalid headers"),
        (header("a", 5, b"1234"), "invalid headers"),
        (b"\x09a", "invalid headers"),
        (b"\x01\xff\x00", "invalid headers"),
    ],
)
def test_broken_headers_are_explained(headers: bytes, said: str) -> None:
    with pytest.raises(ProviderMalformed, match=said):
        EventStreamDecoder().feed(frame(headers, b""))


@pytest.mark.parametrize(("total", "headers"), [(16 + 25 * 1024 * 1024, 0), (200_000, 150_000), (20, 8), (3, 0)])
def test_a_message_that_is_too_large_or_too_small_is_refused_before_it_has_come(total: int, headers: int) -> None:
    prelude = struct.pack(">II", total, headers)
    with pytest.raises(ProviderMalformed):
        EventStreamDecoder().feed(prelude + struct.pack(">I", crc32(prelude)))


def test_a_large_message_in_small_pieces_is_read_in_passing() -> None:
    """Were the time quadratic, this would not end before the suite's time limit."""
    raw = frame(b"", bytes(8 * 1024 * 1024))
    decoder = EventStreamDecoder()
    assert len([found for start in range(0, len(raw), 64) for found in decoder.feed(raw[start : start + 64])]) == 1


def _decode(raw: bytes, choose: random.Random) -> list[StreamEvent]:
    decoder = EventStreamDecoder()
    events: list[StreamEvent] = []
    start = 0
    while start < len(raw):
        end = start + choose.choice((1, 3, 11, 12, 13, 60, 400))
        events += decoder.feed(raw[start:end])
        start = end
    return [*events, *decoder.end()]
