"""Long pure work, done in a thread so that other calls go on."""

from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

from tidegate.domain.call import Call

LONG_BYTES = 256 * 1024
"""Other calls should not wait until a longer request is translated and its words are counted."""

_T = TypeVar("_T")


async def offload_call(call: Call, work: Callable[[], _T]) -> _T:
    """What pure `work` gives. That of a long request is done in a thread, beside the other calls."""
    return await offload(call.request.size, work) if call.request.size > LONG_BYTES else work()


async def offload(size: int, work: Callable[[], _T]) -> _T:
    """The same of anything of that `size` in bytes."""
    return await to_thread.run_sync(work) if size > LONG_BYTES else work()
