"""Both planes in memory with the demo tenant, a second workspace, and clients with keys of every kind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tidegate.api.admin.app import build_admin
from tidegate.api.app import build_app
from tidegate.control import admins, keys, workspaces
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.control import Control
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.workspace import VirtualKey, Workspace
from tidegate.local.admin import PlaneRouter
from tidegate.local.demo_keys import DemoKeys
from tidegate.local.serve import open_gateway
from tidegate.local.stores import local_settings, open_in_memory

DEMO_KEY, DEMO_ADMIN = "sk-tidegate-demo", "sk-tidegate-admin-demo"
DEMO_WORKSPACE, OTHER_WORKSPACE = "ws_demo", "ws_other"


@dataclass(frozen=True)
class Console:
    """`other_key` has both workspaces, `chat_key` may only chat; `one_admin` manages the second workspace."""

    http: httpx.AsyncClient
    control: Control
    other_key: str
    chat_key: str
    one_admin: str

    async def get(self, path: str, key: str = DEMO_KEY, **parameters: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return await self.http.get(f"/console/v1{path}", headers=headers, params=parameters)

    async def call(self, text: str = "Hello, tide.", key: str = DEMO_KEY, **headers: str) -> str:
        """Make a call of the demo provider. Returns its id, which is larger than those of earlier calls."""
        await asyncio.sleep(0.002)  # ids of one millisecond have no order
        body = {"model": "demo/echo", "messages": [{"role": "user", "content": text}]}
        headers = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        answer = await self.http.post("/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-request-id"]


@asynccontextmanager
async def open_console(api_url: str | None = None) -> AsyncIterator[Console]:
    settings, admin = local_settings({}, None), build_admin(api_url=api_url)
    gateway = build_app(
        lambda: open_gateway(open_in_memory(settings, DemoKeys(DEMO_KEY, DEMO_ADMIN)), admin), settings.server_options()
    )
    async with gateway.lifespan() as state:

        async def running(scope: dict[str, Any], receive: Any, send: Any) -> None:
            await PlaneRouter(gateway, admin)({**scope, "state": dict(state)}, receive, send)

        control, actor = admin.state.control, COMMAND_LINE_ACTOR
        await workspaces.create_workspace(control, actor, Workspace(OTHER_WORKSPACE, "Other"))
        both = VirtualKey("", "", "", (DEMO_WORKSPACE, OTHER_WORKSPACE), None, name="both")
        chat = VirtualKey("", "", "", (DEMO_WORKSPACE,), None, name="chat", endpoints=("/v1/chat/*",))
        one = AdminKey("", "", "", ("read",), (OTHER_WORKSPACE,), "one")
        secrets = [(await keys.create_key(control, actor, key))[1] for key in (both, chat)]
        secrets.append((await admins.create_admin_key(control, actor, one))[1])
        transport = httpx.ASGITransport(running)
        async with httpx.AsyncClient(transport=transport, base_url="http://local.test") as http:
            yield Console(http, control, *map(str, secrets))
