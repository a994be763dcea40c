"""The admin API over a control plane in memory, and clients with admin keys of every kind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.control.world import Managed, managed
from tidegate.api.admin.app import build_admin
from tidegate.control import admins, workspaces
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.domain.managed_resources import AdminKey
from tidegate.domain.workspace import Workspace


@dataclass(frozen=True)
class Client:
    http: httpx.AsyncClient

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> "Reply":
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content: dict[str, Any] = (
            {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        )
        answer = await self.http.request(method, f"/admin/v1{path}", headers=named, **content)
        assert answer.headers["x-request-id"]
        return Reply(answer.status_code, answer.json() if answer.content else None, dict(answer.headers))


@dataclass(frozen=True)
class Reply:
    status: int
    json: Any
    headers: dict[str, str]

    @property
    def fault(self) -> tuple[int, str | None, str | None]:
        error = self.json["error"]
        assert set(self.json) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
        return self.status, error["code"], error["param"]


@dataclass(frozen=True)
class Api:
    """`whole` may do everything, `reader` only reads, `one` manages ws_one; `stranger` has a key that opens nothing."""

    world: Managed
    whole: Client
    reader: Client
    one: Client
    stranger: Client


@asynccontextmanager
async def open_api() -> AsyncIterator[Api]:
    world = managed()
    for workspace_id in ("ws_one", "ws_two"):
        await workspaces.create_workspace(world.control, COMMAND_LINE_ACTOR, Workspace(workspace_id, workspace_id))
    asked = [
        AdminKey("", "", "", ("read", "write"), None, "whole"),
        AdminKey("", "", "", ("read",), None, "reader"),
        AdminKey("", "", "", ("read", "write"), ("ws_one",), "one"),
    ]
    secrets = [(await admins.create_admin_key(world.control, COMMAND_LINE_ACTOR, each))[1] for each in asked]
    app = build_admin(world.control)
    made = [_client(app, secret) for secret in (*secrets, "sk-tidegate-admin-unknown")]
    yield Api(world, *made)
    for client in made:
        await client.http.aclose()


def _client(app: Any, secret: str) -> Client:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {secret}"}
    return Client(httpx.AsyncClient(transport=transport, base_url="http://admin.test", headers=headers))
