"""Each operation has a title and a description, and each example can be tried with the demo tenant."""

from typing import Any, cast

import httpx
import jsonschema
import pytest

from tidegate.api.admin.app import build_admin
from tidegate.api.app import build_app
from tidegate.compose import Overrides
from tidegate.domain.server_options import ServerOptions
from tidegate.local.demo import DEMO_ROW, DemoTransport
from tidegate.local.demo_tenant import seed_demo_tenant
from tidegate.local.openapi import openapi_document
from tidegate.local.stores import local_settings
from tidegate.memory.world import open_memory_gateway
from tidegate.ports import Keys, Tenants
from tidegate.transport.base import Transport

DOCUMENT = cast(Any, openapi_document())
ADMIN = cast(Any, build_admin().openapi())
KEY = "sk-tidegate-demo"
UNKNOWN_CALL = {"/v1/generation", "/api/v1/generation", "/v1/chat/generation/{generation_id}"}
"""They need the id of a call that was made."""


def operations(document: Any) -> list[Any]:
    return [
        pytest.param(path, method, operation, id=f"{method} {path}")
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize(("path", "method", "operation"), [*operations(DOCUMENT), *operations(ADMIN)])
def test_an_operation_has_a_title_and_a_description(path: str, method: str, operation: Any) -> None:
    assert operation["summary"][0].isupper() and not operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    assert operation["tags"]


def test_example_bodies_are_valid() -> None:
    bodies = [
        operation["requestBody"]["content"]["application/json"]
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    assert len(bodies) >= 6
    for body in bodies:
        schema = {**body["schema"], "components": DOCUMENT["components"]}
        jsonschema.Draft202012Validator(schema).validate(body["example"])
        assert body["example"]["model"] == "demo/echo"


@pytest.mark.parametrize(("path", "method", "operation"), operations(DOCUMENT))
async def test_try_it_out_succeeds_at_once(path: str, method: str, operation: Any) -> None:
    async def seed(tenants: Tenants, keys: Keys) -> None:
        await seed_demo_tenant(tenants, keys, KEY)

    def quick(inner: Transport) -> Transport:
        return DemoTransport(inner, pause_seconds=0)

    given = [parameter for parameter in operation["parameters"] if "example" in parameter]
    values = {
        place: {p["name"]: p["example"] for p in given if p["in"] == place} for place in ("path", "query", "header")
    }
    missing = [p["name"] for p in operation["parameters"] if p.get("required") and p not in given]
    if path in UNKNOWN_CALL:
        assert missing
        return
    assert missing == []
    overrides = Overrides(rows=(DEMO_ROW,), wrap=quick)
    settings = local_settings({}, None)
    app: Any = build_app(lambda: open_memory_gateway(settings, overrides, seed=seed), ServerOptions())
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(with_state)
        headers = {"authorization": f"Bearer {KEY}", **values["header"]}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            url = path.format(**values["path"])
            reply = await client.request(method, url, json=body, params=values["query"])
    assert reply.status_code == 200, reply.text
