from collections.abc import AsyncIterator

import pytest

from tests.store_worlds import World, aws_world


@pytest.fixture(params=["aws_endpoint", "sqlite_endpoint"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The ports over a new table."""
    async with aws_world(request.getfixturevalue(request.param)) as room:
        yield room
