import asyncio
import logging
from typing import cast

import pytest

from tidegate.aws.sweeper import Sweeper, SweepResult
from tidegate.errors import StoreUnavailable
from tidegate.local.background_sweeper import sweep_in_background


class Broom:
    """A sweeper whose second run fails."""

    def __init__(self) -> None:
        self.runs = 0
        self.swept = asyncio.Event()

    async def run(self) -> SweepResult:
        self.runs += 1
        if self.runs == 2:
            raise StoreUnavailable("down")
        if self.runs == 3:
            self.swept.set()
            await asyncio.Event().wait()
        return SweepResult()


async def test_the_server_sweeps_until_it_ends_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        broom, pauses = Broom(), list[float]()

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.sleep(0)

        async with sweep_in_background(cast(Sweeper, broom), pause):
            await broom.swept.wait()
        assert (broom.runs, pauses) == (3, [60, 60, 60])
        assert not [task for task in asyncio.all_tasks() if "_sweep" in repr(task)]
    assert [record.message for record in caplog.records] == ["sweeper.failed"]
