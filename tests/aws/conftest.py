from collections.abc import AsyncIterator

import pytest

from tests.store_worlds import World, aws_world


@pytest.fixture
async def world(aws_endpoint: str) -> AsyncIterator[World]:
    """The ports over a new table."""
    async with aws_world(aws_endpoint) as room:
        yield room
