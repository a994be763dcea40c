"""Embeddings over HTTP: from the door to the record, at every path that clients use."""

import asyncio
import base64
import json
import struct
from decimal import Decimal
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.world import WORKSPACE, world
from tidegate.domain.limits import Limits
from tidegate.domain.routes import Route, RouteTarget

PATH = "/v1/embeddings"
MODEL = "openai/text-embedding-3-small"
BODY: dict[str, Any] = {"model": MODEL, "input": "tide gate"}


def answer(request: httpx.Request) -> httpx.Response:
    """Answer like OpenAI: the vector of a text is its length, and three tokens are counted for each."""
    body = json.loads(request.content)
    inputs = body["input"]
    if "busy" in inputs:
        return httpx.Response(503, json={"error": {"message": "busy"}})
    vectors: list[Any] = [[float(len(each)), 0.5] for each in inputs]
    if body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack("<2f", *vector)).decode() for vector in vectors]
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 3 * len(inputs), "total_tokens": 3 * len(inputs)}
    return httpx.Response(200, json={"object": "list", "data": data, "model": body["model"], "usage": usage})


def vectors(reply: Any) -> list[Any]:
    return [entry["embedding"] for entry in reply.json["data"]]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", BODY),
        ("/embeddings", BODY),
        ("/openai/v1/embeddings", BODY),
        (f"/openai/deployments/{MODEL}/embeddings?api-version=2024-10-21", {"input": "tide gate"}),
        ("/api/v1/embeddings", BODY),
        ("/v1/embeddings", {**BODY, "model": "text-embedding-3-small"}),
    ],
)
async def test_every_path_answers_and_records_the_call(path: str, body: dict[str, Any]) -> None:
    async with world(answer) as client:
        reply = await client.post(body, path)
    assert (reply.status, reply.json["object"], vectors(reply)) == (200, "list", [[9.0, 0.5]])
    assert (reply.json["model"], reply.json["usage"]["prompt_tokens"]) == (MODEL, 3)
    assert reply.json["usage"]["cost"] == pytest.approx(3 * 0.02 / 1e6)
    [outcome] = client.recorder.outcomes
    assert outcome.call.operation.name == "embeddings"
    assert (outcome.status, outcome.bill.tokens.input, outcome.bill.tokens.output, outcome.bill.words.input) == (
        "ok",
        3,
        0,
        2,
    )
    assert outcome.bill.cost_usd == Decimal("0.00000006")


async def test_openrouters_path_names_the_provider() -> None:
    async with world(answer) as client:
        reply = await client.post(BODY, "/api/v1/embeddings")
    assert (reply.json["provider"], reply.json["id"][:4]) == ("openai", "gen-")


async def test_a_caller_gets_base64_from_a_provider_without_it_and_numbers_from_one_with_it() -> None:
    async with world(answer) as client:
        encoded = await client.post({**BODY, "model": "mistral/mistral-embed", "encoding_format": "base64"}, PATH)
        plain = await client.post({**BODY, "encoding_format": "float"}, PATH)
    assert vectors(encoded) == [base64.b64encode(struct.pack("<2f", 9.0, 0.5)).decode()]
    assert vectors(plain) == [[9.0, 0.5]]


async def test_a_long_list_is_one_call_with_one_record() -> None:
    inputs = ["x" * (1 + index % 7) for index in range(3_000)]
    limited = replace(WORKSPACE, limits=Limits(tokens_per_day=100_000, requests_per_minute=1))
    async with world(answer, workspace=limited) as client:
        reply = await client.post({**BODY, "input": inputs}, PATH)
    assert [vector[0] for vector in vectors(reply)] == [float(len(text)) for text in inputs]
    assert [entry["index"] for entry in reply.json["data"]] == list(range(3_000))
    assert (reply.json["usage"]["prompt_tokens"], len(client.requests)) == (9_000, 2)
    [outcome] = client.recorder.outcomes
    assert (outcome.attempts, outcome.bill.tokens.input) == (1, 9_000)


async def test_a_list_that_is_answered_in_part_is_charged_and_tried_again() -> None:
    failures = [503]

    def sometimes(request: httpx.Request) -> httpx.Response:
        is_second = len(json.loads(request.content)["input"]) < 2_048
        return httpx.Response(failures.pop()) if is_second and failures else answer(request)

    async with world(sometimes) as client:
        reply = await client.post({**BODY, "input": ["tide"] * 2_100}, PATH)
    assert (reply.status, len(reply.json["data"]), reply.headers["x-tidegate-attempts"]) == (200, 2_100, "2")
    [outcome] = client.recorder.outcomes
    assert outcome.bill.tokens.input > 3 * 2_100
    assert outcome.bill.tokens.estimated


async def test_a_list_that_no_request_answers_is_not_charged() -> None:
    async with world(lambda _: httpx.Response(503)) as client:
        reply = await client.post({**BODY, "input": ["tide"] * 2_100, "num_retries": 0}, PATH)
    assert reply.status == 503
    [outcome] = client.recorder.outcomes
    assert (outcome.bill.tokens.input, outcome.bill.cost_usd) == (0, 0)


async def test_a_budget_must_allow_the_tokens_and_no_answer() -> None:
    async with world(answer, limits=Limits(tokens_per_day=40)) as client:
        assert (await client.post(BODY, PATH)).status == 200
        refused = await client.post({**BODY, "input": "tide gate " * 60}, PATH)
    assert (refused.status, refused.json["error"]["code"]) == (429, "insufficient_quota")


