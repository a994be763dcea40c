"""What a response is, however its bytes arrive, and what is refused because two readers could take it differently."""

import gzip
import random
import zlib
from contextlib import suppress
from typing import NamedTuple

import pytest
from httptools import HttpParserError, HttpResponseParser
from hypothesis import given
from hypothesis import strategies as st

from tidegate.transport.content_decoder import MAX_DECODED_BYTES
from tidegate.transport.response_parser import MAX_FIELDS, MAX_HEAD_BYTES, Response, ResponseParser

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TEXT = b"high tide " * 20


class Parsed(NamedTuple):
    """What was read. `ending` is how: with its own last byte, with the connection, or refused."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes
    ending: str
    is_reusable: bool


REFUSED = Parsed(0, [], b"", "refused", False)


def parse(*pieces: bytes, expects_body: bool = True) -> Parsed:
    """Parse a response that arrives in those pieces, and then the end of the connection."""
    parser, response = begun(expects_body=expects_body)
    surplus = False
    for piece in pieces:
        if response.is_complete:
            surplus = surplus or bool(piece.strip(b"\r\n"))
        elif parser.feed(response, piece) is not None:
            return REFUSED
    ending = "whole" if response.is_complete else "closed" if parser.end_of_connection() else "cut"
    is_reusable = parser.is_reusable and not surplus and ending == "whole"
    assert response.size == sum(map(len, response.pieces))
    return Parsed(response.status, response.fields, b"".join(response.pieces), ending, is_reusable)


def begun(*, expects_body: bool = True) -> tuple[ResponseParser[Response], Response]:
    """A parser of a new connection, and the response that it is to parse."""
    parser, response = ResponseParser[Response](), Response(expects_body=expects_body)
    parser.begin(response)
    return parser, response


def compressed(data: bytes, window: int) -> bytes:
    compressor = zlib.compressobj(wbits=window)
    return compressor.compress(data) + compressor.flush()


def encoded(coding: bytes, body: bytes) -> bytes:
    return OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (coding, len(body), body)


ACCEPTED = {
    "a length": (OK + b"Content-Length: 3\r\n\r\nabc", 200, b"abc", "whole", True),
    "no content": (OK + b"Content-Length: 0\r\n\r\n", 200, b"", "whole", True),
    "an empty field": (OK + b"X-Empty:\r\nContent-Length: 1\r\n\r\na", 200, b"a", "whole", True),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", 200, b"a", "whole", True),
    "chunks": (CHUNKED + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", 200, b"abcd", "whole", True),
    "a chunk extension": (CHUNKED + b'3;a=b;c="d"\r\nabc\r\n0\r\n\r\n', 200, b"abc", "whole", True),
    "trailers": (CHUNKED + b"3\r\nabc\r\n0\r\nX-A: b\r\n\r\n", 200, b"abc", "whole", True),
    "chunks that break off": (CHUNKED + b"3\r\nabc\r\n", 200, b"abc", "cut", False),
    "a length that is not reached": (OK + b"Content-Length: 4\r\n\r\nabc", 200, b"abc", "cut", False),
    "until the end of the connection": (OK + b"\r\nabc", 200, b"abc", "closed", False),
    "half a head": (OK + b"Content-Le", 0, b"", "cut", False),
    "connection: close": (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na", 200, b"a", "whole", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, b"a", "whole", False),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", "whole", True),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", 304, b"", "whole", True),
    "100 before it": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na", 200, b"a", "whole", True),
    "103 before it": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
        200,
        b"a",
        "whole",
        True,
    ),
    "an offer to upgrade": (
        OK + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na",
        200,
        b"a",
        "whole",
        True,
    ),
    "another response after it": (
        OK + b"Content-Length: 1\r\n\r\na" + OK + b"Content-Length: 1\r\n\r\nb",
        200,
        b"a",
        "whole",
        False,
    ),
    "something after it": (OK + b"Content-Length: 1\r\n\r\nabc", 200, b"a", "whole", False),
    "gzip": (encoded(b"gzip", gzip.compress(TEXT)), 200, TEXT, "whole", True),
    "two members of gzip": (encoded(b"x-gzip", gzip.compress(b"a") + gzip.compress(b"b")), 200, b"ab", "whole", True),
    "deflate": (encoded(b"deflate", compressed(TEXT, 15)), 200, TEXT, "whole", True),
    "deflate without an envelope": (encoded(b"Deflate", compressed(TEXT, -15)), 200, TEXT, "whole", True),
    "identity": (encoded(b"identity", TEXT), 200, TEXT, "whole", True),
    "no content in gzip": (encoded(b"gzip", b""), 200, b"", "whole", True),
}
REFUSALS = {
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a length and chunks": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunks and a length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "a length with a sign": OK + b"Content-Length: +3\r\n\r\nabc",
    "a huge length": OK + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "gzip as transfer encoding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "an unknown transfer encoding": OK + b"Transfer-Encoding: xchunked\r\n\r\nabc",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length in a trailer": CHUNKED + b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
    "a chunk with bare line feeds": CHUNKED + b"3\nabc\n0\n\n",
    "a chunk with a sign": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "a hexadecimal prefix": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a huge chunk": CHUNKED + b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"3\r\nabcde\r\n0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    "a folded field": OK + b"X-A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc",
    "a space before the colon": OK + b"Content-Length : 3\r\n\r\nabc",
    "a zero byte": OK + b"X-A: b\0c\r\n\r\n",
    "a bare carriage return": OK + b"X-A: b\rc\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 1000 OK\r\nContent-Length: 0\r\n\r\n",
    "not HTTP": b"\x00\x01\x02 tide\r\n\r\n",
    "a coding that was not asked for": encoded(b"br", b"abc"),
    "two codings": encoded(b"gzip, gzip", b"abc"),
    "two fields with codings": OK + b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n\r\n",
    "invalid gzip": encoded(b"gzip", b"\x1f\x8b\x08\x00tide"),
    "gzip that breaks off": encoded(b"gzip", gzip.compress(TEXT)[:-4]),
}
REUSABLE = {name: data for name, (data, *_, is_reusable) in ACCEPTED.items() if is_reusable}
accepted = pytest.mark.parametrize("name", ACCEPTED)
refused = pytest.mark.parametrize("name", REFUSALS)


@accepted
def test_a_response_is_the_same_wherever_it_is_cut(name: str) -> None:
    data, *expected = ACCEPTED[name]
    whole = parse(data)
    assert [whole.status, whole.body, whole.ending, whole.is_reusable] == expected
    for cut in range(1, len(data)):
        assert parse(data[:cut], data[cut:]) == whole, cut
    assert parse(*(data[at : at + 1] for at in range(len(data)))) == whole


@refused
def test_a_response_with_two_readings_is_refused_wherever_it_is_cut(name: str) -> None:
    data = REFUSALS[name]
    assert parse(data) == REFUSED
    for cut in range(1, len(data)):
        assert parse(data[:cut], data[cut:]) == REFUSED, cut
    assert parse(*(data[at : at + 1] for at in range(len(data)))) == REFUSED


def test_trailers_and_informational_fields_are_not_fields_of_the_response() -> None:
    data = b"HTTP/1.1 103 Early Hints\r\nX-Hint: a\r\n\r\n" + OK + b"X-B: c\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert parse(data + b"0\r\nX-D: e\r\n\r\n").fields == [(b"X-B", b"c"), (b"Transfer-Encoding", b"chunked")]


@accepted
def test_a_connection_reads_the_next_response_as_if_it_were_the_first(name: str) -> None:
    data, *_ = ACCEPTED[name]
    for first in (REUSABLE[name] for name in REUSABLE):
        for size in (1, 7, len(first + data)):
            parser, response = begun()
            for at in range(0, len(first), size):
                assert parser.feed(response, first[at : at + size]) is None
            assert parser.is_reusable and response.is_complete
            response = Response()
            parser.begin(response)
            for at in range(0, len(data), size):
                if not response.is_complete:
                    assert parser.feed(response, data[at : at + size]) is None
            ending = "whole" if response.is_complete else "closed" if parser.end_of_connection() else "cut"
            alone = parse(*(data[at : at + size] for at in range(0, len(data), size)))
            found = (response.status, response.fields, b"".join(response.pieces), ending)
            assert found == alone[:4], (first, size)


class Reference:
    """The fields of the last head, as httptools parses them."""

    def __init__(self, data: bytes) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self._has_head = False
        self._parser = HttpResponseParser(self)
        with suppress(HttpParserError):
            self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        if not self._has_head:
            self.fields.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            self.fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self._has_head = self._parser.get_status_code() >= 200


_NAMES = st.sampled_from([b"X-A", b"x-a", b"Server", b"Set-Cookie", b"x-Encoding", b"a!#$%&'*+.^_`|~-9"])
_VALUES = st.binary(max_size=12) | st.sampled_from([b"", b" ", b"a: b", b"\tc \t", b"\xff\x80", b"d\te", b":"])
_FIELDS = st.lists(st.tuples(_NAMES, st.sampled_from([b":", b": ", b":\t ", b" :"]), _VALUES), max_size=6)
_EARLY = st.sampled_from([b"", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"])


@given(st.lists(_EARLY, max_size=3), _FIELDS, st.randoms(use_true_random=False))
def test_fields_are_those_that_httptools_reads(
    early: list[bytes], fields: list[tuple[bytes, bytes, bytes]], chance: random.Random
) -> None:
    lines = b"".join(name + colon + value + b"\r\n" for name, colon, value in fields)
    data = b"".join(early) + OK + lines + b"Content-Length: 3\r\n\r\nabc"
    parsed = parse(*cut_at_random(data, chance))
    if parsed != REFUSED:
        assert parsed.fields == Reference(data).fields


def test_the_response_to_a_head_request_has_no_content_and_ends_its_connection() -> None:
    head = OK + b"Content-Length: 3\r\n\r\n"
    assert parse(head, expects_body=False)[2:] == (b"", "whole", False)
    assert parse(head + b"abc", expects_body=False)[2:] == (b"", "whole", False)


def cut_at_random(data: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.choices(range(len(data) + 1), k=chance.randrange(6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(st.binary(max_size=200), st.randoms(use_true_random=False))
def test_random_bytes_are_refused_or_cut_alike_however_they_arrive(data: bytes, chance: random.Random) -> None:
    assert parse(*cut_at_random(data, chance)) == parse(data)


@given(
    st.sampled_from([*(data for data, *_ in ACCEPTED.values()), *REFUSALS.values()]),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3), st.integers(0, 3)), max_size=3),
    st.randoms(use_true_random=False),
)
def test_damaged_responses_are_read_alike_however_they_arrive(
    data: bytes, damages: list[tuple[int, bytes, int]], chance: random.Random
) -> None:
    for at, inserted, removed in damages:
        data = data[:at] + inserted + data[at + removed :]
    assert parse(*cut_at_random(data, chance)) == parse(data)


PIECE = b"x" * 1000
ENDLESS = {
    "a field": OK + b"X-A: ",
    "the head": b"",
    "a trailer": CHUNKED + b"1\r\na\r\n0\r\nX-A: ",
    "a chunk extension": CHUNKED + b"1;",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_comes_to_content_is_refused_at_a_limit(name: str) -> None:
    parser, response = begun()
    assert parser.feed(response, ENDLESS[name] or OK) is None
    piece = PIECE if ENDLESS[name] else b"X-A: " + PIECE + b"\r\n"
    fed = 0
    while parser.feed(response, piece) is None:
        fed += len(piece)
        assert fed <= MAX_HEAD_BYTES


def test_the_largest_head_is_read_and_a_larger_one_refused_though_it_comes_at_once() -> None:
    frame = OK + b"Content-Length: 1\r\nX-A: \r\n\r\n"
    for size, ending in ((MAX_HEAD_BYTES, "whole"), (MAX_HEAD_BYTES + 1, "refused")):
        value = b"x" * (size - len(frame))
        head = OK + b"Content-Length: 1\r\nX-A: " + value + b"\r\n\r\n"
        assert len(head) == size
        assert (parse(head + b"a").ending, parse(head, b"a").ending) == (ending, ending)


def test_informational_responses_without_end_are_refused() -> None:
    parser, response = begun()
    count = 0
    while parser.feed(response, b"HTTP/1.1 100 Continue\r\n\r\n") is None:
        count += 1
        assert count <= MAX_HEAD_BYTES


def test_too_many_fields_are_refused() -> None:
    fields = b"".join(b"X-%d: a\r\n" % number for number in range(MAX_FIELDS))
    assert parse(OK + fields + b"\r\n").ending == "closed"
    assert parse(OK + fields + b"X-More: a\r\n\r\n") == REFUSED


@pytest.mark.parametrize("size", [MAX_DECODED_BYTES - 1, MAX_DECODED_BYTES])
def test_a_piece_that_decodes_to_too_much_is_refused(size: int) -> None:
    parsed = parse(encoded(b"gzip", gzip.compress(bytes(size))))
    assert (parsed == REFUSED) == (size == MAX_DECODED_BYTES)
