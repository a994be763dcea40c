"""What is ours of the default transport alone: its library's ways with cancellations."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from tidegate.transport import reqwest


class Late:
    """An answer whose head comes in the moment in which nobody waits for it any more. It keeps what it is told then."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.is_left = False
        self.kept: BaseException | None = None

    async def __aenter__(self) -> str:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            self.kept = error
            return "the head"
        raise AssertionError

    async def __aexit__(self, *_: object) -> None:
        self.is_left = True


async def test_a_head_that_comes_too_late_is_left_at_once() -> None:
    late: Any = Late()
    waiting = asyncio.create_task(reqwest.enter_stream(late))
    await late.asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert late.is_left


def test_a_library_that_keeps_a_cancellation_keeps_nothing_of_the_call() -> None:
    class Call:
        pass

    calls: list[weakref.ref[Call]] = []

    async def ask(late: Any) -> None:
        call = Call()
        calls.append(weakref.ref(call))
        await reqwest.enter_stream(late)

    async def main() -> Late:
        late = Late()
        waiting = asyncio.create_task(ask(late))
        await late.asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return late

    late = asyncio.run(main())
    gc.collect()
    assert late.kept is not None and [call() for call in calls] == [None]
