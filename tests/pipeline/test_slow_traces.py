"""A store of traces that is slow takes neither the memory of the process nor the place of its calls."""

import asyncio
from itertools import islice
from typing import Any

import pytest
from msgspec.structs import replace

from tests.world import USER, Client, world
from tidegate.local.graceful_shutdown import MAX_UNSETTLED, SettlementGuard
from tidegate.pipeline import trace

TRACED: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER, "observability": True}


class Slow:
    """A store of traces that waits."""

    def __init__(self) -> None:
        self.reached, self.gate, self.waiting, self.kept = asyncio.Event(), asyncio.Event(), 0, 0

    async def keep(self, *_: object) -> None:
        self.waiting += 1
        self.reached.set()
        await self.gate.wait()
        self.kept += 1


def use(store: Slow, client: Client) -> None:
    state = client.app.lifespan_state
    state["gateway"] = replace(state["gateway"], open_traces=lambda: store)


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(line)["reason"] for line in caplog.records if line.message == "trace.lost"]


async def test_calls_do_not_wait_for_the_traces_of_others(caplog: pytest.LogCaptureFixture) -> None:
    assert trace.MAX_WAITING < MAX_UNSETTLED
    store, number = Slow(), 2 * MAX_UNSETTLED
    async with world() as client:
        use(store, client)
        guarded: Any = SettlementGuard(client.app)
        guarded.lifespan_state = client.app.lifespan_state
        guarded_client = Client(guarded, client.recorder, client.requests)
        calls = [asyncio.create_task(guarded_client.post(TRACED)) for _ in range(number)]
        for answered in islice(asyncio.as_completed(calls), number - trace.MAX_WAITING):
            assert (await answered).status == 200
        assert store.waiting == trace.MAX_WAITING
        store.gate.set()
        assert {reply.status for reply in await asyncio.gather(*calls)} == {200}
        await guarded_client.post(TRACED)
    assert store.kept == trace.MAX_WAITING + 1
    assert reasons(caplog) == ["TooManyTraces"] * (number - trace.MAX_WAITING)


async def test_large_traces_wait_up_to_a_size(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "MAX_WAITING_BYTES", 100_000)
    store, large = Slow(), {**TRACED, "messages": [{"role": "user", "content": "x" * 120_000}]}
    async with world() as client:
        use(store, client)
        first = asyncio.create_task(client.post(large))
        await store.reached.wait()
        assert (await client.post(TRACED)).status == 200
        store.gate.set()
        assert (await first).status == 200
    assert (store.kept, reasons(caplog)) == (1, ["TooManyTraces"])
