"""Operations on texts through the parts that were made for chat: traces, telemetry and batches."""

import json
from typing import Any

import httpx
import pytest

from tests.world import SECRET, world
from tidegate.api.app import ENDPOINTS
from tidegate.batch.endpoints import batch_endpoints
from tidegate.batch.lines import BatchLine, parse_line
from tidegate.gateway import Gateway

EMBEDDINGS = {"model": "openai/text-embedding-3-small", "input": ["tide", "gate"]}
RERANK = {"model": "cohere/rerank-v3.5", "query": "tide", "documents": ["tide", "gate"]}
MODERATION = {"model": "openai/omni-moderation-latest", "input": "tide"}


def answer(request: httpx.Request) -> httpx.Response:
    body = json.loads(request.content)
    if "query" in body:
        return httpx.Response(200, json={"results": [{"index": 0, "relevance_score": 0.5}]})
    if request.url.path.endswith("/moderations"):
        return httpx.Response(
            200, json={"results": [{"categories": {"hate": False}, "category_scores": {"hate": 0.1}}]}
        )
    data = [{"index": index, "embedding": [0.5]} for index in range(len(body["input"]))]
    return httpx.Response(200, json={"data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}})


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/embeddings", EMBEDDINGS), ("/v1/rerank", RERANK), ("/v1/moderations", MODERATION)]
)
async def test_a_trace_has_the_request_and_the_answer(path: str, body: dict[str, Any]) -> None:
    async with world(answer, COHERE_API_KEY="k") as client:
        reply = await client.post({**body, "observability": True}, path)
        call_id = reply.headers["x-request-id"]
        trace = (await client.get(f"/v1/generations/{call_id}/trace")).json
    assert reply.status == 200
    assert "x-tidegate-ignored-params" not in reply.headers
    text = json.dumps(trace)
    assert "tide" in text and "attempts" in text


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/embeddings", EMBEDDINGS), ("/v1/rerank", RERANK), ("/v1/moderations", MODERATION)]
)
async def test_a_line_of_a_batch_may_name_the_endpoint(path: str, body: dict[str, Any]) -> None:
    endpoints = batch_endpoints(ENDPOINTS)
    line = json.dumps({"custom_id": "1", "method": "POST", "url": path, "body": body}).encode()
    parsed = parse_line(line, path, endpoints)
    assert isinstance(parsed, BatchLine)
    surface, operation = endpoints[path]
    async with world(answer, COHERE_API_KEY="k") as client:
        gateway: Gateway = client.app.lifespan_state["gateway"]
        principal, workspace = await gateway.authenticate(surface, f"Bearer {SECRET}", None)
        call = gateway.new_call(principal, workspace, surface, operation, surface.parse(operation, parsed.body))
        async with gateway.answer(call) as answered:
            assert answered.reply is not None
    assert client.recorder.outcomes[0].status == "ok"


async def test_text_completions_are_not_for_batches() -> None:
    assert "/v1/completions" not in batch_endpoints(ENDPOINTS)
