"""Thinking goes back to where it was among the texts and calls of its message."""

from typing import Any

import pytest

from tidegate.chat.reasoning_order import START, Place, in_order, parse_place, place_fields
from tidegate.providers.toolnames import CallIds, NameRules

T1, T2 = {"type": "thinking", "thinking": "1"}, {"type": "thinking", "thinking": "2"}
C1, C2 = {"type": "tool_use", "id": "1"}, {"type": "tool_use", "id": "2"}
MARK = {"type": "ephemeral"}
IMAGE = {"type": "image"}


def text(content: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": content, **fields}


@pytest.mark.parametrize(
    ("places", "content", "expected"),
    [
        ((START, START), [text("abc")], [T1, T2, text("abc"), C1, C2]),
        ((START, Place(0, 1)), [], [T1, C1, T2, C2]),
        ((START, Place(3, 1)), [text("abc")], [T1, text("abc"), C1, T2, C2]),
        (
            (Place(1), Place(3)),
            [text("abc", cache_control=MARK)],
            [text("a"), T1, text("bc", cache_control=MARK), T2, C1, C2],
        ),
        (
            (Place(1), Place(4)),
            [text("ab"), text("cdef")],
            [text("a"), T1, text("b"), text("cd"), T2, text("ef"), C1, C2],
        ),
        ((START, Place(2)), [text("  b")], [T1, T2, text("b"), C1, C2]),
        ((START, Place(2)), [text("ab  ")], [T1, text("ab  "), T2, C1, C2]),
        ((START, Place(2)), [IMAGE, text("ab")], [T1, IMAGE, text("ab"), T2, C1, C2]),
        ((START, Place(99, 99)), [text("ab")], [T1, text("ab"), C1, C2, T2]),
    ],
)
def test_each_block_is_at_its_place(places: Any, content: list[Any], expected: list[Any]) -> None:
    assert in_order(list(zip(places, (T1, T2), strict=True)), content, [[C1], [C2]]) == expected


def test_the_place_survives_as_an_id_and_other_ids_say_nothing() -> None:
    assert [parse_place(place_fields(place).get("id")) for place in (START, Place(12, 3))] == [START, Place(12, 3)]
    assert [parse_place(other) for other in (None, 5, "rs_1", "after_1_characters_x_calls")] == [START] * 4


def test_a_repeated_id_is_replaced_also_in_the_result() -> None:
    ids = CallIds(NameRules("a-z0-9_"))
    first = [ids.for_call("call_0"), ids.for_result("call_0")]
    second = [ids.for_call("call_0"), ids.for_call("call_0"), ids.for_result("call_0"), ids.for_result("call_0")]
    assert first == ["call_0", "call_0"]
    assert second[:2] == second[2:]
    assert len({"call_0", *second}) == 3
    assert ids.for_result("call_0") == second[1], "a second result of one call"
    assert ids.for_result("unknown") == "unknown"


def test_a_call_without_a_result_takes_no_result_of_a_later_one() -> None:
    ids = CallIds(NameRules("a-z0-9_"))
    ids.for_call("call_0")
    ids.for_call("call_1")
    ids.for_result("call_1")
    assert ids.for_call("call_0") == ids.for_result("call_0")
