"""An operation that nothing outside of this folder knows, through the whole pipeline."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from msgspec.structs import replace

from tests.pipeline.toy.operation import TOY, ToyTranslator
from tests.world import WORKSPACE, Client, world
from tidegate.api.app import ENDPOINTS
from tidegate.domain.limits import Limits
from tidegate.domain.workspace import Workspace
from tidegate.providers import Registry
from tidegate.surfaces.openai import OPENAI

PATH = "/v1/vectors"
MODEL = "openai/text-embedding-3-small"
BODY = {"model": MODEL, "input": "tide gate"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.host.startswith("api.mistral"):
        return httpx.Response(200, json={"vector": [2.0], "usage": USAGE})
    busy = json.loads(request.content)["text"] == "busy"
    return httpx.Response(503) if busy else httpx.Response(200, json={"vector": [1.0], "usage": USAGE})


@asynccontextmanager
async def toy_world(workspace: Workspace = WORKSPACE, **env: str) -> AsyncIterator[Client]:
    async with world(answer, workspace=workspace, endpoints={**ENDPOINTS, PATH: (OPENAI, TOY)}, **env) as client:
        gateway = client.app.lifespan_state["gateway"]
        providers = Registry(translators={TOY.name: ToyTranslator})
        client.app.lifespan_state["gateway"] = replace(gateway, providers=providers)
        yield client


async def test_a_new_operation_is_answered_metered_and_recorded() -> None:
    async with toy_world() as client:
        reply = await client.post(BODY, PATH)
    assert (reply.status, reply.headers["x-tidegate-model"]) == (200, MODEL)
    told = reply.json
    assert (told["object"], told["vector"], told["usage"]["prompt_tokens"]) == ("vector", [1.0], 3)
    [sent] = client.requests
    assert (sent.url.path, json.loads(sent.content)) == (
        "/v1/vectors",
        {"model": "text-embedding-3-small", "text": "tide gate"},
    )
    [outcome] = client.recorder.outcomes
    assert (outcome.call.operation, outcome.status, outcome.bill.tokens.input, outcome.bill.words.input) == (
        TOY,
        "ok",
        3,
        2,
    )


async def test_its_worst_case_must_fit_the_budget() -> None:
    async with toy_world(replace(WORKSPACE, limits=Limits(tokens_per_day=20))) as client:
        assert (await client.post(BODY, PATH)).status == 200
        refused = await client.post({**BODY, "input": "tide gate " * 30}, PATH)
    assert (refused.status, refused.json["error"]["code"]) == (429, "insufficient_quota")
    assert len(client.requests) == 1


async def test_a_call_without_an_answer_in_tokens_is_refused_and_not_shortened() -> None:
    limited = replace(WORKSPACE, limits=Limits(words_per_day=1), lowers_max_tokens=True, charge_input_words=True)
    async with toy_world(limited) as client:
        refused = await client.post(BODY, PATH)
    assert (refused.status, refused.json["error"]["code"]) == (429, "insufficient_quota")


async def test_it_falls_back_retries_and_is_cached_like_any_other() -> None:
    body: dict[str, Any] = {**BODY, "input": "busy", "num_retries": 1, "fallbacks": ["mistral/embed"], "caching": True}
    async with toy_world() as client:
        first, second = await client.post(body, PATH), await client.post({**body, "input": "calm"}, PATH)
        again = await client.post({**body, "input": "calm"}, PATH)
    assert (first.json["vector"], first.headers["x-tidegate-attempts"]) == ([2.0], "3")
    assert [reply.headers["x-tidegate-cache"] for reply in (first, second, again)] == ["miss", "miss", "hit"]
    assert (again.json["vector"], again.json["usage"]["cost"]) == ([1.0], 0)


async def test_guardrails_read_its_prompt() -> None:
    secret = "AKIA" + "IOSFODNN7EXAMPLE"
    async with toy_world() as client:
        refused = await client.post({**BODY, "input": secret, "guardrails": ["secrets"]}, PATH)
    assert (refused.status, refused.json["error"]["param"]) == (400, "input")
    assert client.requests == []


async def test_a_dry_run_shows_where_its_fields_go() -> None:
    async with toy_world() as client:
        report = (await client.post({**BODY, "dry_run": True}, PATH)).json
    [step] = report["plan"]
    assert (step["mapped"], step["request"]["body"]) == (
        {"model": ["body.model"], "input": ["body.text"]},
        {"model": "text-embedding-3-small", "text": "tide gate"},
    )


async def test_a_provider_without_the_operation_is_refused() -> None:
    async with world(answer, endpoints={PATH: (OPENAI, TOY)}) as client:
        refused = await client.post(BODY, PATH)
    assert (refused.status, refused.json["error"]["code"]) == (400, "operation_not_supported")
