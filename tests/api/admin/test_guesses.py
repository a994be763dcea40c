"""Guesses at admin keys, which are refused like all others."""

from types import SimpleNamespace

import httpx
from msgspec.structs import replace
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.control.world import managed
from tests.store_worlds import Clock
from tidegate.api.admin.middleware import AdminMiddleware
from tidegate.control import admins
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.domain.managed_resources import AdminKey
from tidegate.policy.auth.throttle import GuessThrottle


async def test_guesses_at_admin_keys_are_counted_for_each_address_and_lock_nobody_out() -> None:
    world, clock = managed(), Clock()
    _, secret = await admins.create_admin_key(
        world.control, COMMAND_LINE_ACTOR, AdminKey("", "", "", ("read",), None, "reader")
    )

    admission = AdminMiddleware(Response(status_code=204), frozenset({"/public"}), GuessThrottle(clock))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await admission({**scope, "app": SimpleNamespace(state=world)}, receive, send)

    async def statuses(key: str | None, times: int, address: str = "203.0.113.7", path: str = "/x") -> set[int]:
        transport = httpx.ASGITransport(app, client=(address, 1))
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://admin.test", headers=headers) as client:
            return {(await client.get(path)).status_code for _ in range(times)}

    assert await statuses(None, 50) == {401}
    assert await statuses("guess", 30) == {401}
    assert await statuses("guess", 3) == {429}
    assert await statuses("another", 3) == {429}
    assert await statuses(secret, 3) == {204}
    assert await statuses("guess", 1, "203.0.113.8") == {401}
    assert await statuses(None, 1, path="/public") == {204}
    clock.now += 60
    assert await statuses("guess", 1) == {401}


async def test_one_wrong_admin_key_costs_one_read() -> None:
    world = managed()
    reads = list[str]()

    class CountingResources:
        async def find(self, kind: object, id: str) -> None:
            reads.append(id)

    control = replace(world.control, resources=CountingResources())
    admission = AdminMiddleware(Response(status_code=204), frozenset(), GuessThrottle(Clock()))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        state = SimpleNamespace(control=control)
        await admission({**scope, "app": SimpleNamespace(state=state)}, receive, send)

    headers = {"authorization": "Bearer guess"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://admin.test", headers=headers
    ) as client:
        assert {(await client.get("/x")).status_code for _ in range(5)} == {401}
    assert len(reads) == 1
