"""How the steps of a call grow, counted: in proportion to what it brings, and not with what the process knows."""

import pytest

from tests.bench import growth
from tests.bench.growth import KNOWN_NAME, PROMPTS, STREAMS, Growth

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


def test_a_module_that_grows_with_the_square_is_found() -> None:
    sizes = (1, 30, 900)
    squares = tuple(growth.Count({"square.py": size * size // 100, "line.py": 7 * size}, 0) for size in sizes)
    assert set(growth.faults(Growth(sizes, squares))) == {"square.py"}
