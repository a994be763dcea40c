"""What a request says of kept responses."""

from typing import Any

import pytest

from tidegate.errors import InvalidRequest
from tidegate.surfaces.responses.state_fields import StateFields, read_state


def test_all_fields_are_read() -> None:
    raw: dict[str, Any] = {
        "store": False,
        "previous_response_id": "resp_1",
        "conversation": {"id": "conv_1"},
        "background": True,
        "prompt": {"id": "pmpt_1"},
        "input": [{"type": "item_reference", "id": "msg_1"}, {"type": None, "id": "msg_2"}, {"role": "user"}],
    }
    state = read_state(raw)
    assert state == StateFields(False, "resp_1", "conv_1", ("msg_1", "msg_2"), True, {"id": "pmpt_1"})
    assert state.references == ("previous_response_id", "conversation", "input", "prompt")


def test_a_request_without_state_refers_to_nothing() -> None:
    raw: dict[str, Any] = {"store": True, "input": [{"type": "message", "id": "msg_1", "role": "user", "content": ""}]}
    assert (read_state(raw), read_state(raw).references) == (StateFields(True), ())


@pytest.mark.parametrize(
    ("name", "value"),
    [("store", "no"), ("background", 1), ("prompt", "p"), ("previous_response_id", 7), ("conversation", ["c"])],
)
def test_another_type_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_state({name: value})
    assert raised.value.param == name
