"""Long pure work, done in a thread so that the event loop stays free."""

from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

from tidegate.domain.call import Call

LONG_BYTES = 256 * 1024
"""The size from which on translating a request or counting its words would delay other calls."""

_T = TypeVar("_T")


async def offload_call(call: Call, work: Callable[[], _T]) -> _T:
    """Return `work()`; for a long request in a thread."""
    return await offload(call.request.size, work) if call.request.size > LONG_BYTES else work()


async def offload(size: int, work: Callable[[], _T]) -> _T:
    """Return `work()`; in a thread if it handles more than `LONG_BYTES`."""
    return await to_thread.run_sync(work) if size > LONG_BYTES else work()
