"""Types of parsed JSON, and the only JSON codec of the data plane."""

import re
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from tidegate.lazy import late_pattern

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
JsonObject: TypeAlias = dict[str, Json]
_Text = TypeVar("_Text", bytes, str)

MAX_NESTING = 100
"""The most objects and arrays within each other in a caller's JSON: no walk over it reaches Python's limit of 1,000
calls within each other. Schemas of tools have 5 to 20; OpenAI refuses more than 10 in a strict one (2026)."""

MAX_CONTAINERS = 12_000
"""The most objects and arrays in a caller's JSON: to decode, check and translate one takes up to 5 µs (2026-11).

What OpenAI accepts has fewer: 2,048 messages with a tool call or a part have up to 8,200, 128 tools with twenty
parameters each 3,000.
"""

_decoder: msgspec.json.Decoder[Json] = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")

_STRING_OR_NOT_A_NUMBER = late_pattern(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|-?\b(?:NaN|Infinity)\b', re.S)
_ESCAPE = late_pattern(
    r"\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][\da-fA-F]{2})|\\.", re.S
)

_SHORT = 4096
"""Data of which all brackets are counted: with `find`, each of them would take as long as a kilobyte."""

_PARENTHESES = bytes.maketrans(b"[]{}", b"()()")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


decode: Callable[[bytes | str], Json] = _decoder.decode
"""Returns the value in the bytes or text. Raises `msgspec.DecodeError` unless it is one JSON value in UTF-8."""


def decode_reply(data: bytes | str) -> Json:
    """The value in `data`, which a provider sent, as tolerant as Python's `json`. Raises `msgspec.DecodeError`.

    Half a surrogate pair becomes U+FFFD; NaN and the infinities become null.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        return _decoder.decode(_STRING_OR_NOT_A_NUMBER.sub(_repair, text))


def _repair(token: re.Match[str]) -> str:
    text = token[0]
    if not text.startswith('"'):
        return "null"
    return _ESCAPE.sub(_replace_half, text) if "\\u" in text else text


def _replace_half(escape: re.Match[str]) -> str:
    return "\ufffd" if escape["half"] else escape[0]


def decode_reply_or_none(data: bytes | str) -> Json:
    """The value in `data`, which a provider sent; None if it is not JSON."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _or_none(decode_reply, data)


class JsonTooComplex(ValueError):
    """JSON with too many objects and arrays, or with too many within each other. Its text continues "The body"."""


def decode_bounded(data: bytes | str) -> Json:
    """The value in `data`, which a caller wrote. Raises `JsonTooComplex`, and `msgspec.DecodeError` like `decode`."""
    check_complexity(data)
    return _decoder.decode(data)


def count_containers(text: str) -> int:
    """The number of objects and arrays in JSON text; if it is small, perhaps too many."""
    brackets = _count_brackets(text)
    return brackets if brackets <= MAX_NESTING else len(_brackets_outside_strings(text.encode("utf-8", "replace"))) // 2


def _count_brackets(data: bytes | str) -> int:
    """The number of opening brackets, those in strings included; of many in long data, `MAX_NESTING` + 1 are counted.

    In 10 MB with few, `find` takes 0.5 ms, and `count` 11 ms, in which no other thread runs (2026-11).
    """
    if isinstance(data, str):
        return data.count("{") + data.count("[") if len(data) <= _SHORT else _count_first(data.find, "{", "[")
    return data.count(b"{") + data.count(b"[") if len(data) <= _SHORT else _count_first(data.find, b"{", b"[")


def _count_first(find: Callable[[_Text, int], int], *brackets: _Text) -> int:
    found = 0
    for bracket in brackets:
        at = find(bracket, 0)
        while at >= 0 and found <= MAX_NESTING:
            found += 1
            at = find(bracket, at + 1)
    return found


def check_complexity(data: bytes | str) -> None:
    """Raise `JsonTooComplex` for JSON beyond `MAX_CONTAINERS` or `MAX_NESTING`. Other texts pass, or raise it."""
    if _count_brackets(data) <= MAX_NESTING:
        return
    pairs = _brackets_outside_strings(data.encode("utf-8", "replace") if isinstance(data, str) else data)
    if len(pairs) > 2 * MAX_CONTAINERS:
        raise JsonTooComplex(f"has more than {MAX_CONTAINERS:,} objects and arrays")
    for _ in range(MAX_NESTING):
        without_innermost = pairs.replace(b"()", b"")
        if len(without_innermost) == len(pairs):
            break  # none are left, or they do not match
        pairs = without_innermost
    if b"()" in pairs or pairs.count(b"(") > MAX_NESTING:
        raise JsonTooComplex(f"is nested more than {MAX_NESTING} levels deep")


def _brackets_outside_strings(data: bytes) -> bytes:
    """All brackets of JSON as parentheses, without those in its strings."""
    if b"\\" in data:
        data = data.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(data.split(b'"')[::2]).translate(_PARENTHESES, _NOT_BRACKETS)


def decode_or_none(data: bytes | str) -> Json:
    """The value in `data`; None if it is not JSON."""
    return _or_none(decode, data)


def decode_bounded_or_none(data: bytes | str) -> Json:
    """The value in `data`, which a caller or a model wrote; None if it is not JSON, or too complex."""
    return _or_none(decode_bounded, data)


def _or_none(decode_: Callable[[bytes | str], Json], data: bytes | str) -> Json:
    try:
        return decode_(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, JsonTooComplex):
        return None


encode: Callable[[object], bytes] = _encoder.encode
"""Returns a value as compact JSON in UTF-8. A `Decimal` becomes a string with all its digits: round money first."""


def encode_canonical(value: Json) -> bytes:
    """`value` as JSON with sorted keys: equal values have equal bytes."""
    return _canonical.encode(value)
