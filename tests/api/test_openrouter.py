"""OpenRouter's, Lunos's and Azure's endpoints, as their clients ask for them."""

import json
from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.world import KEY, SECRET, USER, WORKSPACE, Client, delta, streams, world
from tidegate.api.openrouter import UNLIMITED_CREDITS
from tidegate.domain.limits import Limits
from tidegate.domain.workspace import VirtualKey, Workspace

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER}
COST = 0.0000248
"""Of 14 and 12 tokens."""

PREFIXES = ("/v1", "/api/v1")


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_call_is_found_by_the_id_of_its_reply(client: Client, prefix: str) -> None:
    reply = await client.post(CALL, f"{prefix}/chat/completions")
    found = (await client.get(f"{prefix}/generation?id={reply.json['id']}")).json["data"]
    expected = {
        "id": reply.json["id"],
        "request_id": reply.headers["x-request-id"],
        "workspace_id": "ws_test",
        "model": "openai/gpt-4.1-mini",
        "provider_name": "openai",
        "streamed": False,
        "cancelled": False,
        "finish_reason": "stop",
        "tokens_prompt": 14,
        "tokens_completion": 12,
        "total_cost": COST,
    }
    assert {name: found[name] for name in expected} == expected
    for other_id in (reply.headers["x-request-id"], reply.json["id"]):
        lunos = (await client.get(f"/v1/chat/generation/{other_id}")).json
        assert lunos == {**found, "id": other_id}


async def test_a_call_of_nobody_or_of_another_workspace_is_not_found() -> None:
    other = replace(KEY, workspace_ids=("ws_test", "ws_other"), default_workspace_id="ws_test")
    async with world(key=other) as client:
        id = (await client.post(CALL)).json["id"]
        last = "0" if id[-4] != "0" else "1"
        for unknown in (id[:-4] + last + id[-3:], "chatcmpl-nobody", "gen-1-x", "%00", "x" * 5000):
            reply = await client.get(f"/v1/generation?id={unknown}")
            assert (reply.status, reply.json["error"]["code"], reply.json["error"]["param"]) == (404, "not_found", "id")
        missing = await client.get("/api/v1/generation")
        assert (missing.status, missing.json["error"]["code"]) == (400, 400)
        assert (await client.get(f"/v1/generation?id={id}", **{"x-workspace-id": "ws_other"})).status == 404


@pytest.mark.parametrize(
    ("workspace", "key", "expected"),
    [
        (WORKSPACE, KEY, (UNLIMITED_CREDITS, COST, None, None, None)),
        (replace(WORKSPACE, limits=Limits(usd_per_day=Decimal(2))), KEY, (2, COST, 2, 2 - COST, "daily")),
        (
            replace(WORKSPACE, limits=Limits(usd_per_day=Decimal(2))),
            replace(KEY, limits=Limits(usd_per_month=Decimal("0.5"), requests_per_minute=9)),
            (0.5, COST, 0.5, 0.5 - COST, "monthly"),
        ),
    ],
)
@pytest.mark.parametrize("prefix", PREFIXES)
async def test_credits_and_the_key_tell_the_budget(
    workspace: Workspace, key: VirtualKey, expected: tuple[float | str | None, ...], prefix: str
) -> None:
    async with world(workspace=workspace, key=key) as client:
        assert (await client.post({**CALL, "max_tokens": 100})).status == 200
        credits = (await client.get(f"{prefix}/credits")).json["data"]
        found = (await client.get(f"{prefix}/key")).json["data"]
        assert found == (await client.get(f"{prefix}/auth/key")).json["data"]
        limits = tuple(found[name] for name in ("limit", "limit_remaining", "limit_reset"))
        assert (credits["total_credits"], credits["total_usage"], *limits) == expected
        usages = [found[f"usage{span}"] for span in ("", "_daily", "_weekly", "_monthly")]
        assert usages == [COST] * 4
        assert found["rate_limit"]["requests"] == (key.limits.requests_per_minute or -1)
        assert (found["label"], found["workspace_id"]) == ("key_test", "ws_test")


async def test_lunoss_account_is_the_workspace_with_its_limits() -> None:
    async with world(workspace=replace(WORKSPACE, limits=Limits(words_per_day=100))) as client:
        account, quotas = (await client.get("/v1/account")).json, (await client.get("/v1/quotas")).json
        assert (account["id"], account["name"]) == ("ws_test", "Test")
        assert account["data"] == quotas["data"] != []
        assert (await client.get("/v1/usage")).json["total_tokens"] == 0


async def test_a_stream_for_openrouters_clients_names_the_provider_in_every_chunk() -> None:
    async with world(streams(delta("Hi"), delta(finish="stop"), "[DONE]")) as client:
        reply = await client.post({**CALL, "stream": True, "usage": {"include": True}}, "/api/v1/chat/completions")
        *chunks, done = reply.events
        assert (done, {chunk["provider"] for chunk in chunks}) == ("[DONE]", {"openai"})
        assert chunks[-1]["usage"]["cost"] > 0
        assert {chunk["id"] for chunk in chunks} == {chunks[0]["id"]}


@pytest.mark.parametrize("header", ["authorization", "api-key", "x-api-key", "x-goog-api-key"])
async def test_azures_path_has_the_model_and_any_header_the_key(client: Client, header: str) -> None:
    path = "/openai/deployments/openai/gpt-4.1-mini/chat/completions?api-version=2024-10-21"
    credential = {"authorization": "", header: f"Bearer {SECRET}" if header == "authorization" else SECRET}
    for body in ({"messages": USER}, {**CALL, "model": "nobody/at-all"}):
        reply = await client.post(body, path, credential)
        assert (reply.status, reply.json["model"]) == (200, "openai/gpt-4.1-mini")
        assert json.loads(client.requests[-1].content)["model"] == "gpt-4.1-mini"
    listed = await client.get("/v1/models", **credential)
    usage = await client.get("/v1/usage", **credential)
    assert (listed.status, usage.status) == (200, 200)
    refused = await client.post(CALL, path, {**credential, header: "Bearer nobody"})
    assert (refused.status, refused.json["error"]["code"]) == (401, "invalid_api_key")


async def test_a_wrong_body_on_azures_path_is_an_error(client: Client) -> None:
    path = "/openai/deployments/openai/gpt-4.1-mini/chat/completions"
    for body in (b"[]", b"{", b"{}"):
        assert (await client.post(body, path)).status == 400
