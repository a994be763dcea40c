"""A call that is sent in several requests, because its provider takes only so much at once. All or none is answered."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec.structs import replace

from tidegate.domain.operation import Reply
from tidegate.errors import UpstreamError
from tidegate.providers.base import FurtherRequests, UpstreamRequest

REQUESTS_AT_ONCE = 8
"""How many requests of one call are sent at the same time: more would use up a provider's rate for other calls."""


class PartReply(Protocol):
    """The reply to one of the requests."""

    @property
    def reply(self) -> Reply | None: ...


async def ask_all(
    open_part: Callable[..., AbstractAsyncContextManager[PartReply]],
    first: UpstreamRequest,
    further: FurtherRequests,
    deadline: float,
    clock: Callable[[], float],
) -> Reply:
    """Send `first` and the requests of `further`; return one reply, made of all. `deadline` is in UTC seconds.

    `open_part` is `Upstream.open`, without the request. The first failure ends the others and is raised.
    """
    limit, answered = asyncio.Semaphore(REQUESTS_AT_ONCE), 0

    async def ask(request: UpstreamRequest) -> Reply:
        nonlocal answered
        async with limit, open_part(request=request, seconds=deadline - clock()) as part:
            # The requests do not stream, so that each has a whole reply.
            assert part.reply is not None  # noqa: S101
            answered += 1
            return part.reply

    tasks = [asyncio.create_task(ask(request)) for request in (replace(first, further=None), *further.requests)]
    try:
        return further.join(await asyncio.gather(*tasks))
    except UpstreamError as error:
        error.has_answered_part = answered > 0
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
