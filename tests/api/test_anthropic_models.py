"""The lists of models for clients that ask in Anthropic's way, and the errors beside them."""

import json
from typing import Any

import pytest
from anthropic.types import ModelInfo

from tests.world import SECRET, world

ENV = {"ANTHROPIC_API_KEY": "not-a-key-anthropic"}
BEARER = {"anthropic-version": "2023-06-01"}
KEY = {"authorization": "", "x-api-key": SECRET}
ROUTES = json.dumps([{"name": "claude-everyday", "targets": [{"model": "anthropic/claude-sonnet-4-5"}]}])


@pytest.mark.parametrize("headers", [BEARER, KEY])
async def test_the_whole_list_is_in_anthropics_format(headers: dict[str, str]) -> None:
    async with world(**ENV, TIDEGATE_ROUTES=ROUTES) as client:
        listed = (await client.get("/v1/models?limit=1000", **headers)).json
    models = [ModelInfo.model_validate(each, strict=False) for each in listed["data"]]
    by_id = {model.id: model for model in models}
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, models[0].id, models[-1].id)
    claude = by_id["anthropic/claude-sonnet-4-5"]
    assert (claude.type, claude.lifecycle, claude.line, claude.max_input_tokens) == (
        "model",
        "active",
        "sonnet",
        200_000,
    )
    assert claude.capabilities is not None and claude.capabilities.thinking.supported
    assert models[0].id == "claude-everyday"
    assert "openai/gpt-4.1-mini" in by_id


async def test_pages_follow_each_other() -> None:
    async with world(**ENV) as client:
        whole = [model["id"] for model in (await client.get("/v1/models?limit=1000", **KEY)).json["data"]]
        first = (await client.get("/v1/models", **KEY)).json
        second = (await client.get(f"/v1/models?limit=5&after_id={first['last_id']}", **KEY)).json
        back = (await client.get(f"/v1/models?limit=20&before_id={second['first_id']}", **KEY)).json
    assert [model["id"] for model in first["data"]] == whole[:20]
    assert [model["id"] for model in second["data"]] == whole[20:25]
    assert (first["has_more"], second["has_more"], back["has_more"]) == (True, True, False)
    assert back["data"] == first["data"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after_id=nobody"])
async def test_a_page_that_does_not_exist_is_refused_in_anthropics_envelope(query: str) -> None:
    async with world(**ENV) as client:
        reply = await client.get(f"/v1/models?{query}", **KEY)
    assert (reply.status, reply.json["type"], reply.json["error"]["type"]) == (400, "error", "invalid_request_error")
    assert reply.headers["request-id"] == reply.json["request_id"]


async def test_one_model_is_in_anthropics_format() -> None:
    async with world(**ENV, TIDEGATE_ROUTES=ROUTES) as client:
        one = (await client.get("/v1/models/anthropic/claude-sonnet-4-5", **KEY)).json
        bare = (await client.get("/v1/models/claude-sonnet-4-5", **BEARER)).json
        route = (await client.get("/v1/models/claude-everyday", **KEY)).json
        missing = await client.get("/v1/models/nobody/nothing", **KEY)
    assert (one["type"], one["id"], bare) == ("model", "anthropic/claude-sonnet-4-5", one)
    assert (route["id"], route["max_input_tokens"]) == ("claude-everyday", one["max_input_tokens"])
    assert (missing.status, missing.json["error"]["type"]) == (404, "not_found_error")


async def test_other_clients_get_openais_format() -> None:
    async with world(**ENV) as client:
        listed: Any = (await client.get("/v1/models")).json
        routed = (await client.get("/api/v1/models", **KEY)).json
    assert (listed["object"], routed["object"]) == ("list", "list")


async def test_probes_are_cheap_and_refused() -> None:
    async with world() as client:
        head = await client.post(b"", "/", {"authorization": ""}, method="HEAD")
        wrong = await client.post(b"", "/v1/messages/batches", BEARER)
        method = await client.get("/v1/messages")
    assert (head.status, client.requests, client.recorder.outcomes) == (404, [], [])
    assert (wrong.status, wrong.json["error"]["type"]) == (404, "not_found_error")
    assert (method.status, method.json["type"]) == (405, "error")
