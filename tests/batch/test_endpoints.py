"""The endpoints that the lines of a batch may name: those in OpenAI's dialect; all others are refused at once."""

from typing import Any, cast

import httpx
import pytest
from msgspec.structs import replace

from tests.batch.world import Provider, batch_world
from tests.world import KEY, WORKSPACE
from tidegate.api.app import ENDPOINTS
from tidegate.batch import batches
from tidegate.batch.endpoints import batch_endpoints
from tidegate.batch.fields import Fields
from tidegate.errors import InvalidRequest

TEXTS = ("embeddings", "moderations", "rerank")
ALLOWED = ("/v1/chat/completions", *(f"/v1/{name}" for name in TEXTS))
OTHERS = (
    *("/v1/messages", "/v1/responses", "/v1/responses/compact", "/v1/completions", "/api/chat"),
    *(f"/api/v1/{name}" for name in ("chat/completions", "messages", "responses", *TEXTS)),
)
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/embeddings": {"model": "openai/text-embedding-3-small", "input": "Hello"},
    "/v1/moderations": {"model": "openai/omni-moderation-latest", "input": "Hello"},
    "/v1/rerank": {"model": "cohere/rerank-v3.5", "query": "Hello", "documents": ["a", "b"]},
}
REPLIES: dict[str, dict[str, Any]] = {
    "embeddings": {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "model": "m",
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    },
    "moderations": {
        "id": "modr-1",
        "model": "m",
        "results": [{"flagged": False, "categories": {}, "category_scores": {}}],
    },
    "rerank": {"results": [{"index": 1, "relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 1}}},
}


async def provider(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json=REPLIES[request.url.path.rpartition("/")[2]])


def test_lines_may_name_the_endpoints_in_openais_dialect() -> None:
    endpoints = batch_endpoints(ENDPOINTS)
    assert {path for path in endpoints if path.startswith("/v1/")} == {*ALLOWED}
    assert not endpoints.keys() & {*OTHERS}


@pytest.mark.parametrize("endpoint", OTHERS)
async def test_another_endpoint_is_refused_when_the_batch_is_created(endpoint: str) -> None:
    fields = {"input_file_id": "file-1", "endpoint": endpoint, "completion_window": "24h"}
    async with batch_world() as world:
        components = replace(world.components, endpoints=batch_endpoints(ENDPOINTS))
        with pytest.raises(InvalidRequest, match="/v1/embeddings") as raised:
            await batches.create_batch(components, WORKSPACE.id, KEY.id, Fields(fields))
    assert (raised.value.param, raised.value.code) == ("endpoint", "invalid_value")
    assert endpoint in raised.value.message and f"'{endpoint}'," not in raised.value.message.partition("are:")[2]


@pytest.mark.parametrize("endpoint", REQUESTS)
async def test_lines_for_texts_are_answered(endpoint: str) -> None:
    line = {"custom_id": "a", "method": "POST", "url": endpoint, "body": REQUESTS[endpoint]}
    chat = {**line, "custom_id": "b", "url": "/v1/chat/completions"}
    async with batch_world(cast(Provider, provider), COHERE_API_KEY="provider-secret-3") as world:
        world.components = replace(world.components, endpoints=batch_endpoints(ENDPOINTS))
        batch = await world.submit([line], path=endpoint)
        mixed = await world.submit([line, chat], path=endpoint)
        await world.run_until_idle()
        (result,) = await world.output(await world.batch(batch.id))
        assert result["response"]["status_code"] == 200
        name = endpoint.rpartition("/")[2]
        listed = "data" if name == "embeddings" else "results"
        assert len(result["response"]["body"][listed]) == len(REPLIES[name][listed])
        assert (await world.batch(mixed.id)).errors[0].code == "invalid_url"
