"""Lines of a batch's input: cut at bytes, and checked one by one, with OpenAI's codes and messages for their faults.

An input is JSONL in UTF-8. A byte order mark at its start, carriage returns and empty lines are ignored.
Sources: https://platform.openai.com/docs/guides/batch, and for the codes, the integration tests of ogx-ai/ogx and
https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch#error-codes (read 2026-11).
"""

import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from tidegate.domain.batch import BatchFault
from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface
from tidegate.json import JsonTooComplex, check_complexity

MAX_CUSTOM_ID_CHARACTERS = 512
"""OpenAI documents no limit; its other texts that callers choose, such as values of `metadata`, have this one."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_BLANK = b" \t\r"
_BLANK_LINES = re.compile(rb"[ \t\r\n]*\n")
"""Line ends, and the white space between them. 200 MB of these take 0.14 s, and one by one 106 s (2026-11)."""

_KINDS = {"t": "a boolean", "f": "a boolean", "n": "null", "[": "an array", "{": "an object", '"': "a string"}


class BatchLine(Struct, frozen=True, gc=False):
    """One request of a batch. `body` is the JSON object for the endpoint, as it was sent."""

    custom_id: str
    model: str
    body: bytes


class CutLine(NamedTuple):
    """A line of a file: its number from 1, its place, and its bytes without the line end.

    `data` is None for a line that is too long; its `end`, where the next line begins, is not known then.
    """

    number: int
    first_byte: int
    end: int
    data: bytes | None


class _Body(Struct):
    model: str
    stream: bool | None = None


class _Line(Struct):
    custom_id: str
    method: str
    url: str
    body: Raw


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_body = msgspec.json.Decoder(_Body).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


class LineCutter:
    """Cuts the chunks of a file into lines, and skips blank ones. Holds at most `max_line_bytes` beside a chunk.

    `next_byte` and `next_number` are the place and the number of the line that is not complete yet: a cutter with
    these continues there. If `in_long_line`, they are inside of a line that was given out as too long.
    """

    def __init__(
        self, max_line_bytes: int, *, next_byte: int = 0, next_number: int = 1, in_long_line: bool = False
    ) -> None:
        self.next_byte, self.next_number, self.in_long_line = next_byte, next_number, in_long_line
        self._max_line_bytes = max_line_bytes
        self._start = b""

    def feed(self, chunk: bytes) -> Iterator[CutLine]:
        """Give out the lines that end in this chunk, and one that has become too long."""
        first = 0
        if self.next_byte == 0 and not self._start and chunk.startswith(BYTE_ORDER_MARK):
            first = self.next_byte = len(BYTE_ORDER_MARK)
        while (end := chunk.find(b"\n", first)) >= 0:
            if self.in_long_line:
                self._skip(end + 1 - first, 1)
                first = end + 1
                continue
            data = self._start + chunk[first:end] if self._start else chunk[first:end]
            if is_blank(data) and len(data) <= self._max_line_bytes:
                first = self._skip_blank_lines(chunk, len(data), end)
            else:
                yield self._cut(data, 1)
                first = end + 1
        if self.in_long_line:
            self.next_byte += len(chunk) - first
            return
        self._start += chunk[first:]
        if len(self._start) > self._max_line_bytes:
            yield CutLine(self.next_number, self.next_byte, self.next_byte, None)
            self.next_byte += len(self._start)
            self._start, self.in_long_line = b"", True

    def last(self) -> Iterator[CutLine]:
        """Give out the last line if the file does not end with a line end, or with white space."""
        if not is_blank(self._start):
            yield self._cut(self._start, 0)

    def _cut(self, data: bytes, end_bytes: int) -> CutLine:
        first_byte, number = self.next_byte, self.next_number
        self.next_byte, self.next_number, self._start = first_byte + len(data) + end_bytes, number + 1, b""
        return CutLine(number, first_byte, self.next_byte, data if len(data) <= self._max_line_bytes else None)

    def _skip_blank_lines(self, chunk: bytes, length: int, end: int) -> int:
        """Skip a blank line of this length, which ends here, and blank ones after it; return where the next one begins.

        It looks ahead by `max_line_bytes` only, so that it skips no line that is longer.
        """
        match = _BLANK_LINES.match(chunk, end, end + 1 + self._max_line_bytes)
        next_line = match.end() if match else end + 1
        self._start = b""
        self._skip(length + next_line - end, chunk.count(b"\n", end, next_line))
        return next_line

    def _skip(self, length: int, lines: int) -> None:
        self.next_byte, self.next_number, self.in_long_line = self.next_byte + length, self.next_number + lines, False


def is_blank(data: bytes) -> bool:
    """True if the line has only white space, so that it is not a request."""
    return not data.strip(_BLANK)


def part_lines(data: bytes, count: int) -> list[bytes]:
    """The `count` requests in the bytes of a part. Those that are missing, because the file has changed, are empty."""
    lines = data.split(b"\n", count)[:count]
    if len(lines) == count and all(line.strip(_BLANK) for line in lines):
        return lines
    cutter = LineCutter(len(data), next_byte=1)  # a part does not begin with the file's byte order mark
    lines = [line.data or b"" for line in islice(chain(cutter.feed(data), cutter.last()), count)]
    return [*lines, *[b""] * (count - len(lines))]


def parse_line(
    data: bytes, endpoint: str, endpoints: Mapping[str, tuple[Surface, Operation]]
) -> BatchLine | BatchFault:
    """Return the request in a line for the batch's endpoint, or why it is not acceptable."""
    try:
        if not data.isascii():
            data.decode()  # msgspec does not look into what it keeps raw
        check_complexity(data)
        line = _decode_line(data)
        body = _decode_body(line.body)
    except JsonTooComplex as error:
        return BatchFault("invalid_json_line", f"This line {error}.")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _explain(data, endpoint, endpoints)
    is_named = 0 < len(line.custom_id) <= MAX_CUSTOM_ID_CHARACTERS
    is_for_endpoint = line.method == "POST" and (line.url == endpoint or _is_alias(line.url, endpoint, endpoints))
    if is_named and is_for_endpoint and body.model and not body.stream:
        return BatchLine(line.custom_id, body.model, bytes(line.body))
    return _explain(data, endpoint, endpoints)


