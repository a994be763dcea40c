"""Guesses at admin keys, slowed like all others."""

from types import SimpleNamespace

import httpx
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.control.world import managed
from tests.store_worlds import Clock
from tidegate.api.admin.middleware import AdminMiddleware
from tidegate.control import admins
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.domain.managed_resources import AdminKey
from tidegate.policy.auth.throttle import GuessThrottle


async def test_guesses_at_admin_keys_are_slowed_for_each_address() -> None:
    world, clock, pauses = managed(), Clock(), list[float]()
    _, secret = await admins.create_admin_key(
        world.control, COMMAND_LINE_ACTOR, AdminKey("", "", "", ("read",), None, "reader")
    )

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    admission = AdminMiddleware(Response(status_code=204), frozenset({"/public"}), GuessThrottle(clock, sleep=sleep))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await admission({**scope, "app": SimpleNamespace(state=world)}, receive, send)

    async def statuses(key: str | None, times: int, address: str = "203.0.113.7", path: str = "/x") -> set[int]:
        transport = httpx.ASGITransport(app, client=(address, 1))
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://admin.test", headers=headers) as client:
            return {(await client.get(path)).status_code for _ in range(times)}

    assert await statuses(None, 50) == {401}
    assert await statuses("guess", 30) == {401}
    assert pauses == []
    assert await statuses(secret, 1) == {204}
    assert pauses == [0.1]
    assert await statuses("guess", 10) == {401}
    assert max(pauses) == 2
    assert await statuses("guess", 3) == {429}
    assert await statuses(secret, 3, "203.0.113.8") == {204}
    assert await statuses(None, 1, path="/public") == {204}
    clock.now += 20.1
    assert await statuses(secret, 1) == {204}
