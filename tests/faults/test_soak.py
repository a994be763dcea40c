"""A small storm: everything has one record, and nothing is left open or held. `make soak` is the large one."""

import pytest

from tests.faults.soak import soak

pytestmark = pytest.mark.slow


def test_nothing_is_lost_and_nothing_is_left() -> None:
    soaked = soak(400)
    assert (soaked.faults, len(soaked.results)) == ([], 400)
    assert set(soaked.statuses) == {"ok", "failed", "cancelled", "cached"}
