"""Rerank over HTTP: Cohere's form in front of each provider, charged by searches or by tokens."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.world import world
from tidegate.domain.limits import Limits

DOCUMENTS = ["A gate opens with the tide.", "Fish swim.", {"text": "The tide turns."}]
BODY: dict[str, Any] = {"query": "tide", "documents": DOCUMENTS, "top_n": 2}
TEXTS = ["A gate opens with the tide.", "Fish swim.", "The tide turns."]
KEYS: Any = {"COHERE_API_KEY": "k", "VOYAGE_API_KEY": "k", "JINA_API_KEY": "k", "TOGETHER_API_KEY": "k"}
BEDROCK: Any = {"AWS_BEARER_TOKEN_BEDROCK": "k", "BEDROCK_REGION": "eu-central-1"}
RESULTS = [{"index": 2, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.5}]


@pytest.mark.parametrize(
    ("model", "url", "sent", "answered", "billed", "cost"),
    [
        (
            "cohere/rerank-v3.5",
            "https://api.cohere.com/v2/rerank",
            {"model": "rerank-v3.5", "query": "tide", "documents": TEXTS, "top_n": 2},
            {"results": RESULTS, "meta": {"billed_units": {"search_units": 1}}},
            {"search_units": 1},
            "0.002",
        ),
        (
            "voyage/rerank-2.5",
            "https://api.voyageai.com/v1/rerank",
            {"model": "rerank-2.5", "query": "tide", "documents": TEXTS, "top_k": 2},
            {"object": "list", "data": RESULTS, "usage": {"total_tokens": 20}},
            {"input_tokens": 20},
            "0.000001",
        ),
        (
            "jina/jina-reranker-v3",
            "https://api.jina.ai/v1/rerank",
            {
                "model": "jina-reranker-v3",
                "query": "tide",
                "documents": TEXTS,
                "top_n": 2,
                "return_documents": False,
            },
            {"results": RESULTS, "usage": {"total_tokens": 20}},
            {"input_tokens": 20},
            "0.000001",
        ),
        (
            "bedrock/cohere.rerank-v3-5:0",
            "https://bedrock-runtime.eu-central-1.amazonaws.com/model/cohere.rerank-v3-5%3A0/invoke",
            {"query": "tide", "documents": TEXTS, "top_n": 2, "api_version": 2},
            {"results": RESULTS},
            {"search_units": 1},
            "0.002",
        ),
        (
            "bedrock/amazon.rerank-v1:0",
            "https://bedrock-runtime.eu-central-1.amazonaws.com/model/amazon.rerank-v1%3A0/invoke",
            {"query": "tide", "documents": TEXTS, "top_n": 2},
            {"results": RESULTS},
            {"search_units": 1},
            "0.001",
        ),
    ],
)
async def test_documents_are_ranked_and_charged(
    model: str, url: str, sent: dict[str, Any], answered: dict[str, Any], billed: dict[str, int], cost: str
) -> None:
    async with world(answered, **KEYS, **BEDROCK) as client:
        reply = await client.post({**BODY, "model": model}, "/v1/rerank")
    assert (reply.status, reply.json["results"], reply.json["meta"]["billed_units"]) == (200, RESULTS, billed)
    [request] = client.requests
    assert (str(request.url), json.loads(request.content)) == (url, sent)
    [outcome] = client.recorder.outcomes
    assert (outcome.call.operation.name, outcome.status, outcome.bill.cost_usd) == ("rerank", "ok", Decimal(cost))


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank", "/openai/v1/rerank", "/api/v1/rerank"])
async def test_every_path_answers(path: str) -> None:
    async with world({"results": RESULTS, "usage": {"total_tokens": 5}}, **KEYS) as client:
        reply = await client.post({**BODY, "model": "together/rerank"}, path)
    assert (reply.status, reply.json["model"], reply.json["results"]) == (200, "together/rerank", RESULTS)


async def test_a_caller_gets_the_documents_that_it_asks_for() -> None:
    async with world({"results": RESULTS}, **KEYS) as client:
        reply = await client.post({**BODY, "model": "cohere/rerank-v3.5", "return_documents": True}, "/v1/rerank")
    assert [result["document"] for result in reply.json["results"]] == [{"text": TEXTS[2]}, {"text": TEXTS[0]}]
    assert "return_documents" not in json.loads(client.requests[0].content)


async def test_a_budget_must_allow_the_searches_of_all_documents() -> None:
    limits = Limits(usd_per_month=Decimal("0.005"))
    async with world({"results": RESULTS}, limits=limits, **KEYS) as client:
        body = {**BODY, "model": "cohere/rerank-v3.5"}
        assert (await client.post(body, "/v1/rerank")).status == 200
        refused = await client.post({**body, "documents": ["tide"] * 201}, "/v1/rerank")
    assert (refused.status, refused.json["error"]["code"]) == (429, "insufficient_quota")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": ""}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": ["a"] * 1001}, "documents"),
        ({"documents": [5]}, "documents[0]"),
        ({"documents": [{"title": "a"}]}, "documents[0].text"),
        ({"top_n": 0}, "top_n"),
        ({"top_k": 3}, "top_k"),
    ],
)
async def test_what_is_not_valid_is_refused_with_its_path(fields: dict[str, Any], param: str) -> None:
    async with world(**KEYS) as client:
        refused = await client.post({**BODY, "model": "cohere/rerank-v3.5", **fields}, "/v1/rerank")
    assert (refused.status, refused.json["error"]["param"], client.requests) == (400, param, [])


@pytest.mark.parametrize("results", [None, [5], [{"index": 9, "relevance_score": 1}], [{"index": 0}]])
async def test_a_reply_that_cannot_be_read_is_malformed(results: Any) -> None:
    async with world({"results": results}, **KEYS) as client:
        reply = await client.post({**BODY, "model": "cohere/rerank-v3.5", "num_retries": 0}, "/v1/rerank")
    assert (reply.status, reply.json["error"]["code"]) == (502, "provider_malformed_response")


async def test_guardrails_read_the_documents_and_equal_calls_are_cached() -> None:
    secret = "AKIA" + "IOSFODNN7EXAMPLE"
    body = {**BODY, "model": "cohere/rerank-v3.5"}
    async with world({"results": RESULTS}, **KEYS) as client:
        refused = await client.post({**body, "documents": ["tide", secret], "guardrails": ["secrets"]}, "/v1/rerank")
        replies = [await client.post({**body, "caching": True}, "/v1/rerank") for _ in range(2)]
    assert (refused.status, refused.json["error"]["param"]) == (400, "documents[1]")
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "hit"]
    assert replies[1].json["results"] == RESULTS


async def test_a_provider_without_rerank_is_refused_by_name() -> None:
    async with world() as client:
        refused = await client.post({**BODY, "model": "openai/gpt-4.1"}, "/v1/rerank")
    assert (refused.status, refused.json["error"]["code"]) == (400, "operation_not_supported")
    assert "bedrock, cohere" in refused.json["error"]["message"]


async def test_a_failing_provider_is_replaced() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "api.cohere.com":
            return httpx.Response(429)
        return httpx.Response(200, json={"data": RESULTS, "usage": {"total_tokens": 20}})

    body = {**BODY, "model": "cohere/rerank-v3.5", "num_retries": 0, "fallbacks": ["voyage/rerank-2.5"]}
    async with world(answer, **KEYS) as client:
        reply = await client.post(body, "/v1/rerank")
    assert (reply.status, reply.json["model"], reply.json["results"]) == (200, "voyage/rerank-2.5", RESULTS)
