"""How the steps of a call grow, counted: in proportion to what it brings, and not with what the process knows."""

import pytest

from tests.bench import growth
from tests.bench.growth import KNOWN_NAME, PROMPTS, STREAMS, Growth
from tidegate.chat import estimate

PARTS = ("messages", "tool calls", "texts of embeddings")
"""What a request has many of: each takes time of its own, so that bytes alone do not tell when to use a thread."""


@pytest.fixture(scope="module")
def measured() -> dict[str, Growth]:
    return growth.measure()


@pytest.mark.parametrize("name", [*PROMPTS, *STREAMS])
def test_no_module_takes_more_than_in_proportion(measured: dict[str, Growth], name: str) -> None:
    assert growth.faults(measured[name]) == {}


def test_a_call_takes_no_more_steps_when_many_keys_workspaces_and_models_are_known(
    measured: dict[str, Growth],
) -> None:
    first, *others = (count.total for count in measured[KNOWN_NAME].counts)
    assert max(others) <= 1.01 * first


@pytest.mark.parametrize("name", [*PARTS, *STREAMS])
def test_a_call_with_many_parts_leaves_the_event_loop_to_others(measured: dict[str, Growth], name: str) -> None:
    largest = measured[name].counts[-1]
    assert largest.longest_turn <= largest.total / 5


@pytest.mark.parametrize("name", ["bytes", "bytes beyond ASCII"])
def test_a_long_prompt_is_counted_piece_by_piece(measured: dict[str, Growth], name: str) -> None:
    """One step of C holds up all other threads, however long it takes: `str.split` of 10 MB took 40 ms."""
    before, after = (measured[name].counts[at].by_room["tidegate/chat/estimate.py"] for at in (0, -1))
    assert after >= before * measured[name].sizes[-1] / estimate.PIECE_CHARACTERS / 3


def test_a_module_that_grows_with_the_square_is_found() -> None:
    sizes = (1, 30, 900)
    squares = tuple(growth.Count({"square.py": size * size // 100, "line.py": 7 * size}, 0) for size in sizes)
    assert set(growth.faults(Growth(sizes, squares))) == {"square.py"}
