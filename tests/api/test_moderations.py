"""Moderations over HTTP: OpenAI's form, free at OpenAI and charged at Mistral."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.world import world

VERDICT = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.9}}
IMAGE: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


@pytest.mark.parametrize("path", ["/v1/moderations", "/moderations", "/openai/v1/moderations", "/api/v1/moderations"])
async def test_a_text_is_judged_for_free_by_openais_usual_model(path: str) -> None:
    async with world({"id": "modr-1", "model": "omni-moderation-latest", "results": [VERDICT]}) as client:
        reply = await client.post({"input": "I want to harm them."}, path)
    assert (reply.status, reply.json["model"], reply.json["results"]) == (
        200,
        "openai/omni-moderation-latest",
        [VERDICT],
    )
    assert reply.json["id"].startswith("modr-")
    assert json.loads(client.requests[0].content) == {
        "model": "omni-moderation-latest",
        "input": "I want to harm them.",
    }
    [outcome] = client.recorder.outcomes
    assert (outcome.call.operation.name, outcome.status, outcome.bill.cost_usd) == ("moderations", "ok", 0)


async def test_mistral_charges_tokens_and_does_not_say_flagged() -> None:
    verdict = {"categories": {"violence": False, "pii": True}, "category_scores": {"violence": 0.1, "pii": 0.8}}
    answer = {"results": [verdict, {**verdict, "categories": {"pii": False}}], "usage": {"prompt_tokens": 10}}
    async with world(answer) as client:
        body = {"model": "mistral/mistral-moderation-latest", "input": ["a", "b"]}
        reply = await client.post(body, "/v1/moderations")
    assert [result["flagged"] for result in reply.json["results"]] == [True, False]
    assert client.recorder.outcomes[0].bill.cost_usd == Decimal("0.000001")


async def test_images_go_where_they_are_read() -> None:
    parts = [{"type": "text", "text": "look"}, IMAGE]
    async with world({"results": [VERDICT]}) as client:
        reply = await client.post({"model": "openai/omni-moderation-latest", "input": parts}, "/v1/moderations")
        refused = await client.post({"model": "mistral/mistral-moderation-latest", "input": parts}, "/v1/moderations")
    assert (reply.status, json.loads(client.requests[0].content)["input"]) == (200, parts)
    assert (refused.status, refused.json["error"]["param"], len(client.requests)) == (400, "input", 1)


async def test_guardrails_mask_texts_and_leave_images() -> None:
    parts = [{"type": "text", "text": "mail to ann@example.com"}, IMAGE]
    async with world({"results": [VERDICT]}) as client:
        body = {"model": "openai/omni-moderation-latest", "input": parts, "guardrails": ["personal-data-mask"]}
        reply = await client.post(body, "/v1/moderations")
    assert reply.status == 200
    text, image = json.loads(client.requests[0].content)["input"]
    assert (text, image) == ({"type": "text", "text": "mail to [EMAIL]"}, IMAGE)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{"type": "audio"}]}, "input[0].type"),
    ],
)
async def test_what_is_not_valid_is_refused_with_its_path(fields: dict[str, Any], param: str) -> None:
    async with world() as client:
        refused = await client.post(fields, "/v1/moderations")
    assert (refused.status, refused.json["error"]["param"]) == (400, param)


@pytest.mark.parametrize("results", [None, [5], [{"flagged": True}]])
async def test_a_reply_that_cannot_be_read_is_malformed(results: Any) -> None:
    async with world({"results": results}) as client:
        reply = await client.post({"input": "a", "num_retries": 0}, "/v1/moderations")
    assert (reply.status, reply.json["error"]["code"]) == (502, "provider_malformed_response")


async def test_a_provider_without_moderations_is_refused_by_name() -> None:
    async with world(COHERE_API_KEY="k") as client:
        refused = await client.post({"model": "cohere/command-a", "input": "a"}, "/v1/moderations")
    assert "These have: litellm, mistral, openai" in refused.json["error"]["message"]