async def test_a_budget_in_usd_needs_a_price() -> None:
    async with world(answer, limits=Limits(usd_per_month=Decimal(1))) as client:
        assert (await client.post(BODY, PATH)).status == 200
        unpriced = await client.post({**BODY, "model": "openai/unknown-embedding"}, PATH)
    assert (unpriced.status, unpriced.json["error"]["code"]) == (403, "model_unpriced")


async def test_equal_calls_share_a_stored_reply_by_their_encoding() -> None:
    body = {**BODY, "caching": True}
    async with world(answer) as client:
        replies = [await client.post({**body, **more}, PATH) for more in ({}, {}, {"encoding_format": "base64"})]
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "hit", "miss"]
    assert (vectors(replies[1]), replies[1].json["usage"]["cost"]) == (vectors(replies[0]), 0)
    assert replies[0].json["id"] != replies[1].json["id"]


async def test_an_idempotency_key_replays_the_reply() -> None:
    async with world(answer) as client:
        first, second = [await client.post(BODY, PATH, {"idempotency-key": "k1"}) for _ in range(2)]
    assert (first.body, len(client.requests)) == (second.body, 1)


async def test_a_failing_provider_is_retried_and_replaced() -> None:
    def by_host(request: httpx.Request) -> httpx.Response:
        return answer(request) if request.url.host.startswith("api.mistral") else httpx.Response(503)

    async with world(by_host) as client:
        reply = await client.post({**BODY, "num_retries": 1, "fallbacks": ["mistral/mistral-embed"]}, PATH)
    assert (reply.status, reply.json["model"], reply.headers["x-tidegate-attempts"]) == (
        200,
        "mistral/mistral-embed",
        "3",
    )


async def test_a_route_leads_to_one_of_its_models() -> None:
    route = Route("vectors", (RouteTarget("openai/text-embedding-3-small"), RouteTarget("mistral/mistral-embed")))
    async with world(answer, workspace=replace(WORKSPACE, routes=(route,))) as client:
        reply = await client.post({**BODY, "model": "vectors"}, PATH)
    assert (reply.status, reply.json["model"]) == (200, MODEL)


async def test_guardrails_read_every_text() -> None:
    secret = "AKIA" + "IOSFODNN7EXAMPLE"
    async with world(answer) as client:
        refused = await client.post({**BODY, "input": ["tide", secret], "guardrails": ["secrets"]}, PATH)
    assert (refused.status, refused.json["error"]["param"], client.requests) == (400, "input[1]", [])


async def test_a_provider_without_embeddings_is_refused_by_name() -> None:
    async with world(answer, ANTHROPIC_API_KEY="k") as client:
        refused = await client.post({**BODY, "model": "anthropic/claude-haiku-4-5"}, PATH)
    assert (refused.status, refused.json["error"]["code"]) == (400, "operation_not_supported")
    assert "mistral" in refused.json["error"]["message"]


async def test_fields_that_the_provider_lacks_are_named_or_refused() -> None:
    async with world(answer) as client:
        reply = await client.post({**BODY, "input_type": "query"}, PATH)
        refused = await client.post({**BODY, "input_type": "query", "require_parameters": True}, PATH)
    assert reply.headers["x-tidegate-ignored-params"] == "input_type"
    assert (refused.status, refused.json["error"]["param"]) == (400, "input_type")


async def test_a_dry_run_shows_where_the_fields_go() -> None:
    async with world(answer) as client:
        report = (
            await client.post({**BODY, "model": "mistral/mistral-embed", "dimensions": 8, "dry_run": True}, PATH)
        ).json
    [step] = report["plan"]
    assert step["mapped"] == {
        "model": ["body.model"],
        "input": ["body.input"],
        "dimensions": ["body.output_dimension"],
    }
    assert client.requests == []


async def test_a_stream_is_refused() -> None:
    async with world(answer) as client:
        refused = await client.post({**BODY, "stream": True}, PATH)
    assert (refused.status, refused.json["error"]["param"]) == (400, "stream")


async def test_the_list_of_models_says_what_each_is_for() -> None:
    async with world(answer) as client:
        models: dict[str, Any] = {model["id"]: model for model in (await client.get("/v1/models")).json["data"]}
        filtered = (await client.get("/v1/models?output=embeddings")).json["data"]
    embedding = models[MODEL]
    assert (embedding["type"], embedding["dimensions"], embedding["architecture"]["modality"]) == (
        "embedding",
        1536,
        "text->embeddings",
    )
    assert models["openai/gpt-4.1-mini"]["type"] == "chat"
    assert {model["type"] for model in filtered} == {"embedding"}


async def test_many_requests_of_one_call_are_not_all_sent_at_once() -> None:
    busiest = now = 0

    async def slowly(request: httpx.Request) -> httpx.Response:
        nonlocal busiest, now
        now += 1
        busiest = max(busiest, now)
        await asyncio.sleep(0.001)
        now -= 1
        return httpx.Response(200, json={"embedding": [1.0], "inputTextTokenCount": 1})

    async with world(slowly, AWS_BEARER_TOKEN_BEDROCK="k", BEDROCK_REGION="eu-central-1") as gateway:
        body = {"model": "bedrock/amazon.titan-embed-text-v2:0", "input": ["tide"] * 40}
        reply = await gateway.post(body, PATH)
    assert (len(reply.json["data"]), reply.json["usage"]["prompt_tokens"], busiest) == (40, 40, 8)
