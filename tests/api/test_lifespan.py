"""The data plane's life as the lifespan protocol tells it: https://asgi.readthedocs.io/en/latest/specs/lifespan.html."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from tidegate.api.app import DataPlane, build_app
from tidegate.domain.server_options import ServerOptions
from tidegate.gateway import Gateway

GATEWAY = cast("Gateway", object())


class Life:
    """One lifespan of an application: what it is told, and what it says."""

    def __init__(self, app: DataPlane) -> None:
        self.said: list[dict[str, Any]] = []
        self.state: dict[str, object] = {}
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._scope = {"type": "lifespan", "state": self.state}
        self._app = app

    async def run(self) -> None:
        """Tell it to start and to stop."""
        for kind in ("startup", "shutdown"):
            self._messages.put_nowait({"type": f"lifespan.{kind}"})
        await self._app(self._scope, self._messages.get, self._say)

    async def _say(self, message: Any) -> None:
        self.said.append(message)


def plane(opened: list[str], *, fails: str = "") -> DataPlane:
    """An application whose gateway and batches note when they are opened and closed, or fail then."""

    @asynccontextmanager
    async def open_named(name: str, value: object) -> AsyncGenerator[Any]:
        _note(opened, f"open {name}", fails)
        try:
            yield value
        finally:
            _note(opened, f"close {name}", fails)

    return build_app(
        lambda: open_named("gateway", GATEWAY),
        ServerOptions(),
        open_batches=lambda gateway: open_named("batches", [gateway]),
    )


def _note(opened: list[str], step: str, fails: str) -> None:
    if step == fails:
        raise RuntimeError(fails)
    opened.append(step)


async def test_gateway_and_batches_are_open_while_the_application_lives() -> None:
    opened: list[str] = []
    life = Life(plane(opened))
    await life.run()
    assert opened == ["open gateway", "open batches", "close batches", "close gateway"]
    assert life.said == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    assert life.state == {"gateway": GATEWAY, "batches": [GATEWAY]}


@pytest.mark.parametrize(
    ("fails", "said", "opened"),
    [
        ("open gateway", ["startup.failed"], []),
        ("open batches", ["startup.failed"], ["open gateway", "close gateway"]),
        ("close gateway", ["startup.complete", "shutdown.failed"], ["open gateway", "open batches", "close batches"]),
    ],
)
async def test_a_failure_is_told_and_raised(fails: str, said: list[str], opened: list[str]) -> None:
    found: list[str] = []
    life = Life(plane(found, fails=fails))
    with pytest.raises(RuntimeError, match=fails):
        await life.run()
    assert [message["type"] for message in life.said] == [f"lifespan.{each}" for each in said]
    assert f"RuntimeError: {fails}" in life.said[-1]["message"]
    assert found == opened
