"""Connections of attempts are closed at the end of a call."""

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tidegate.pipeline.attempt import OpenConnections


async def test_all_are_closed_the_newest_first_also_if_one_raises() -> None:
    closed: list[str] = []

    @asynccontextmanager
    async def context():
        yield
        closed.append("context")

    def closer(name: str, error: Exception | None = None) -> Callable[[], Awaitable[None]]:
        async def close() -> None:
            closed.append(name)
            if error is not None:
                raise error

        return close

    connections, entered = OpenConnections(), context()
    await entered.__aenter__()
    connections.add(closer("oldest"))
    connections.add_context(entered)
    connections.add(closer("failing", ZeroDivisionError()))
    connections.add(closer("newest"))
    with pytest.raises(ZeroDivisionError):
        await connections.close()
    await connections.close()
    assert closed == ["newest", "failing", "context", "oldest"]
