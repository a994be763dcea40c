"""Deadlines: what callers may write, which of them counts, and what happens when one passes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tidegate.errors import DeadlinePassed, GatewayTimeout, InvalidRequest
from tidegate.policy.deadline import SLACK_SECONDS, DeadlineScope, earliest_deadline, parse_deadline

NOON = 1_795_262_400.0


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        (None, None),
        ("1795262400", NOON),
        ("1795262400.25", NOON + 0.25),
        ("2026-11-21T12:00:00Z", NOON),
        ("2026-11-21T12:00:00.250+00:00", NOON + 0.25),
        ("2026-11-21T17:30:00+05:30", NOON),
        ("20261121T120000Z", NOON),
        ("2026-11-21 12:00Z", NOON),
        ("0", 0.0),
    ],
)
def test_moments(header: str | None, moment: float | None) -> None:
    assert parse_deadline(header) == moment


@pytest.mark.parametrize(
    "header",
    [
        *("soon", "2026-11-21", "2026-11-21T12:00:00", "12:00", "1795262400000", "-5", "1e9", "nan", "inf", "٣"),
        *("2026-11-31T12:00:00Z", "10000-01-01T00:00:00Z", "2026-11-21T12:00:00+25:00", "1795262400 "),
    ],
)
def test_what_is_no_moment_is_refused_by_the_headers_name(header: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_deadline(header)
    assert (caught.value.status, caught.value.param) == (400, "x-request-deadline")


@pytest.mark.parametrize(
    ("seconds", "moments", "deadline"),
    [
        ([600.0], [], NOON + 600),
        ([600.0, None, 30.0], [None, NOON + 60], NOON + 30),
        ([600.0, 90.0], [NOON + 60, NOON + 50], NOON + 50),
        ([600.0], [NOON - 1], NOON - 1),
    ],
)
def test_the_first_deadline_counts(seconds: list[float | None], moments: list[float | None], deadline: float) -> None:
    assert earliest_deadline(NOON, seconds, moments) == deadline


def at(now: float) -> Callable[[], float]:
    return lambda: now


@pytest.mark.jumping_clock
async def test_what_takes_longer_is_ended() -> None:
    with pytest.raises(GatewayTimeout) as caught:
        with DeadlineScope(NOON + 5, at(NOON)):
            await asyncio.sleep(100)
    assert (caught.value.status, caught.value.code) == (504, "gateway_timeout")
    assert asyncio.get_running_loop().time() == 5 + SLACK_SECONDS


@pytest.mark.jumping_clock
@pytest.mark.parametrize("deadline", [NOON + 101, None])
async def test_what_ends_in_time_is_left_alone(deadline: float | None) -> None:
    with DeadlineScope(deadline, at(NOON)):
        await asyncio.sleep(100)


@pytest.mark.jumping_clock
async def test_nothing_begins_after_its_deadline_and_trying_again_does_not_help() -> None:
    with pytest.raises(DeadlinePassed) as caught:
        with DeadlineScope(NOON, at(NOON)):
            raise AssertionError
    assert (caught.value.status, caught.value.code, caught.value.should_retry) == (504, "gateway_timeout", False)


async def end_of(deadline: float) -> float:
    """When a block that would take longer ends, in seconds by the clock of the loop."""
    with pytest.raises(GatewayTimeout):
        with DeadlineScope(deadline, at(NOON)):
            await asyncio.sleep(100)
    return asyncio.get_running_loop().time()


@pytest.mark.jumping_clock
async def test_blocks_end_at_their_own_deadlines_by_one_timer() -> None:
    blocks = asyncio.gather(*(end_of(NOON + seconds) for seconds in (5, 3, 4)))
    await asyncio.sleep(0)
    loop: Any = asyncio.get_running_loop()
    timers = [timer for timer in loop._scheduled if "LoopTimer" in repr(timer)]
    assert [timer.cancelled() for timer in timers].count(False) == 1
    assert await blocks == pytest.approx([5.1, 3.1, 4.1])


@pytest.mark.jumping_clock
async def test_blocks_that_end_one_after_the_other_end_in_groups() -> None:
    ends = await asyncio.gather(*(end_of(NOON + 5 + number / 1000) for number in range(200)))
    assert len(set(ends)) <= 6
    assert all(-0.002 < end - (5 + number / 1000 + SLACK_SECONDS) < 0.06 for number, end in enumerate(ends))


@pytest.mark.jumping_clock
async def test_a_block_that_has_ended_is_no_more_waited_for() -> None:
    with DeadlineScope(NOON + 2, at(NOON)):
        pass
    assert await end_of(NOON + 5) == pytest.approx(5.1)
    with DeadlineScope(NOON + 600, at(NOON)):
        pass
    assert await end_of(NOON + 5) == pytest.approx(10.2)


def test_each_loop_has_its_own_timer() -> None:
    for _ in range(3):
        with pytest.raises(GatewayTimeout):
            asyncio.run(_end_at_once())


async def _end_at_once() -> None:
    with DeadlineScope(NOON + 0.01, at(NOON)):
        await asyncio.sleep(10)


@pytest.mark.jumping_clock
async def test_a_timeout_of_somebody_elses_is_passed_on() -> None:
    with pytest.raises(TimeoutError):
        with DeadlineScope(NOON + 5, at(NOON)):
            raise TimeoutError
