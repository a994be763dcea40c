"""The world of the batch tests itself: its clock, its deliveries, and the deaths of its workers."""

from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.batch.world import Killed, Provider, Worker, batch_world, jsonl, numbers, request, requests
from tests.world import new_call
from tidegate.batch.messages import RunPart, Sweep
from tidegate.batch.ports import TryLater


def test_lines_have_numbers() -> None:
    assert numbers(requests(3)) == [0, 1, 2]
    assert jsonl([{"a": 1}, b"\xff"]) == b'{"a": 1}\n\xff\n'


async def test_a_message_comes_when_it_is_due() -> None:
    async with batch_world() as world:
        await world.queue.send(RunPart("ws_test", "batch_1", 0), 30.0)
        await world.queue.send(Sweep())
        assert (world.queue.take_due(), world.queue.take_due()) == (Sweep(), None)
        world.clock.move(30.0)
        assert world.queue.take_due() == RunPart("ws_test", "batch_1", 0)


@pytest.mark.parametrize(("number", "is_stored"), [(1, False), (2, True)])
async def test_a_dead_worker_makes_no_access_any_more(number: int, is_stored: bool) -> None:
    async with batch_world(kill_at=[number]) as world:
        worker = Worker(world.deaths)
        components = worker.components(world.components)
        if number == 2:
            assert await components.objects.size("one") is None
        with pytest.raises(Killed):
            await components.objects.put("one", b"1")
        with pytest.raises(Killed):
            await components.objects.put("two", b"2")
        with pytest.raises(Killed):
            await components.objects.writer("three").__aenter__()
        assert await world.components.objects.list_keys("") == (["one"] if is_stored else [])
        assert (worker.died.is_set(), world.deaths.killed) == (True, 1)


async def test_the_gateway_of_a_worker_asks_the_provider_of_the_test() -> None:
    provider = Provider(lambda prompt, number: httpx.Response(418 + number, json={"error": {"message": prompt}}))
    async with batch_world(provider) as world:
        gateway = Worker(world.deaths).components(world.components).gateway
        call = await new_call(gateway, request(7)["body"])
        with pytest.raises(Exception, match="Line 7"):
            async with gateway.answer(call):
                pass
        assert provider.prompts == ["Line 7."]
        assert world.deaths.accesses == 1  # its record; the workspace has no limit
        assert world.held() == []
        assert [record["status"] for record in await world.records()] == ["failed"]
        assert replace(gateway, clock=world.clock).clock() >= world.clock.begin


class Scripted:
    """The table of an engine whose sweeps do what the test wants."""

    def __init__(self, inner: Any, error: BaseException, times: int) -> None:
        self.inner, self.error, self.left = inner, error, times
        self.sweeps = 0

    async def claim_once(self, claim: str, seconds: float) -> bool:
        self.sweeps += 1
        if self.left:
            self.left -= 1
            raise self.error
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


async def test_a_fault_in_a_step_fails_the_test() -> None:
    async with batch_world() as world:
        world.components = replace(world.components, table=Scripted(world.components.table, ZeroDivisionError(), 1))
        await world.queue.send(Sweep())
        with pytest.raises(ZeroDivisionError):
            await world.run_until_idle()


async def test_a_message_that_comes_again_is_not_doubled_again() -> None:
    async with batch_world(copies=2) as world:
        table = Scripted(world.components.table, TryLater(30.0), 20)
        world.components = replace(world.components, table=table)
        await world.queue.send(Sweep())
        await world.run_until_idle()
        assert (table.sweeps, table.left) == (22, 0)
        assert world.clock() - world.clock.begin == pytest.approx(300.0, abs=1.0)
