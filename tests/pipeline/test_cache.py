"""The cache, from the door to the record: what is asked for twice is answered twice and paid for once."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.world import (
    KEY,
    STREAM,
    USER,
    WORKSPACE,
    Client,
    Exchange,
    Gated,
    Trickle,
    completion,
    delta,
    event_stream,
    new_call,
    sse,
    world,
)
from tidegate.chat.request import build_chat_request
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.limits import Limits
from tidegate.domain.routes import Route, RouteTarget
from tidegate.errors import ModelNotAllowed, StoreUnavailable
from tidegate.gateway import Gateway
from tidegate.memory.reply_store import MemoryReplyStore
from tidegate.pipeline.lazy_reuse import ReuseLoader
from tidegate.pipeline.reuse import cache

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER, "caching": True}


def streamed_or_not(request: httpx.Request) -> httpx.Response:
    if b'"stream":true' in request.content:
        return event_stream(sse(*STREAM))
    return httpx.Response(200, json=completion("Create smarter."))


def said(reply: Any) -> str:
    return "".join(
        choice["delta"].get("content") or "" for event in reply.events[:-1] for choice in event.get("choices", [])
    )


async def test_the_second_of_equal_calls_is_a_hit() -> None:
    async with world(completion("Hello.")) as client:
        first, second = await client.post(CALL), await client.post(CALL)
    assert (first.headers["x-tidegate-cache"], second.headers["x-tidegate-cache"]) == ("miss", "hit")
    assert "age" not in first.headers
    assert int(second.headers["age"]) < 60
    assert second.headers["x-tidegate-model"] == "openai/gpt-4.1-mini"
    assert second.headers["x-tidegate-provider"] == "openai"
    assert {"x-tidegate-ignored-params", "x-tidegate-attempts"} & second.headers.keys() == set()
    assert len(client.requests) == 1
    assert second.json["id"] != first.json["id"]
    expected = {**first.json, "id": second.json["id"], "created": second.json["created"]}
    expected["usage"] = {**first.json["usage"], "words_used": 0, "cost": 0}
    assert second.json == expected


async def test_a_hit_is_on_record_and_costs_nothing() -> None:
    async with world() as client:
        await client.post(CALL)
        await client.post(CALL)
        made, hit = client.recorder.outcomes
        counters = (await client.get("/v1/usage")).json["total"]
    assert (made.status, hit.status, hit.attempts, hit.error_code) == ("ok", "cached", 0, None)
    assert hit.deployment is not None
    assert (hit.deployment.model_id, hit.finish_reason, hit.first_event_seconds) == (
        "openai/gpt-4.1-mini",
        "stop",
        None,
    )
    assert (hit.bill.tokens.input, hit.bill.tokens.output, hit.bill.words.used) == (0, 0, 0)
    assert (hit.bill.cost_usd, hit.hold) == (Decimal(0), None)
    assert (counters["calls"], counters["calls_cached"], counters["input_tokens"]) == (2, 1, 14)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
async def test_either_form_serves_the_other(first: bool, second: bool) -> None:
    async with world(streamed_or_not) as client:
        await client.post({**CALL, "stream": first})
        reply = await client.post({**CALL, "stream": second, "stream_options": {"include_usage": True}})
    assert (reply.headers["x-tidegate-cache"], len(client.requests)) == ("hit", 1)
    if not second:
        assert reply.json["choices"][0]["message"]["content"] == "Create smarter."
        assert (reply.json["object"], reply.json["usage"]["cost"]) == ("chat.completion", 0)
        return
    *chunks, done = reply.events
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert (said(reply), done) == ("Create smarter.", "[DONE]")
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "stop"
    assert chunks[-1]["choices"] == []
    usage = chunks[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (14, 12)
    assert (usage["words_used"], usage["cost"]) == (0, 0)
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1


async def test_a_replayed_stream_tells_its_usage_only_to_those_who_ask() -> None:
    async with world(streamed_or_not) as client:
        await client.post(CALL)
        plain = await client.post({**CALL, "stream": True})
        path, headers = "/api/ds-prototypes/chat/completions", {"x-workspace-id": "ws_test"}
        other = await client.post({**CALL, "stream": True}, path, headers)
    assert all("usage" not in event for event in plain.events[:-1])
    assert other.headers["x-tidegate-cache"] == "hit"
    assert other.events[-2]["usage"]["words_used"] == 0
    assert other.events[0]["id"].startswith("gen-")


async def test_workspaces_have_caches_of_their_own() -> None:
    key = replace(KEY, workspace_ids=("ws_test", "ws_other"))
    async with world(key=key) as client:
        await client.post(CALL)
        other = await client.post(CALL, headers={"x-workspace-id": "ws_other"})
        again = await client.post(CALL, headers={"x-workspace-id": "ws_other"})
    assert [reply.headers["x-tidegate-cache"] for reply in (other, again)] == ["miss", "hit"]
    assert len(client.requests) == 2


async def test_a_call_that_does_not_ask_is_left_alone() -> None:
    async with world() as client:
        await client.post(CALL)
        for body in ({**CALL, "caching": False}, {**CALL, "caching": None}):
            reply = await client.post(body)
            assert "x-tidegate-cache" not in reply.headers
    assert len(client.requests) == 3


async def test_a_workspace_may_cache_by_default() -> None:
    bare = {"model": CALL["model"], "messages": USER}
    async with world(workspace=replace(WORKSPACE, cache_ttl_seconds=60)) as client:
        replies = [await client.post(body) for body in (bare, bare, {**bare, "caching": False})]
    assert [reply.headers.get("x-tidegate-cache") for reply in replies] == ["miss", "hit", None]


@pytest.mark.parametrize(
    ("wishes", "told", "calls"),
    [
        ([{}, {}], ["miss", "hit"], 1),
        ([{"ttl": 60}, {"s-maxage": 60}], ["miss", "hit"], 1),
        ([{}, {"s-maxage": 0}, {}], ["miss", "bypass", "hit"], 2),
        ([{}, {"no-cache": True}, {}], ["miss", "bypass", "hit"], 2),
        ([{"no-store": True}, {}, {"no-store": True}], ["miss", "miss", "hit"], 2),
        ([{"ttl": 0}, {}], ["miss", "miss"], 2),
        ([{"no-cache": True, "no-store": True}, {}], ["bypass", "miss"], 2),
        ([{"namespace": "a"}, {"namespace": "b"}, {"namespace": "a"}, {}], ["miss", "miss", "hit", "miss"], 3),
    ],
)
async def test_callers_say_what_is_looked_up_and_kept(wishes: list[Any], told: list[str], calls: int) -> None:
    async with world() as client:
        replies = [await client.post({**CALL, "cache": wish}) for wish in wishes]
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == told
    assert len(client.requests) == calls


async def test_what_is_wrong_in_the_wishes_is_named() -> None:
    async with world() as client:
        reply = await client.post({**CALL, "cache": {"ttl": -1}})
    assert (reply.status, reply.json["error"]["param"]) == (400, "cache.ttl")


async def test_a_hit_has_its_own_id_and_the_moment_of_its_call() -> None:
    async with world() as client:
        await client.post(CALL)
        replies = [await client.post(CALL) for _ in range(3)]
    assert len({reply.json["id"] for reply in replies}) == 3
    assert all(abs(reply.json["created"] - client.recorder.outcomes[0].call.started_at) < 60 for reply in replies)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"error": {"message": "no"}}),
        httpx.Response(200, json={"choices": []}),
        httpx.Response(
            200, json=completion() | {"choices": [{**completion()["choices"][0], "finish_reason": "content_filter"}]}
        ),
        event_stream(sse(delta("Cre"))),
        event_stream(sse(delta("Cre"), {"error": {"message": "cut"}})),
    ],
    ids=["error", "malformed", "filtered", "cut", "error event"],
)
async def test_what_is_no_answer_is_not_kept(answer: httpx.Response) -> None:
    streams = answer.headers["content-type"].startswith("text/event-stream")
    whole = event_stream(sse(*STREAM)) if streams else httpx.Response(200, json=completion())
    answers = iter([answer, whole])
    async with world(lambda _: next(answers)) as client:
        body = {**CALL, "stream": streams, "num_retries": 0}
        await client.post(body)
        replies = [await client.post(body) for _ in range(2)]
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "hit"]


async def test_a_call_that_the_client_leaves_is_not_kept() -> None:
    body = Trickle()
    answers = iter([event_stream(body), event_stream(sse(*STREAM))])
    async with world(lambda _: next(answers)) as client:
        body.pieces.put_nowait(sse(delta("Cre")))
        exchange = Exchange(client.app, {**CALL, "stream": True}, "/v1/chat/completions")
        task = asyncio.create_task(exchange.run())
        await exchange.until(lambda sent: b"Cre" in sent)
        exchange.hang_up()
        await task
        again = await client.post({**CALL, "stream": True})
    assert again.headers["x-tidegate-cache"] == "miss"
    assert [outcome.status for outcome in client.recorder.outcomes] == ["cancelled", "ok"]


async def test_equal_calls_at_once_are_one() -> None:
    provider = Gated()
    async with world(provider) as client:
        tasks = [asyncio.create_task(client.post({**CALL, "user": str(n)})) for n in range(20)]
        await provider.reached.wait()
        provider.gate.set()
        replies = await asyncio.gather(*tasks)
    assert len(client.requests) == 1
    assert sorted(reply.headers["x-tidegate-cache"] for reply in replies) == ["hit"] * 19 + ["miss"]
    assert len({reply.json["id"] for reply in replies}) == 20
    assert sorted(outcome.status for outcome in client.recorder.outcomes) == ["cached"] * 19 + ["ok"]


async def test_equal_calls_of_two_workspaces_at_once_are_two() -> None:
    provider = Gated()
    key = replace(KEY, workspace_ids=("ws_test", "ws_other"))
    async with world(provider, key=key) as client:
        ids = ("ws_test", "ws_other")
        tasks = [asyncio.create_task(client.post(CALL, headers={"x-workspace-id": id})) for id in ids]
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(client.requests) == 2
        provider.gate.set()
        replies = await asyncio.gather(*tasks)
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "miss"]


async def test_a_first_call_that_fails_or_leaves_hands_over_to_the_next() -> None:
    asked, gate = asyncio.Event(), asyncio.Event()

    async def failing_first(_: httpx.Request) -> httpx.Response:
        if not asked.is_set():
            asked.set()
            await gate.wait()
            return httpx.Response(400, json={"error": {"message": "no"}})
        return httpx.Response(200, json=completion())

    async with world(failing_first) as client:
        tasks = [asyncio.create_task(client.post(CALL)) for _ in range(4)]
        await asked.wait()
        gate.set()
        replies = await asyncio.gather(*tasks)
    assert sorted(reply.status for reply in replies) == [200, 200, 200, 400]
    assert sorted(r.headers["x-tidegate-cache"] for r in replies if r.status == 200) == ["hit", "hit", "miss"]
    assert len(client.requests) == 2


async def test_whoever_waits_for_an_equal_call_waits_no_longer_than_its_own_time() -> None:
    provider = Gated()
    async with world(provider) as client:
        first = asyncio.create_task(client.post(CALL))
        await provider.reached.wait()
        late = await client.post({**CALL, "timeout": 0.001})
        provider.gate.set()
        assert (await first).status == 200
    assert (late.status, late.json["error"]["code"]) == (504, "gateway_timeout")
    assert sorted(outcome.status for outcome in client.recorder.outcomes) == ["failed", "ok"]


async def test_what_a_fallback_says_is_no_answer_to_an_equal_call() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "api.openai.com":
            return httpx.Response(500, json={"error": {"message": "down"}})
        return httpx.Response(200, json=completion())

    async with world(answer) as client:
        body = {**CALL, "fallbacks": ["mistral/mistral-small-latest"], "num_retries": 0}
        replies = [await client.post(body) for _ in range(2)]
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "miss"]
    assert [reply.headers["x-tidegate-provider"] for reply in replies] == ["mistral", "mistral"]


async def test_a_key_gets_nothing_from_a_model_that_it_may_not_use(client: Client) -> None:
    gateway: Gateway = client.app.lifespan_state["gateway"]
    call = await new_call(gateway, CALL)
    async with gateway.answer(call) as answer:
        assert answer.headers == (("x-tidegate-cache", "miss"),)
    limited = replace(call.principal, limits=Limits(models=("mistral/*",)))
    with pytest.raises(ModelNotAllowed):
        async with gateway.answer(replace(call, id="another", principal=limited)):
            pass


class Down:
    """A store that does not answer."""

    answers_at_once = False

    async def find(self, workspace_id: str, key: str) -> bytes | None:
        raise StoreUnavailable("down")

    async def keep(self, workspace_id: str, key: str, reply: bytes, seconds: float) -> bool:
        raise StoreUnavailable("down")


async def test_a_dead_store_fails_no_call() -> None:
    async with world() as client:
        state = client.app.lifespan_state
        reuse = ReuseLoader(lambda: (Down(), MemoryReplyStore()))
        client.app.lifespan_state = {**state, "gateway": replace(state["gateway"], reuse=reuse)}
        replies = [await client.post(CALL) for _ in range(2)]
    assert [(reply.status, reply.headers["x-tidegate-cache"]) for reply in replies] == [(200, "bypass")] * 2
    assert [outcome.status for outcome in client.recorder.outcomes] == ["ok", "ok"]


class Slow(MemoryReplyStore):
    """A store that never answers a question."""

    answers_at_once = False

    async def find(self, workspace_id: str, key: str) -> bytes | None:
        await asyncio.Event().wait()
        return None


async def test_a_store_that_hangs_holds_no_call_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LOOKUP_SECONDS", 0.0)
    async with world() as client:
        state, slow = client.app.lifespan_state, Slow()
        reuse = ReuseLoader(lambda: (slow, slow))
        client.app.lifespan_state = {**state, "gateway": replace(state["gateway"], reuse=reuse)}
        reply = await client.post(CALL)
    assert (reply.status, reply.headers["x-tidegate-cache"]) == (200, "bypass")


async def test_nothing_is_reserved_for_a_hit() -> None:
    workspace = replace(WORKSPACE, limits=Limits(requests_per_minute=1))
    async with world(workspace=workspace) as client:
        replies = [await client.post(CALL) for _ in range(3)]
        refused = await client.post({**CALL, "seed": 1})
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert refused.status == 429


async def test_what_a_provider_could_not_honour_is_told_of_a_hit_too() -> None:
    body = {**CALL, "model": "mistral/mistral-small-latest", "logit_bias": {"1": 1}}
    async with world() as client:
        replies = [await client.post(body) for _ in range(2)]
        strict = await client.post({**body, "require_parameters": True})
    told = [reply.headers["x-tidegate-ignored-params"] for reply in replies]
    assert told == ["logit_bias", "logit_bias"]
    assert (strict.status, strict.json["error"]["code"]) == (400, "unsupported_parameter")


async def test_a_hit_tells_what_of_its_own_call_is_unknown_and_nothing_of_another_ones() -> None:
    body = {**CALL, "model": "mistral/mistral-small-latest", "logit_bias": {"1": 1}, "cache": {"a": 1}}
    async with world() as client:
        replies = [await client.post({**body, "cache": {name: 1}}) for name in ("a", "ttl", "b")]
    told = [reply.headers["x-tidegate-ignored-params"] for reply in replies]
    assert told == ["cache.a,logit_bias", "logit_bias", "cache.b,logit_bias"]


async def test_an_old_hit_keeps_signed_reasoning_anew_for_the_next_turn() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "s==", "index": 0}]
    called = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    async with world(completion(reasoning_details=details, tool_calls=called)) as client:
        state = client.app.lifespan_state
        gateway: Gateway = state["gateway"]
        await client.post(CALL)
        await client.post(CALL)
        turns = [*CALL["messages"], {"role": "assistant", "content": "Hello.", "tool_calls": called}]
        [turn] = build_chat_request({**CALL, "messages": turns}).reasoning_turns().values()
        assert await gateway.open_signatures().find("ws_test", [turn]) == {}
        later = replace(gateway, clock=lambda: time.time() + 50_000)
        client.app.lifespan_state = {**state, "gateway": later}
        reply = await client.post(CALL)
    assert (reply.headers["x-tidegate-cache"], reply.headers["age"][:2]) == ("hit", "50")
    assert (await gateway.open_signatures().find("ws_test", [turn]))[turn][0]["signature"] == "s=="


ROUTED = Route("fast", (RouteTarget("openai/gpt-4.1-mini"), RouteTarget("mistral/mistral-small-latest")))


async def test_what_any_deployment_of_a_route_says_answers_for_all_of_it() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "api.openai.com":
            return httpx.Response(503, json={"error": {"message": "busy"}})
        return httpx.Response(200, json=completion())

    async with world(answer, workspace=replace(WORKSPACE, routes=(ROUTED,))) as client:
        replies = [await client.post({**CALL, "model": "fast"}) for _ in range(2)]
        other = await client.post({**CALL, "model": "mistral/mistral-small-latest"})
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "hit"]
    assert {reply.headers["x-tidegate-provider"] for reply in replies} == {"mistral"}
    assert other.headers["x-tidegate-cache"] == "miss"


async def test_a_key_that_may_use_a_route_by_its_name_gets_what_was_said_there() -> None:
    key = replace(KEY, limits=Limits(models=("fast",)))
    async with world(key=key, workspace=replace(WORKSPACE, routes=(ROUTED,))) as client:
        replies = [await client.post({**CALL, "model": "fast"}) for _ in range(2)]
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "hit"]


async def test_a_prompt_that_is_too_long_is_kept_as_the_bigger_models() -> None:
    long = [{"role": "user", "content": "tide " * 400_000}]
    body = {"model": "openai/gpt-4", "messages": long, "caching": True}
    bigger = {"context_window_fallback_dict": {"openai/gpt-4": "openai/gpt-4.1"}}
    async with world() as client:
        replies = [await client.post({**body, **bigger}) for _ in range(2)]
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "hit"]
    assert {reply.headers["x-tidegate-model"] for reply in replies} == {"openai/gpt-4.1"}


async def test_a_shortened_answer_is_no_answer_to_an_equal_call() -> None:
    limits = Limits(tokens_per_day=3000)
    workspace = replace(WORKSPACE, limits=limits, lowers_max_tokens=True)
    async with world(workspace=workspace) as client:
        replies = [await client.post({**CALL, "max_tokens": 100_000}) for _ in range(2)]
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "miss"]
    assert all("x-tidegate-max-tokens" in reply.headers for reply in replies)


async def test_a_hit_names_the_guardrails_that_it_has_passed() -> None:
    async with world() as client:
        replies = [await client.post({**CALL, "guardrails": ["personal-data"]}) for _ in range(2)]
    assert [reply.headers["x-tidegate-cache"] for reply in replies] == ["miss", "hit"]
    assert {reply.headers["x-tidegate-guardrails"] for reply in replies} == {"personal-data"}


async def test_what_a_guardrail_blocks_is_not_kept() -> None:
    blocked = Guardrail("no-tides", "words", on="output", always=True, words=("tide",))
    texts = iter(["The tide.", "The sea."])

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=completion(next(texts)))

    async with world(answer, workspace=replace(WORKSPACE, guardrails=(blocked,))) as client:
        refused, made, hit = [await client.post(CALL) for _ in range(3)]
    assert (refused.status, refused.json["error"]["code"]) == (400, "guardrail_violation")
    assert [reply.headers["x-tidegate-cache"] for reply in (made, hit)] == ["miss", "hit"]
