"""JSON and bytes, changed at random: valid for the most part, so that they get far."""

import json
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

ODD_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 0.5, 1e308, -1e-308, float("nan"), float("inf")),
    *("", " ", "a", "null", "{}", "[", '"', "\x00", "\ud800", "\u202e🙂", "a" * 3_000, "../../etc", "%00", "\r\nx: y"),
    *(
        "data:image/png;base64,AAAA",
        "data:,",
        "data:;base64,=",
        "https://a.example/b.png",
        "http://127.0.0.1/",
        "s3://a/b",
    ),
    *([], {}, [[]], [None], {"": None}, {"type": None}, {"type": "a"}, {"$ref": "#"}, {"role": "user"}, ["a"] * 50),
    *("text", "function", "tool", "assistant", "tool_use", "thinking", "user", "system", "error", "stop"),
]
"""Values that some code may not expect where they stand."""


def _nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


rarely = st.integers(0, 7).map(lambda number: number == 7)
"""True once in eight times; hypothesis prefers small numbers."""

VALUES = st.one_of(
    st.sampled_from(ODD_VALUES).map(deepcopy),
    st.integers(1, 300).map(_nested),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
)


@st.composite
def mutated(draw: st.DrawFn, value: Any, most: int = 2) -> Any:
    """`value` with a few of its parts replaced, removed, doubled or added."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(0, most))):
        value = _mutate(draw, value)
    return value


def _mutate(draw: st.DrawFn, root: Any) -> Any:
    holder, key, part = None, None, root
    while isinstance(part, list | dict) and part and draw(st.integers(0, 7)):
        holder = part
        key = draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
        part = part[key]
    if holder is None or key is None:
        return draw(VALUES)
    match draw(st.integers(0, 5)):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, part)
        case 1 | 2 if isinstance(holder, dict):
            holder[draw(st.sampled_from(sorted(holder))) if draw(st.booleans()) else draw(st.text(max_size=8))] = part
        case 3 if isinstance(part, str):
            holder[key] = part[: draw(st.integers(0, len(part)))] + draw(
                st.sampled_from(["", "\\", '"', "{", "\x00", "é"])
            )
        case _:
            holder[key] = draw(VALUES)
    return root


@st.composite
def mutated_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """`data`, most often as it is, or with some bytes cut, changed, doubled or put in."""
    if not draw(rarely):
        return data
    place = draw(st.integers(0, len(data)))
    length = draw(st.integers(0, 20))
    piece = draw(
        st.sampled_from([b"", b"\xff", b"\x00", b'"', b"\\", b"\n\n", b"\r\n", b"data: ", b"{", b"]", b"1" * 5_000])
    )
    match draw(st.integers(0, 2)):
        case 0:
            return data[:place]
        case 1:
            return data[:place] + data[place : place + length] * 2 + data[place + length :]
        case _:
            return data[:place] + piece + data[place + length :]


def as_json(value: Any) -> bytes:
    """The value as JSON; what JSON cannot say, such as NaN or half a surrogate, is written all the same."""
    return json.dumps(value).encode()