def _explain(data: bytes, endpoint: str, endpoints: Mapping[str, tuple[Surface, Operation]]) -> BatchLine | BatchFault:
    """Check a line field by field. Only fields of the gateway's own matter: the operation checks the others."""
    try:
        data.decode()
        fields = _decode_fields(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if data.lstrip()[:1] in (b"[", b'"') and _is_json(data):
            return BatchFault("invalid_json_line", "This line is not a JSON object.")
        return BatchFault("invalid_json_line", "This line is not parseable as valid JSON.")
    for name in ("custom_id", "method", "url", "body"):
        if name not in fields or bytes(fields[name]) == b"null":
            return BatchFault("missing_required_parameter", f"Missing required parameter: {name!r}.", param=name)
    texts: dict[str, str] = {}
    for name in ("custom_id", "method", "url"):
        if _kind(fields[name]) != "a string":
            return _wrong_type(name, "a string", fields[name])
        texts[name] = _decode_text(fields[name])
    return (
        _custom_id_fault(texts["custom_id"])
        or _target_fault(texts["method"], texts["url"], endpoint, endpoints)
        or _check_body(texts["custom_id"], fields["body"])
    )


def _custom_id_fault(custom_id: str) -> BatchFault | None:
    if not custom_id:
        message = (
            "Invalid 'custom_id': empty string. Expected a string with minimum length 1, but got an empty string "
            "instead."
        )
        return BatchFault("empty_string", message, param="custom_id")
    if len(custom_id) > MAX_CUSTOM_ID_CHARACTERS:
        message = (
            f"Invalid 'custom_id': string too long. Expected a string with maximum length {MAX_CUSTOM_ID_CHARACTERS}, "
            f"but got a string with length {len(custom_id)} instead."
        )
        return BatchFault("string_above_max_length", message, param="custom_id")
    return None


def _target_fault(
    method: str, url: str, endpoint: str, endpoints: Mapping[str, tuple[Surface, Operation]]
) -> BatchFault | None:
    if method != "POST":
        message = f"Invalid value: {method[:20]!r}. Supported values are: 'POST'."
        return BatchFault("invalid_value", message, param="method")
    if url != endpoint and not _is_alias(url, endpoint, endpoints):
        message = "The URL provided for this request does not match the batch endpoint."
        return BatchFault("invalid_url", message, param="url")
    return None


def _check_body(custom_id: str, body: Raw) -> BatchLine | BatchFault:
    if _kind(body) != "an object":
        return _wrong_type("body", "an object", body)
    fields = _decode_fields(body)
    model = fields.get("model")
    if model is None or bytes(model) in (b"null", b'""'):
        return BatchFault("invalid_request", "Model parameter is required.", param="body.model")
    if _kind(model) != "a string":
        return _wrong_type("body.model", "a string", model)
    if bytes(fields.get("stream", b"")) == b"true":
        message = "Streaming is not supported in the Batch API."
        return BatchFault("streaming_unsupported", message, param="body.stream")
    return BatchLine(custom_id, _decode_text(model), bytes(body))


def _is_alias(url: str, endpoint: str, endpoints: Mapping[str, tuple[Surface, Operation]]) -> bool:
    """True if both paths lead to one surface and operation, such as those with and without `/v1`."""
    return endpoint in endpoints and endpoints.get(url) == endpoints[endpoint]


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except msgspec.DecodeError:
        return False
    return True


def _kind(value: Raw) -> str:
    """The kind of a JSON value, with its article."""
    text = bytes(value).decode()
    return _KINDS.get(text[0]) or ("an integer" if text.lstrip("-").isdigit() else "a decimal")


def _wrong_type(param: str, expected: str, value: Raw) -> BatchFault:
    message = f"Invalid type for {param!r}: expected {expected}, but got {_kind(value)} instead."
    return BatchFault("invalid_type", message, param=param)
