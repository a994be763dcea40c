"""Long work runs beside the event loop."""

import asyncio
import threading

import pytest

from tidegate.domain.words import count_words
from tidegate.offload import LONG_BYTES, REST_SECONDS, in_turns, offload, run_in_thread


async def test_only_long_work_runs_in_a_thread() -> None:
    here = threading.current_thread()
    assert await offload(LONG_BYTES, threading.current_thread) is here
    assert await offload(LONG_BYTES + 1, threading.current_thread) is not here


async def test_an_error_of_the_work_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        await run_in_thread(lambda: 1 // 0)


async def test_a_cancelled_caller_leaves_at_once_and_its_work_goes_on() -> None:
    begun, may_end, has_ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(10)
        has_ended.set()

    caller = asyncio.create_task(run_in_thread(work))
    while not begun.is_set():  # noqa: ASYNC110, a thread sets it
        await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not has_ended.is_set()
    may_end.set()
    assert has_ended.wait(10)


async def test_only_a_thread_rests_between_the_pieces_of_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr("time.sleep", rests.append)
    pieces = ["one", "two", "three"]
    assert in_turns(pieces) is pieces
    assert await run_in_thread(lambda: list(in_turns(pieces))) == pieces
    assert rests == [REST_SECONDS] * 3


async def test_a_long_text_is_counted_with_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr("time.sleep", rests.append)
    assert await run_in_thread(lambda: count_words("a word. " * 100_000)) == 200_000
    assert len(rests) == 13


async def test_lookups_of_addresses_do_not_wait_for_long_work() -> None:
    may_end = threading.Event()
    long_work = [asyncio.create_task(run_in_thread(lambda: may_end.wait(10))) for _ in range(50)]
    await asyncio.sleep(0)
    try:
        assert await asyncio.wait_for(asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80), 5)
    finally:
        may_end.set()
        await asyncio.gather(*long_work)
