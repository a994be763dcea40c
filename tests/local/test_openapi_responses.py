"""The documented operations of stored responses and conversations, tried in an order in which each finds its ids."""

from typing import Any, cast

import jsonschema
import pytest

from tests.local.demo_app import demo_client
from tidegate.local.openapi import openapi_document
from tidegate.surfaces.late_dialects import RESPONSE_PREFIXES

DOCUMENT = cast(Any, openapi_document())
ORDER = (
    *("POST /responses/input_tokens", "GET /responses/{id}", "GET /responses/{id}/input_items"),
    *("POST /responses/{id}/cancel", "DELETE /responses/{id}", "POST /conversations", "GET /conversations/{id}"),
    *("POST /conversations/{id}", "POST /conversations/{id}/items", "GET /conversations/{id}/items"),
    *("GET /conversations/{id}/items/{item_id}", "DELETE /conversations/{id}/items/{item_id}"),
    "DELETE /conversations/{id}",
)


@pytest.mark.parametrize("prefix", RESPONSE_PREFIXES)
async def test_every_documented_operation_answers_as_documented(prefix: str) -> None:
    documented = {
        f"{method.upper()} {path.removeprefix(prefix)}": operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if operation["tags"] == ["responses"] and path.startswith((f"{prefix}/responses", f"{prefix}/conversations"))
    }
    assert {*documented} == {*ORDER}
    async with demo_client() as client:
        made = await client.post(f"{prefix}/responses", json={"model": "demo/echo", "input": "Hello"})
        ids = {"id": made.json()["id"], "item_id": ""}
        for name in ORDER:
            operation, (method, path) = documented[name], name.split(" ")
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            reply = await client.request(method, prefix + path.format(**ids), json=body)
            assert reply.status_code == (400 if path.endswith("cancel") else 200), (name, reply.text)
            if reply.status_code == 200:
                schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
                cast(Any, jsonschema).Draft202012Validator(schema).validate(reply.json())
            if name == "POST /conversations":
                ids["id"] = reply.json()["id"]
            if name == "GET /conversations/{id}/items":
                ids["item_id"] = reply.json()["first_id"]
