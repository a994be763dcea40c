"""Both planes in one process, over one store."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tidegate.api.admin.app import build_admin
from tidegate.api.app import build_app
from tidegate.local.admin import PlaneRouter
from tidegate.local.demo_keys import DemoKeys
from tidegate.local.serve import open_gateway
from tidegate.local.stores import local_settings, open_in_memory

DEMO_KEY, DEMO_ADMIN = "sk-tidegate-demo", "sk-tidegate-admin-demo"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    settings, admin = local_settings({}, None), build_admin()
    gateway = build_app(
        lambda: open_gateway(open_in_memory(settings, DemoKeys(DEMO_KEY, DEMO_ADMIN)), admin), settings.server_options()
    )
    async with gateway.lifespan() as state:

        async def running(scope: dict, receive: object, send: object) -> None:
            await PlaneRouter(gateway, admin)({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(running)
        async with httpx.AsyncClient(transport=transport, base_url="http://local.test") as made:
            yield made


async def call(client: httpx.AsyncClient) -> int:
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello, tide."}]}
    answer = await client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {DEMO_KEY}"})
    return answer.status_code


async def test_what_the_control_plane_limits_the_data_plane_refuses(client: httpx.AsyncClient) -> None:
    client.headers["authorization"] = f"Bearer {DEMO_ADMIN}"
    limits = {"limits": {"requests_per_minute": 2}}
    changed = await client.patch("/admin/v1/workspaces/ws_demo", json=limits, headers={"if-match": "*"})
    assert changed.json()["effective_limits"] == {"requests_per_minute": 2}
    answers = [await call(client) for _ in range(5)]
    assert {200, 429} == set(answers)
    assert answers.count(200) in (2, 4)  # four where the minute ended between them
    report = (await client.get("/admin/v1/workspaces/ws_demo/usage")).json()
    assert report["total"]["calls"] == 5


async def test_each_plane_has_its_paths_and_its_keys(client: httpx.AsyncClient) -> None:
    for key, path, status in (
        (DEMO_KEY, "/admin/v1/workspaces", 401),
        (DEMO_ADMIN, "/v1/models", 401),
        (DEMO_ADMIN, "/admin/v1", 404),
        (DEMO_ADMIN, "/admin/v1/workspaces", 200),
        (DEMO_ADMIN, "/admin/v10", 404),
        ("", "/health", 200),
        ("", "/admin/v1/openapi.json", 200),
        ("", "/admin/v1/docs", 404),  # the fixture's gateway has no pages
        ("", "/admin/v1/docs/x", 401),
    ):
        answer = await client.get(path, headers={"authorization": f"Bearer {key}"} if key else {})
        assert (path, answer.status_code) == (path, status)
