"""Equal calls at once: one leads, the others wait, and whoever is gone keeps nobody waiting."""

import asyncio

import pytest

from tidegate.policy.flights import Flights

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def joined(flights: Flights[str], count: int) -> list[asyncio.Task[str | None]]:
    """Calls that wait, in that order."""
    tasks = [asyncio.create_task(flights.join("a", 60)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_the_first_leads_and_the_others_get_what_it_came_to() -> None:
    flights = Flights[str]()
    assert await flights.join("a", 60) is None
    waiting = await joined(flights, 3)
    assert await flights.join("b", 60) is None
    flights.end("a", "reply")
    assert [await task for task in waiting] == ["reply"] * 3
    assert len(flights) == 1
    flights.end("b", None)
    assert len(flights) == 0
    assert await flights.join("a", 60) is None


async def test_a_leader_that_comes_to_nothing_hands_over_to_the_next() -> None:
    flights = Flights[str]()
    await flights.join("a", 60)
    second, third, fourth = await joined(flights, 3)
    flights.end("a", None)
    assert await second is None
    assert not third.done()
    flights.end("a", None)
    assert await third is None
    flights.end("a", "reply")
    assert await fourth == "reply"
    assert len(flights) == 0


async def test_whoever_left_is_passed_over() -> None:
    flights = Flights[str]()
    await flights.join("a", 60)
    second, third = await joined(flights, 2)
    second.cancel()
    await asyncio.wait({second})
    flights.end("a", None)
    assert await third is None
    flights.end("a", None)
    assert len(flights) == 0


async def test_whoever_leaves_at_the_moment_of_leading_hands_over() -> None:
    flights = Flights[str]()
    await flights.join("a", 60)
    second, third = await joined(flights, 2)
    flights.end("a", None)
    second.cancel()
    await asyncio.wait({second})
    assert second.cancelled()
    assert await third is None
    flights.end("a", None)
    assert len(flights) == 0


async def test_nobody_waits_beyond_their_own_time() -> None:
    flights = Flights[str]()
    await flights.join("a", 60)
    with pytest.raises(TimeoutError):
        await flights.join("a", 0)
    with pytest.raises(TimeoutError):
        await flights.join("a", -1)
    flights.end("a", "reply")
    assert len(flights) == 0
