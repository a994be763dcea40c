"""Long pure work, done in a thread so that the event loop stays free."""

from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

LONG_BYTES = 256 * 1024
"""The size from which on translating a request or counting its words would delay other calls."""

_T = TypeVar("_T")


async def offload(size: int, work: Callable[[], _T], threshold: int = LONG_BYTES) -> _T:
    """Return `work()`; in a thread if it handles more than `threshold` bytes or characters."""
    return await to_thread.run_sync(work) if size > threshold else work()
