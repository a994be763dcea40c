"""Ollama's completion of a prompt and its embeddings, over HTTP, in front of other providers."""

import json
from typing import Any

import httpx
import pytest

from tests.world import completion, delta, streams, world

GENERATE, EMBED = "/api/generate", "/api/embed"
MODEL = "openai/gpt-4.1-mini"
VECTORS: dict[str, Any] = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}


async def test_a_prompt_is_answered_as_a_response() -> None:
    sent = {"model": MODEL, "prompt": "Hi", "system": "Brief.", "images": ["iVBORw0KGgo="], "options": {"seed": 7}}
    async with world(completion("Tide.")) as client:
        reply = await client.post({**sent, "stream": False, "raw": True, "keep_alive": 5}, GENERATE)
    read, asked = reply.json, json.loads(client.requests[0].content)
    assert (read["response"], read["done"], read["done_reason"]) == ("Tide.", True, "stop")
    assert "message" not in read and read["prompt_eval_count"] > 0
    assert [each["role"] for each in asked["messages"]] == ["system", "user"]
    assert [part["type"] for part in asked["messages"][1]["content"]] == ["text", "image_url"]
    assert asked["seed"] == 7 and not {"prompt", "system", "images", "raw"} & asked.keys()
    assert set(reply.headers["x-tidegate-ignored-params"].split(",")) == {"raw", "keep_alive"}


async def test_a_prompt_streams_by_default_in_lines() -> None:
    async with world(streams(delta("Ti"), delta("de."), delta(None, "stop"))) as client:
        reply = await client.post({"model": MODEL, "prompt": "Hi"}, GENERATE)
    *texts, end = [json.loads(line) for line in reply.body.decode().splitlines()]
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert "".join(text["response"] for text in texts) == "Tide."
    assert (end["response"], end["done"]) == ("", True) and "message" not in end


async def test_texts_have_vectors_in_ollamas_form() -> None:
    async with world(VECTORS) as client:
        body = {"model": "openai/text-embedding-3-small", "input": "Hi", "dimensions": 2, "truncate": True}
        reply = await client.post(body, EMBED)
    assert (reply.status, reply.json["embeddings"], reply.json["prompt_eval_count"]) == (200, [[0.5, -1.0]], 4)
    assert json.loads(client.requests[0].content)["dimensions"] == 2
    assert reply.headers["x-tidegate-ignored-params"] == "truncate"
    assert client.recorder.outcomes[0].call.operation.name == "embeddings"


async def test_vectors_are_numbers_whatever_openais_field_asks() -> None:
    async with world(VECTORS) as client:
        body = {"model": "openai/text-embedding-3-small", "input": "Hi", "encoding_format": "base64"}
        reply = await client.post(body, EMBED)
    assert reply.json["embeddings"] == [[0.5, -1.0]]
    assert json.loads(client.requests[0].content).get("encoding_format") != "base64"
    assert reply.headers["x-tidegate-ignored-params"] == "encoding_format"


@pytest.mark.parametrize(
    ("path", "body"),
    [(GENERATE, {"model": MODEL}), (GENERATE, {"model": MODEL, "prompt": 7}), (EMBED, {"model": MODEL, "input": 7})],
)
async def test_an_error_has_ollamas_form(path: str, body: Any) -> None:
    async with world(lambda _: httpx.Response(500)) as client:
        reply = await client.post(body, path)
    assert reply.status == 400 and isinstance(reply.json["error"], str)
    assert client.requests == []
