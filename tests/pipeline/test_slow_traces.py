"""A store of traces that is slow takes neither the memory of the process nor the place of its calls."""

import asyncio
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.server.serving import running
from tests.world import SECRET, USER, Client, world
from tidegate.pipeline import trace
from tidegate.server.limits import ConnectionLimits

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
    max_unsettled = ConnectionLimits().max_unsettled
    assert max_unsettled > trace.MAX_WAITING
    store, number = Slow(), 2 * max_unsettled
    async with world() as client:
        use(store, client)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await client.app({**scope, "state": dict(client.app.lifespan_state)}, receive, send)

        async with running(app) as server, http_client(server.port) as http:
            calls = [asyncio.create_task(http.post("/v1/chat/completions", json=TRACED)) for _ in range(number)]
            for reply in await asyncio.gather(*calls):  # each is answered before its trace is kept
                assert reply.status_code == 200
            assert store.waiting == trace.MAX_WAITING == server.server.state.unsettled
            store.gate.set()
            assert (await http.post("/v1/chat/completions", json=TRACED)).status_code == 200
    assert store.kept == trace.MAX_WAITING + 1
    assert reasons(caplog) == ["TooManyTraces"] * (number - trace.MAX_WAITING)


def http_client(port: int) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {SECRET}"}
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, limits=limits, trust_env=False)


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
