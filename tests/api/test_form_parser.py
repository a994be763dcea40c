"""The parser of forms: any content, in pieces of any size."""

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.batch_app import form
from tidegate.api.form_parser import FormParser, header_options
from tidegate.errors import InvalidRequest

BOUNDARY = b"XbX"

TRICKY = st.lists(
    st.sampled_from(
        [b"\r\n", b"\r", b"\n", b"-", b"--", b"--Xb", b"\r\n--Xb", b"--XbY", b"X", b"a", b"\r\n\r\n", b"\xff"]
    )
).map(b"".join)
"""Contents that nearly have a delimiter; one that has it cannot be sent with this boundary."""


def parsed(pieces: Iterable[bytes]) -> tuple[list[tuple[Any, bytes]], bool]:
    """The options and the content of all parts, and whether the form was complete."""
    parser, parts, content = FormParser(BOUNDARY), list[tuple[Any, bytes]](), bytearray()
    options: Any = None
    for piece in pieces:
        parser.feed(piece)
        while parser.events:
            match parser.events.popleft():
                case dict() as options:
                    content = bytearray()
                case bytearray() as data:
                    assert data
                    content += data
                case None:
                    parts.append((options, bytes(content)))
    return parts, parser.is_complete


def cut(body: bytes, sizes: list[int]) -> Iterable[bytes]:
    place = 0
    for size in sizes:
        yield body[place : place + size]
        place += size
    yield body[place:]


@given(
    st.lists(TRICKY.filter(lambda content: b"\r\n--XbX" not in b"\r\n" + content), min_size=1, max_size=3),
    st.lists(st.integers(0, 40), max_size=20),
)
def test_a_form_is_read_alike_in_whatever_pieces_it_comes(contents: list[bytes], sizes: list[int]) -> None:
    fields = {f"field {number}": ("a;\xe4.jsonl", content) for number, content in enumerate(contents)}
    body = form(fields, BOUNDARY.decode())
    expected = [
        ({b"name": name.encode(), b"filename": "a;\xe4.jsonl".encode()}, content)
        for name, (_, content) in fields.items()
    ]
    assert parsed(cut(body, sizes)) == (expected, True)
    assert parsed(body[place : place + 1] for place in range(len(body))) == (expected, True)
    assert parsed([body + b"\r\nmore \r\n--XbX\r\n"]) == (expected, True)


@given(st.binary(max_size=60), st.integers(0, 3))
def test_any_bytes_are_a_form_or_refused(data: bytes, size: int) -> None:
    for begin in (b"", b"--XbX", b"--XbX\r\n", b"--XbX\r\ncontent-disposition: form-data; name=a\r\n\r\n"):
        body = begin + data
        pieces = [body] if size == 0 else [body[place : place + size] for place in range(0, len(body), size)]
        with suppress(InvalidRequest):
            parsed(pieces)


def test_a_part_without_content_or_headers_is_a_part() -> None:
    body = b"--XbX\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--XbX  \r\n\r\n\r\n--XbX--"
    assert parsed([body]) == ([({b"name": b"a"}, b""), ({}, b"")], True)


@pytest.mark.parametrize("end", [0, 3, 5, 6, 7, 30, 60])
def test_a_form_that_is_cut_off_is_not_complete(end: int) -> None:
    assert parsed([form({"a": "content"}, "XbX")[:end]])[1] is False


@pytest.mark.parametrize("body", [b"preamble\r\n--XbX\r\n", b"--XbY\r\n", b"--XbXY\r\n", b"--XbX" + b" " * 9_000])
def test_what_does_not_begin_like_a_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parsed([body])


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (b'form-data; name="file"; filename="a.jsonl"', {b"name": b"file", b"filename": b"a.jsonl"}),
        (b"form-data; name=file;filename=a.jsonl", {b"name": b"file", b"filename": b"a.jsonl"}),
        (rb'form-data; name="a\"b\\c"', {b"name": rb'a"b\c'}),
        (rb'form-data; filename="C:\dir\x"', {b"filename": rb"C:\dir\x"}),
        (b'form-data; NAME="a; b=c"', {b"name": b"a; b=c"}),
        (b"form-data; name=a; filename*=UTF-8''b", {b"name": b"a", b"filename*": b"UTF-8''b"}),
        (b"form-data", {}),
        (b"", {}),
    ],
)
def test_options_of_headers_are_read(value: bytes, options: dict[bytes, bytes]) -> None:
    assert header_options(value) == options


@pytest.mark.parametrize("content", [b"\r\n", b"\r", b"\r\n--Xb", b"\r\n--", b"--XbX", b'{"a": 1}\r\n'])
def test_no_content_costs_much(content: bytes) -> None:
    body = form({"file": ("a", content * (2**20 // len(content)))}, "XbX")
    started = time.process_time()
    parsed(body[place : place + 65_536] for place in range(0, len(body), 65_536))
    header_options(b'; a="' + b"\\" * 8_000)
    assert time.process_time() - started < 0.05
