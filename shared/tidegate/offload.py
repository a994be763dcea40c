"""Long pure work, done in a thread so that the event loop stays free."""

import asyncio
import concurrent.futures
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TypeVar

LONG_BYTES = 256 * 1024
"""The size of a request from which on translating a request or counting its words would delay other calls."""

PART_BYTES = 512
"""How many bytes of text take as long as one message or one text of a request does by itself: 3.3 µs (2026-11)."""

SWITCH_SECONDS = 0.001
"""How long a thread may keep the interpreter while the event loop waits for it. With Python's own 5 ms, the loop got
two thirds as many turns while a prompt of 10 MB was counted (2026-11).
"""

REST_SECONDS = 0.0003
"""How long a thread rests after each piece of its work, which takes as long.

Without rests it takes the interpreter after each callback of the event loop: 1,000 open streams were 34 ms late while a
prompt of 10 MB was counted (2026-11).
"""

_MAX_THREADS = 40
"""asyncio's own threads are few, and look up the addresses of hosts, which must not wait for a long prompt."""

_T = TypeVar("_T")
_thread = threading.local()


async def offload(size: int, work: Callable[[], _T], threshold: int = LONG_BYTES) -> _T:
    """Return `work()`; in a thread if it handles more than `threshold` bytes or characters."""
    if size <= threshold:
        return work()
    sys.setswitchinterval(SWITCH_SECONDS)
    return await run_in_thread(work)


async def run_in_thread(work: Callable[[], _T]) -> _T:
    """Return `work()`, which runs in a thread. When the caller is cancelled, the thread goes on to its end."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), work)


def in_turns(pieces: Iterable[_T]) -> Iterable[_T]:
    """Return the pieces of long work. In a thread of `offload`, the event loop has a turn after each of them."""
    return _with_rests(pieces) if getattr(_thread, "is_offloaded", False) else pieces


def _with_rests(pieces: Iterable[_T]) -> Iterator[_T]:
    for piece in pieces:
        yield piece
        time.sleep(REST_SECONDS)


@cache
def _threads() -> concurrent.futures.Executor:
    return concurrent.futures.ThreadPoolExecutor(_MAX_THREADS, "tidegate", _mark_thread)


def _mark_thread() -> None:
    _thread.is_offloaded = True
