from collections.abc import AsyncIterator

import pytest

from tests.api.admin.world import Api, open_api


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made
