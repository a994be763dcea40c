"""Who gets in, and what those get who do not: one envelope for everything."""

from typing import Any

import pytest

from tests.api.endpoint_calls import PROVIDER_KEYS, answer, valid_body
from tests.world import USER, Client, world
from tidegate.api.app import ENDPOINTS
from tidegate.domain.server_options import ServerOptions

CALL: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER}
NEUROFLASH = "/api/ds-prototypes/chat/completions"


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_every_path_answers(path: str) -> None:
    body = valid_body(path)
    async with world(answer, **PROVIDER_KEYS) as client:
        reply = await client.post(body, path.replace("{deployment:path}", body["model"]), {"x-workspace-id": "ws_test"})
    assert (reply.status, len(client.requests)) == (200, 1)


@pytest.mark.parametrize(
    ("headers", "path", "status", "code"),
    [
        ({"authorization": ""}, "/v1/chat/completions", 401, "invalid_api_key"),
        ({"authorization": "Basic eDp5"}, "/v1/chat/completions", 401, "invalid_api_key"),
        ({"authorization": "Bearer nobody"}, "/v1/chat/completions", 401, "invalid_api_key"),
        ({"authorization": "Bearer nobody"}, NEUROFLASH, 401, "invalid_api_key"),
        (
            {"authorization": "Bearer nobody", "content-type": "text/plain"},
            "/v1/chat/completions",
            401,
            "invalid_api_key",
        ),
        ({}, NEUROFLASH, 400, "missing_workspace_id"),
        ({"x-workspace-id": "ws_other"}, "/v1/chat/completions", 403, "workspace_forbidden"),
        ({"x-workspace-id": "ws_unknown"}, "/v1/chat/completions", 403, "workspace_forbidden"),
        ({"content-type": "text/plain"}, "/v1/chat/completions", 415, "unsupported_media_type"),
        ({"content-type": ""}, "/v1/chat/completions", 415, "unsupported_media_type"),
        ({}, "/v1/nothing", 404, "not_found"),
        ({}, "/v1/chat/completions/", 404, "not_found"),
    ],
)
async def test_who_does_not_get_in_is_told_why(
    client: Client, headers: dict[str, str], path: str, status: int, code: str
) -> None:
    reply = await client.post(CALL, path, headers)
    assert (reply.status, reply.json["error"]["code"]) == (status, code)
    assert set(reply.json) == {"error"}
    assert set(reply.json["error"]) == {"message", "type", "param", "code"}
    assert reply.headers["x-request-id"]
    assert client.recorder.outcomes == []


async def test_a_stranger_learns_nothing_of_the_bodys_faults(client: Client) -> None:
    assert (await client.post(b"{", headers={"authorization": "Bearer nobody"})).status == 401


async def test_a_fault_of_the_body_names_its_field(client: Client) -> None:
    reply = await client.post({**CALL, "messages": [{"role": "user", "content": [{"type": "smell"}]}]})
    assert (reply.status, reply.json["error"]["param"]) == (400, "messages[0].content[0].type")


async def test_another_method_is_a_405_that_says_which_are_allowed(client: Client) -> None:
    reply = await client.post(b"", method="DELETE")
    assert (reply.status, reply.json["error"]["code"], reply.headers["allow"]) == (
        405,
        "method_not_allowed",
        "POST",
    )


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_a_413(declared: bool) -> None:
    async with world(options=ServerOptions(max_body_bytes=100)) as client:
        reply = await client.post(b"x" * 101, headers={"content-length": "101"} if declared else None)
        assert (reply.status, reply.json["error"]["code"]) == (413, "request_too_large")


async def test_health_and_public_models_need_no_key(client: Client) -> None:
    for path in ("/health", "/api/ds-prototypes/health"):
        assert (await get(client, path, authorization="")).json["status"] == "ok"
    assert "openai/gpt-4.1-mini" in {
        model["id"] for model in (await get(client, "/public/models", authorization="")).json
    }


@pytest.mark.parametrize(
    "path", ["/health", "/public/models", "/v1/models", "/v1/models/openai/gpt-4.1-mini", "/v1/models/nobody/x"]
)
async def test_every_reply_has_an_id(client: Client, path: str) -> None:
    ids = [(await get(client, path)).headers["x-request-id"] for _ in range(2)]
    assert [len(id) for id in set(ids)] == [26, 26]


async def get(client: Client, path: str, **headers: str) -> Any:
    return await client.post(b"", path, dict(headers), method="GET")


async def test_models_are_those_of_the_configured_providers(client: Client) -> None:
    listed = (await get(client, "/v1/models")).json["data"]
    assert {model["owned_by"] for model in listed} == {"openai", "mistral"}
    one = (await get(client, "/v1/models/openai/gpt-4.1-mini")).json
    assert one in listed
    assert (one["id"], one["object"], one["owned_by"]) == ("openai/gpt-4.1-mini", "model", "openai")
    assert (await get(client, "/v1/models/gpt-4.1-mini")).json == one
    assert (await get(client, "/v1/models/nobody/x")).json["error"]["code"] == "model_not_found"
    assert (await get(client, "/v1/models", authorization="Bearer nobody")).status == 401


async def test_neuroflash_lists_models_in_its_own_shape(client: Client) -> None:
    path = "/api/ds-prototypes/model_selection/models"
    assert (await get(client, path)).json["error"]["code"] == "missing_workspace_id"
    listed = (await client.post(b"", path, {"x-workspace-id": "ws_test"}, method="GET")).json
    [mini] = [model for model in listed if model["id"] == "openai/gpt-4.1-mini"]
    assert set(mini) == {
        "id", "name", "provider", "description", "context_window", "available", "reasoning_model"
    }  # fmt: skip
    assert (mini["provider"], mini["context_window"] >= 1_000_000, mini["reasoning_model"]) == (
        "openai",
        True,
        False,
    )


async def test_browsers_may_call_without_credentials_if_the_operator_allows_it() -> None:
    asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
    async with world(options=ServerOptions(cors_origins=("*",))) as client:
        reply = await client.post(b"", headers=asked, method="OPTIONS")
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "*")
        assert "access-control-allow-credentials" not in reply.headers
        for called in (
            await client.post(CALL, headers={"origin": "https://app.example"}),
            await client.get("/v1/usage", origin="https://app.example"),
        ):
            assert "x-request-id" in called.headers["access-control-expose-headers"]


async def test_no_web_page_may_call_by_default(client: Client) -> None:
    origin = {"origin": "https://app.example"}
    for reply in (
        await client.post(b"", headers={**origin, "access-control-request-method": "POST"}, method="OPTIONS"),
        await client.post(CALL, headers=origin),
    ):
        assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_origins_can_be_listed() -> None:
    async with world(options=ServerOptions(cors_origins=("https://a.example",))) as client:
        for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)):
            reply = await client.post(CALL, headers={"origin": origin})
            assert reply.headers.get("access-control-allow-origin") == allowed
