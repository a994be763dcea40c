import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from tidegate.aws.sweeper import Sweeper, SweepResult
from tidegate.errors import StoreUnavailable
from tidegate.local.background_sweeper import with_sweeper


class Broom:
    """A sweeper whose second run fails."""

    def __init__(self) -> None:
        self.runs = 0
        self.open = False
        self.swept = asyncio.Event()

    async def run(self) -> SweepResult:
        self.runs += 1
        if self.runs == 2:
            raise StoreUnavailable("down")
        if self.runs == 3:
            self.swept.set()
            await asyncio.Event().wait()
        return SweepResult()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Sweeper]:
        self.open = True
        yield cast(Sweeper, self)
        self.open = False


@asynccontextmanager
async def inside() -> AsyncIterator[str]:
    yield "the gateway"


async def test_the_server_sweeps_until_it_ends_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        broom, pauses = Broom(), list[float]()

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.sleep(0)

        async with with_sweeper(inside(), broom.opened(), pause) as value:
            assert (value, broom.open) == ("the gateway", True)
            await broom.swept.wait()
        assert (broom.runs, broom.open, pauses) == (3, False, [60, 60, 60])
    assert [record.message for record in caplog.records] == ["sweeper.failed"]
