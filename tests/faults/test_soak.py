"""A small storm: everything has one record, and nothing is left open or held. `make soak` is the large one."""

import pytest

from tests.faults.soak import soak

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("transport", ["httptools", "pyreqwest", "aiohttp"])
def test_nothing_is_lost_and_nothing_is_left(transport: str) -> None:
    soaked = soak(400, transport)
    assert (soaked.faults, len(soaked.results)) == ([], 400)
    # A client that means to leave may have its answer before.
    assert set(soaked.statuses) - {"cancelled"} == {"ok", "failed", "cached"}
