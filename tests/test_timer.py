"""One timer for all time limits of an event loop."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.transport.server import always_ok, serving
from tidegate.policy.deadline import DeadlineScope
from tidegate.timer import LOOP_TIMERS, LoopTimer
from tidegate.transport.base import HttpRequest, Timeouts
from tidegate.transport.httptools import HttptoolsTransport
from tidegate.transport.silence import open_with_timeouts

EARLY, LATE = 0.001, 0.05
"""How many seconds before and after its limit a thing may end."""


class Limited:
    """Ends at `limit`; `ends` has the times of the loop at which it did."""

    def __init__(self, timer: LoopTimer, limit: float, on_end: Callable[[], object] = lambda: None) -> None:
        self.timer, self.limit, self.on_end = timer, limit, on_end
        self.checks, self.ends = list[float](), list[float]()
        timer.watched.add(self)
        if limit < timer.fires_at:
            timer.fire_at(limit)

    def check_time(self, now: float) -> float:
        self.checks.append(now)
        if now < self.limit or self.ends:
            return math.inf if self.ends else self.limit
        self.ends.append(self.timer.time())
        self.on_end()
        return math.inf


def running_timer() -> LoopTimer:
    return LOOP_TIMERS[asyncio.get_running_loop()]


def timers_in_loop() -> list[float]:
    """When the event loop will call a `LoopTimer`."""
    loop: Any = asyncio.get_running_loop()
    handles = [handle for handle in loop._scheduled if "LoopTimer" in repr(handle) and not handle.cancelled()]
    return sorted(handle.when() for handle in handles)


@pytest.mark.jumping_clock
async def test_each_ends_at_its_own_limit_by_one_timer() -> None:
    timer = running_timer()
    things = [Limited(timer, seconds) for seconds in (5, 3, 9, 4)]
    assert timers_in_loop() == [3]
    await asyncio.sleep(20)
    assert [thing.ends for thing in things] == [[5], [3], [9], [4]]
    assert timers_in_loop() == []


@pytest.mark.jumping_clock
async def test_a_later_moment_changes_nothing_and_an_earlier_one_counts() -> None:
    timer = running_timer()
    for moment, fires_at in ((7, 7), (8, 7), (2, 2), (5, 2)):
        timer.fire_at(moment)
        assert (timer.fires_at, timers_in_loop()) == (fires_at, [fires_at])


@pytest.mark.jumping_clock
async def test_it_fires_up_to_a_millisecond_early() -> None:
    timer = running_timer()
    thing = Limited(timer, 5 + 0.9 * EARLY)
    timer.fire_at(5)
    await asyncio.sleep(6)
    assert thing.ends == [5]


@pytest.mark.jumping_clock
async def test_many_that_end_one_after_the_other_end_in_groups_and_none_late() -> None:
    timer = running_timer()
    things = [Limited(timer, 5 + number / 1000) for number in range(200)]
    await asyncio.sleep(6)
    assert all(len(thing.ends) == 1 for thing in things)
    assert len({thing.ends[0] for thing in things}) <= 5
    assert all(-EARLY - 1e-9 <= thing.ends[0] - thing.limit <= LATE for thing in things)


@pytest.mark.jumping_clock
async def test_what_asks_for_no_further_check_is_not_checked_for_itself() -> None:
    timer = running_timer()
    thing = Limited(timer, 5)
    await asyncio.sleep(6)
    Limited(timer, 10)
    await asyncio.sleep(20)
    assert (thing.ends, len(thing.checks)) == ([5], 2)
    assert (timer.fires_at, timers_in_loop()) == (math.inf, [])


@pytest.mark.jumping_clock
async def test_what_was_removed_in_time_is_left_alone_and_no_timer_is_left() -> None:
    timer = running_timer()
    thing = Limited(timer, 5)
    timer.watched.discard(thing)
    assert timers_in_loop() == [5]
    await asyncio.sleep(6)
    assert (thing.checks, timer.fires_at, timers_in_loop()) == ([], math.inf, [])


@pytest.mark.jumping_clock
async def test_what_is_removed_while_the_timer_fires_is_not_checked() -> None:
    timer = running_timer()
    things: list[Limited] = []

    def remove_the_others() -> None:
        for thing in things:
            timer.watched.discard(thing)

    things += [Limited(timer, 5, remove_the_others) for _ in range(10)]
    await asyncio.sleep(6)
    assert sorted(len(thing.checks) for thing in things) == [0] * 9 + [1]
    assert (timer.fires_at, timers_in_loop()) == (math.inf, [])


@pytest.mark.jumping_clock
async def test_what_is_added_while_the_timer_fires_ends_in_time() -> None:
    timer = running_timer()
    added: list[Limited] = []
    Limited(timer, 5, lambda: added.append(Limited(timer, 5.01)))
    Limited(timer, 7)
    await asyncio.sleep(6)
    assert [thing.ends for thing in added] == [[5.01]]
    assert timers_in_loop() == [7]


@pytest.mark.jumping_clock
async def test_it_is_stopped_when_nothing_is_watched_and_starts_again() -> None:
    timer = running_timer()
    thing = Limited(timer, 5)
    timer.stop_if_idle()
    assert timers_in_loop() == [5]
    timer.watched.discard(thing)
    timer.stop_if_idle()
    assert (timer.fires_at, timers_in_loop()) == (math.inf, [])
    timer.stop_if_idle()
    again = Limited(timer, 8)
    await asyncio.sleep(9)
    assert (thing.ends, again.ends) == ([], [8])


def test_each_loop_has_its_own_timer_and_closed_loops_are_forgotten() -> None:
    loops = [asyncio.new_event_loop() for _ in range(3)]
    try:
        timers = [LOOP_TIMERS[loop] for loop in loops]
        assert [LOOP_TIMERS[loop] for loop in loops] == timers
        assert len(set(timers)) == 3
        things = [Limited(timer, timer.time() + 0.01) for timer in timers]
        loops[1].run_until_complete(asyncio.sleep(0.1))
        assert [len(thing.ends) for thing in things] == [0, 1, 0]
        loops[0].close()
        new_loop = asyncio.new_event_loop()
        loops.append(new_loop)
        timers.append(LOOP_TIMERS[new_loop])
        assert [loop in LOOP_TIMERS for loop in loops] == [False, True, True, True]
        assert [LOOP_TIMERS[loop] for loop in loops[1:]] == timers[1:]
    finally:
        for loop in loops:
            loop.close()


async def test_deadlines_of_calls_and_limits_of_responses_share_it_and_a_closed_transport_leaves_none() -> None:
    timer = running_timer()
    async with serving(HttptoolsTransport, always_ok) as (transport, url):
        with DeadlineScope(time.time() + 60, time.time):
            async with open_with_timeouts(transport, HttpRequest("POST", url, {}, b"{}"), Timeouts(30)) as response:
                assert {type(watched) for watched in timer.watched} == {DeadlineScope, type(response)}
                assert timers_in_loop() == [timer.fires_at]
        assert timer.watched == set()
    assert timers_in_loop() == []
