import asyncio
import logging
import time
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest

from tests.store_worlds import outcome
from tidegate.aws.sweeper import Sweeper, SweepResult
from tidegate.errors import StoreUnavailable
from tidegate.local import background_sweeper
from tidegate.local.background_sweeper import sweep_in_background
from tidegate.local.stores import StoreOptions, open_store
from tidegate.sqlite.folder import DataFolder


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


@pytest.mark.parametrize("name", ["memory", "local"])
async def test_a_call_is_soon_in_the_aggregates(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert background_sweeper.ROLL_INTERVAL_SECONDS == 5
    monkeypatch.setattr(background_sweeper, "ROLL_INTERVAL_SECONDS", 0.01)
    options = StoreOptions(name, DataFolder(tmp_path), demo_key="sk-tidegate-test-key-of-this-test")
    with ExitStack() as stack:
        store = await asyncio.to_thread(open_store, options, {}, stack)
        async with store.open_planes() as planes, asyncio.timeout(20):
            aggregates = planes.control.aggregates
            assert aggregates is not None
            await planes.gateway.meter.record(outcome(at=time.time(), workspace_id="ws_demo"))
            # The server's background task writes them.
            while not (found := await aggregates.find("ws_demo", "2000-01-01T00", "2100-01-01T00")):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert [each.calls for each in found.values()] == [1]
