"""Equal calls at once: one leads, the others wait, and whoever is gone keeps nobody waiting."""

import asyncio

import pytest

from tidegate.policy.single_flight import SingleFlight


async def joined(flights: SingleFlight[str, bytes], count: int) -> list[asyncio.Task[bytes | None]]:
    """Calls that wait, in that order."""
    tasks = [asyncio.create_task(flights.join("a", 60)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_the_first_leads_and_the_others_get_what_it_came_to() -> None:
    flights = SingleFlight[str, bytes]()
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
    flights = SingleFlight[str, bytes]()
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
    flights = SingleFlight[str, bytes]()
    await flights.join("a", 60)
    second, third = await joined(flights, 2)
    second.cancel()
    await asyncio.wait({second})
    flights.leave("a")
    assert await third is None
    flights.leave("a")
    assert len(flights) == 0


async def test_whoever_leaves_at_the_moment_of_leading_hands_over() -> None:
    flights = SingleFlight[str, bytes]()
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
    flights = SingleFlight[str, bytes]()
    await flights.join("a", 60)
    second, third = await joined(flights, 2)
    second.cancel()
    flights.resolve("a", b"reply")
    assert await third == b"reply"
    flights.leave("a")
    await asyncio.wait({second})
    assert len(flights) == 0


async def test_nobody_waits_beyond_their_own_time() -> None:
    flights = SingleFlight[str, bytes]()
    await flights.join("a", 60)
    with pytest.raises(TimeoutError):
        await flights.join("a", 0)
    with pytest.raises(TimeoutError):
        await flights.join("a", -1)
    flights.resolve("a", b"reply")
    flights.leave("a")
    assert len(flights) == 0


async def test_callers_of_equal_work_at_the_same_time_share_its_result() -> None:
    flights, started, gate = SingleFlight[str, bytes](), 0, asyncio.Event()

    async def work() -> bytes:
        nonlocal started
        started += 1
        await gate.wait()
        return b"reply"

    callers = [asyncio.create_task(flights.run("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    assert (await asyncio.gather(*callers), started, len(flights)) == ([b"reply"] * 3, 1, 0)
    assert (await flights.run("a", work), started) == (b"reply", 2)


async def test_callers_of_equal_work_at_the_same_time_share_its_error() -> None:
    flights, started, gate = SingleFlight[str, bytes](), 0, asyncio.Event()

    async def work() -> bytes:
        nonlocal started
        started += 1
        await gate.wait()
        raise ValueError("gone")

    callers = [asyncio.create_task(flights.run("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    callers[2].cancel()
    gate.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError, asyncio.CancelledError]
    assert (started, len(flights)) == (1, 0)


async def test_work_whose_caller_is_cancelled_is_done_by_the_next() -> None:
    flights, started, gate = SingleFlight[str, bytes](), 0, asyncio.Event()

    async def work() -> bytes:
        nonlocal started
        started += 1
        await gate.wait()
        return b"reply"

    leader, *others = [asyncio.create_task(flights.run("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    leader.cancel()
    await asyncio.wait({leader})
    gate.set()
    assert (await asyncio.gather(*others), started, len(flights)) == ([b"reply"] * 2, 2, 0)
