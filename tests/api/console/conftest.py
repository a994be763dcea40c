from collections.abc import AsyncIterator

import pytest

from tests.api.console.world import Console, open_console


@pytest.fixture
async def console() -> AsyncIterator[Console]:
    async with open_console() as opened:
        yield opened
