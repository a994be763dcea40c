"""Speed, as counts and not by a clock: no call takes more steps than when `counts.json` was written, plus 10 %.

A change that makes calls cheaper lowers the bounds with `python -m tests.bench.counts --write`.
"""

import pytest

from tests.bench import counts
from tests.bench.counts import CALLS, CHECKED, Count

BOUNDS = counts.read_bounds()

pytestmark = pytest.mark.skipif(BOUNDS is None, reason=f"counts.json has no bounds for Python {counts.PYTHON}")


@pytest.fixture(scope="module")
def measured() -> dict[str, Count]:
    return counts.measure()


@pytest.mark.parametrize("name", [*CALLS, CHECKED])
def test_a_call_takes_no_more_steps_than_its_bound(measured: dict[str, Count], name: str) -> None:
    assert BOUNDS is not None
    bound = BOUNDS[name]
    assert measured[name].total <= bound, f"see python -m tests.bench.counts --rooms {name!r}"


def test_no_bound_is_left_for_a_call_that_is_not_counted() -> None:
    assert BOUNDS is not None
    assert set(BOUNDS) == {*CALLS, CHECKED}
