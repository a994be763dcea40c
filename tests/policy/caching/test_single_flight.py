"""Equal calls at once: one leads, the others wait, and whoever is gone keeps nobody waiting."""

import asyncio

import pytest

from tidegate.policy.caching.single_flight import SingleFlight


async def joined(flights: SingleFlight, count: int) -> list[asyncio.Task[bytes | None]]:
    """Calls that wait, in that order."""
    tasks = [asyncio.create_task(flights.join("a", 60)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_the_first_leads_and_the_others_get_what_it_came_to() -> None:
    flights = SingleFlight()
    assert await flights.join("a", 60) is None
    waiting = await joined(flights, 3)
    assert await flights.join("b", 60) is None
    flights.resolve("a", b"reply")
    assert [await task for task in waiting] == [b"reply"] * 3
    assert await flights.join("a", 60) == b"reply"
    flights.leave("a")
    assert len(flights) == 1
    flights.leave("b")
    assert len(flights) == 0
    assert await flights.join("a", 60) is None


async def test_a_leader_that_comes_to_nothing_hands_over_to_the_next() -> None:
    flights = SingleFlight()
    await flights.join("a", 60)
    second, third, fourth = await joined(flights, 3)
    flights.leave("a")
    assert await second is None
    assert not third.done()
    flights.leave("a")
    assert await third is None
    flights.resolve("a", b"reply")
    assert await fourth == b"reply"
    flights.leave("a")
    assert len(flights) == 0


async def test_whoever_left_is_passed_over() -> None:
    flights = SingleFlight()
    await flights.join("a", 60)
    second, third = await joined(flights, 2)
    second.cancel()
    await asyncio.wait({second})
    flights.leave("a")
    assert await third is None
    flights.leave("a")
    assert len(flights) == 0


async def test_whoever_leaves_at_the_moment_of_leading_hands_over() -> None:
    flights = SingleFlight()
    await flights.join("a", 60)
    second, third = await joined(flights, 2)
    flights.leave("a")
    second.cancel()
    await asyncio.wait({second})
    assert second.cancelled()
    assert await third is None
    flights.leave("a")
    assert len(flights) == 0


async def test_whoever_leaves_when_it_lands_is_no_matter() -> None:
    flights = SingleFlight()
    await flights.join("a", 60)
    second, third = await joined(flights, 2)
    second.cancel()
    flights.resolve("a", b"reply")
    assert await third == b"reply"
    flights.leave("a")
    await asyncio.wait({second})
    assert len(flights) == 0


async def test_nobody_waits_beyond_their_own_time() -> None:
    flights = SingleFlight()
    await flights.join("a", 60)
    with pytest.raises(TimeoutError):
        await flights.join("a", 0)
    with pytest.raises(TimeoutError):
        await flights.join("a", -1)
    flights.resolve("a", b"reply")
    flights.leave("a")
    assert len(flights) == 0
