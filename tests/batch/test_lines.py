"""Lines of a batch's input: where they are cut, which are accepted, and what is said about the others."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.work import lines_of
from tidegate.api.app import ENDPOINTS
from tidegate.batch.lines import BYTE_ORDER_MARK, BatchLine, CutLine, LineCutter, is_blank, parse_line, part_lines
from tidegate.domain.batch import BatchFault
from tidegate.json import MAX_NESTING

ENDPOINT = "/v1/chat/completions"
BODY = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


def line(**changes: object) -> bytes:
    """An acceptable line, changed; fields that are `...` are left out."""
    fields = {"custom_id": "one", "method": "POST", "url": ENDPOINT, "body": BODY, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def parse(data: bytes, endpoint: str = ENDPOINT) -> BatchLine | BatchFault:
    return parse_line(data, endpoint, ENDPOINTS)


def test_a_request_keeps_the_bytes_of_its_body() -> None:
    body = b'{ "messages" :[],"model":"m\\u00fc", "x":1e999, "y": "\xc3\xbc"}'
    data = b' {"custom_id":"a","extra":[1],"method":"POST","url":"/v1/chat/completions","body":%b}\r' % body
    assert parse(data) == BatchLine("a", "mü", body)


def test_the_last_of_repeated_keys_counts_as_in_the_body_of_a_call() -> None:
    data = line()[:-1] + b',"custom_id":"two","body":{"stream":true,"stream":false,"model":"a","model":"b"}}'
    assert parse(data) == BatchLine("two", "b", b'{"stream":true,"stream":false,"model":"a","model":"b"}')


def test_paths_of_one_endpoint_match() -> None:
    expected = BatchLine("one", "openai/gpt-4o", json.dumps(BODY).encode())
    assert parse(line(url="/chat/completions")) == expected
    assert parse(line(), "/chat/completions") == expected
    assert parse(line(url="/chat/completions"), "/unknown") == parse(line(url="/unknown"))


@pytest.mark.parametrize("stream", [False, None, "yes"])
def test_what_is_not_a_stream_is_left_to_the_operation(stream: object) -> None:
    body = {**BODY, "stream": stream}
    assert parse(line(body=body)) == BatchLine("one", "openai/gpt-4o", json.dumps(body).encode())


NOT_JSON = BatchFault("invalid_json_line", "This line is not parseable as valid JSON.")


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"a,b,c",
        b"{",
        line()[:-1],
        line() + line(),
        line() + b"\x00",
        b"\x00" * 50,
        line().replace(b"Hello", b"\x00"),
        line().replace(b"Hello", b"\xff"),
        line().replace(b'"one"', b'"\xff"'),
        line().replace(b"Hello", b"\\ud800"),
        line().replace(b'"one"', b'"\\ud800"'),
        BYTE_ORDER_MARK + line(),
        line().decode().encode("utf-16"),
        line().replace(b'"Hello"', b"NaN"),
        line().replace(b'"Hello"', b"01"),
        b"",
    ],
)
def test_a_line_that_is_not_json_is_told(data: bytes) -> None:
    assert parse(data) == NOT_JSON


@pytest.mark.parametrize(
    ("depth", "told"),
    [
        (MAX_NESTING, f"This line is nested more than {MAX_NESTING} levels deep."),
        (1_000, f"This line is nested more than {MAX_NESTING} levels deep."),
        (100_000, "This line has more than 12,000 objects and arrays."),
    ],
)
def test_nesting_beyond_the_limit_is_told_however_deep(depth: int, told: str) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    assert parse(line().replace(b'"Hello"', nested)) == BatchFault("invalid_json_line", told)
    assert parse(line().replace(b'"Hello"', b"[" * depth)) in (BatchFault("invalid_json_line", told), NOT_JSON)


@pytest.mark.parametrize("data", [b"[]", b'"text"', b'["%b"]' % (b"x" * 100)])
def test_json_that_is_not_an_object_is_told(data: bytes) -> None:
    assert parse(data) == BatchFault("invalid_json_line", "This line is not a JSON object.")


def missing(name: str) -> BatchFault:
    return BatchFault("missing_required_parameter", f"Missing required parameter: '{name}'.", param=name)


def wrong_type(name: str, expected: str, kind: str) -> BatchFault:
    return BatchFault(
        "invalid_type", f"Invalid type for '{name}': expected {expected}, but got {kind} instead.", None, name
    )


NO_MODEL = BatchFault("invalid_request", "Model parameter is required.", param="body.model")
OTHER_URL = BatchFault(
    "invalid_url", "The URL provided for this request does not match the batch endpoint.", param="url"
)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        *(({name: absent}, missing(name)) for name in ("custom_id", "method", "url", "body") for absent in (..., None)),
        ({"custom_id": 7}, wrong_type("custom_id", "a string", "an integer")),
        ({"custom_id": 7.5}, wrong_type("custom_id", "a string", "a decimal")),
        ({"custom_id": 10**400}, wrong_type("custom_id", "a string", "an integer")),
        ({"custom_id": ["a"]}, wrong_type("custom_id", "a string", "an array")),
        ({"method": True}, wrong_type("method", "a string", "a boolean")),
        ({"url": {}}, wrong_type("url", "a string", "an object")),
        ({"body": "{}"}, wrong_type("body", "an object", "a string")),
        ({"body": [BODY]}, wrong_type("body", "an object", "an array")),
        ({"body": {**BODY, "model": 4}}, wrong_type("body.model", "a string", "an integer")),
        ({"body": {}}, NO_MODEL),
        ({"body": {"model": None}}, NO_MODEL),
        ({"body": {"model": ""}}, NO_MODEL),
        (
            {"custom_id": ""},
            BatchFault(
                "empty_string",
                "Invalid 'custom_id': empty string. Expected a string with minimum length 1, but got an empty string "
                "instead.",
                param="custom_id",
            ),
        ),
        (
            {"custom_id": "ü" * 513},
            BatchFault(
                "string_above_max_length",
                "Invalid 'custom_id': string too long. Expected a string with maximum length 512, but got a string "
                "with length 513 instead.",
                param="custom_id",
            ),
        ),
        (
            {"method": "GET"},
            BatchFault("invalid_value", "Invalid value: 'GET'. Supported values are: 'POST'.", param="method"),
        ),
        ({"url": "/v1/embeddings"}, OTHER_URL),
        ({"url": "https://api.openai.com/v1/chat/completions"}, OTHER_URL),
        (
            {"body": {**BODY, "stream": True}},
            BatchFault("streaming_unsupported", "Streaming is not supported in the Batch API.", param="body.stream"),
        ),
    ],
)
def test_a_wrong_field_is_told_as_openai_tells_it(changes: dict[str, object], fault: BatchFault) -> None:
    assert parse(line(**changes)) == fault


def test_512_characters_are_a_custom_id() -> None:
    parsed = parse(line(custom_id="ü" * 512))
    assert isinstance(parsed, BatchLine)
    assert parsed.custom_id == "ü" * 512


@given(
    st.binary(max_size=80)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["custom_id", "method", "url", "body", "model", "stream"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_a_line_is_it_is_a_request_or_a_fault(data: bytes) -> None:
    assert isinstance(parse(data), BatchLine | BatchFault)


def cut(chunks: list[bytes], limit: int = 100) -> list[CutLine]:
    cutter = LineCutter(limit)
    return [*(found for chunk in chunks for found in cutter.feed(chunk)), *cutter.last()]


def test_lines_are_cut_with_their_places() -> None:
    assert cut([b"one\ntw", b"o\r\n\n", b"", b"three"]) == [
        CutLine(1, 0, 4, b"one"),
        CutLine(2, 4, 9, b"two\r"),
        CutLine(4, 10, 15, b"three"),
    ]


def test_a_byte_order_mark_is_skipped_at_the_start_only() -> None:
    assert cut([BYTE_ORDER_MARK + b"a\n" + BYTE_ORDER_MARK + b"b"]) == [
        CutLine(1, 3, 5, b"a"),
        CutLine(2, 5, 9, BYTE_ORDER_MARK + b"b"),
    ]


BLANK_LINES = [b"", b"\r", b" \t\r", b" " * 18, b" " * 20, b" " * 21, b"\t" * 45]
"""The last two are too long for a cutter with a limit of 20 bytes."""


def cut_one_by_one(file: bytes, limit: int) -> list[CutLine]:
    """The lines of a file, each looked at for itself."""
    found: list[CutLine] = []
    first = 0
    for number, data in enumerate(file.split(b"\n"), 1):
        end = min(first + len(data) + 1, len(file))
        if len(data) > limit:
            found.append(CutLine(number, first, first, None))
        elif not is_blank(data):
            found.append(CutLine(number, first, end, data))
        first = end
    return found


@given(st.lists(st.sampled_from([*BLANK_LINES, b"a", b" b\r", b"c" * 30]), max_size=12), st.data())
def test_blank_lines_are_counted_and_left_out_wherever_chunks_end(texts: list[bytes], data: st.DataObject) -> None:
    file = b"\n".join(texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(file)), max_size=5)))
    found = cut([file[first:end] for first, end in zip([0, *cuts], [*cuts, len(file)], strict=True)], 20)
    places = [line if line.data is not None else line._replace(end=line.first_byte) for line in found]
    assert places == cut_one_by_one(file, 20)


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" \t\n", b"\n \n\r\n"])
def test_runs_of_blank_lines_take_few_steps(blank: bytes) -> None:
    run = blank * (100_000 // len(blank))
    data = run + b"a\n" + run + b"b"
    chunks = [data[first : first + 10_000] for first in range(0, len(data), 10_000)]
    found: list[CutLine] = []
    assert lines_of(lambda: found.extend(cut(chunks, 1_000_000))) < 30 * len(chunks)
    number = run.count(b"\n") + 1
    assert found == [
        CutLine(number, len(run), len(run) + 2, b"a"),
        CutLine(2 * number, 2 * len(run) + 2, 2 * len(run) + 3, b"b"),
    ]
    assert lines_of(lambda: part_lines(data, 3)) < 200


def test_white_space_alone_is_not_a_request() -> None:
    assert [is_blank(data) for data in (b"", b" \t\r", b"\r", b"\x00", b"\x0c", b"{}")] == [True] * 3 + [False] * 3


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_line_that_is_too_long_is_told_once_and_never_held(size: int) -> None:
    data = b"a\n" + b"x" * 101 + b"\nb\n" + b"y" * 100 + b"\n" + b"z" * 500
    chunks = [data[first : first + size] for first in range(0, len(data), size)]
    found = cut(chunks)
    assert [(line.number, line.first_byte, line.data) for line in found] == [
        (1, 0, b"a"),
        (2, 2, None),
        (3, 104, b"b"),
        (4, 106, b"y" * 100),
        (5, 207, None),
    ]


@given(st.lists(st.sampled_from([*BLANK_LINES, b"a", b"bb\r", b"c" * 30]), max_size=8), st.booleans(), st.data())
def test_a_cutter_continues_where_another_has_stopped(texts: list[bytes], ends: bool, data: st.DataObject) -> None:
    file = b"\n".join(texts) + (b"\n" if ends and texts else b"")
    expected = cut([file], 20)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(file)), max_size=5)))
    found: list[CutLine] = []
    cutter = LineCutter(20)
    for first, end in zip([0, *cuts], [*cuts, len(file)], strict=True):
        first = max(first, cutter.next_byte) if first else 0
        cutter = LineCutter(
            20, next_byte=cutter.next_byte, next_number=cutter.next_number, in_long_line=cutter.in_long_line
        )
        found += cutter.feed(file[cutter.next_byte : max(end, cutter.next_byte)])
    found += cutter.last()
    assert [line[:2] + line[3:] for line in found] == [line[:2] + line[3:] for line in expected]


def test_a_part_has_as_many_lines_as_were_counted() -> None:
    assert part_lines(b"a\r\n\n \nb", 2) == [b"a\r", b"b"]
    assert part_lines(b"a\nb\nc\n", 2) == [b"a", b"b"]
    assert part_lines(BYTE_ORDER_MARK + b"\nb\n", 2) == [BYTE_ORDER_MARK, b"b"]
    assert part_lines(b"a\n", 3) == [b"a", b"", b""]


@given(
    st.lists(st.sampled_from([*BLANK_LINES, b"a", b" b\r", b"c" * 30]), max_size=8), st.booleans(), st.integers(0, 8)
)
def test_a_part_has_the_lines_that_were_cut(texts: list[bytes], ends: bool, count: int) -> None:
    data = b"\n".join(texts) + (b"\n" if ends else b"")
    lines = [line.data or b"" for line in cut([data], limit=1_000)]
    assert part_lines(data, count) == (lines + [b""] * count)[:count]
