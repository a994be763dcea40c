from collections.abc import AsyncIterator

import pytest

from tests.store_worlds import World, aws_world, memory_world


@pytest.fixture(params=["memory", "aws_endpoint", "sqlite_endpoint"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Each of the rooms behind the ports."""
    if request.param == "memory":
        yield memory_world()
        return
    async with aws_world(request.getfixturevalue(request.param)) as room:
        yield room
