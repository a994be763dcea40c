"""Idempotency keys, from the door to the record: a call whose answer was lost is asked for again, and made once."""

import asyncio
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
    streams,
    world,
)
from tidegate.domain.call import IdempotencyClaim
from tidegate.domain.limits import Limits
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import Principal, VirtualKey, Workspace
from tidegate.errors import ModelNotAllowed, StoreUnavailable
from tidegate.gateway import Gateway
from tidegate.memory.reply_store import MemoryReplyStore
from tidegate.pipeline.lazy_reuse import ReuseLoader

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER}
HEADERS = {"idempotency-key": "order-1"}


def with_rooms(client: Client, claims: Any) -> None:
    state = client.app.lifespan_state
    gateway = replace(state["gateway"], reuse=ReuseLoader(lambda: (MemoryReplyStore(), claims)))
    client.app.lifespan_state = {**state, "gateway": gateway}


async def test_the_same_key_and_body_get_the_same_reply_and_pay_once() -> None:
    async with world() as client:
        replies = [await client.post(CALL, headers=HEADERS) for _ in range(3)]
        counters = (await client.get("/v1/usage")).json["total"]
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert replies[0].json == replies[1].json == replies[2].json
    assert replies[0].json["usage"]["words_used"] == 9
    assert [reply.headers.get("idempotent-replayed") for reply in replies] == [None, "true", "true"]
    assert len({reply.headers["x-request-id"] for reply in replies}) == 3
    assert len(client.requests) == 1
    assert [outcome.status for outcome in client.recorder.outcomes] == ["ok", "cached", "cached"]
    assert (counters["calls"], counters["words"], counters["output_tokens"]) == (3, 9, 12)


async def test_a_stream_is_replayed_as_a_stream_with_the_same_id() -> None:
    async with world(streams(*STREAM)) as client:
        body = {**CALL, "stream": True, "stream_options": {"include_usage": True}}
        first, second = [await client.post(body, headers=HEADERS) for _ in range(2)]
    assert len(client.requests) == 1
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["content-type"].startswith("text/event-stream")

    def told(reply: Any) -> Any:
        chunks, done = reply.events[:-1], reply.events[-1]
        text = "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"])
        return chunks[0]["id"], chunks[0]["created"], chunks[0]["model"], text, chunks[-1]["usage"], done

    assert told(first) == told(second)
    assert told(first)[3:] == ("Create smarter.", first.events[-2]["usage"], "[DONE]")
    assert first.events[-2]["usage"]["words_used"] == 9


async def test_another_body_is_refused_and_the_reply_stays() -> None:
    async with world() as client:
        await client.post(CALL, headers=HEADERS)
        for other in ({**CALL, "seed": 1}, {**CALL, "stream": True}):
            refused = await client.post(other, headers=HEADERS)
            assert (refused.status, refused.json["error"]["code"]) == (422, "idempotency_key_reused")
            assert refused.json["error"]["param"] == "idempotency-key"
        path, headers = "/api/ds-prototypes/chat/completions", {**HEADERS, "x-workspace-id": "ws_test"}
        assert (await client.post(CALL, path, headers)).status == 422
        again = await client.post({"messages": USER, "model": CALL["model"]}, headers=HEADERS)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(client.requests) == 1
    failed = [outcome.error_code for outcome in client.recorder.outcomes if outcome.status == "failed"]
    assert failed == ["idempotency_key_reused"] * 3


async def test_a_call_in_flight_is_a_conflict_that_says_when_to_come_back() -> None:
    provider = Gated()
    async with world(provider) as client:
        first = asyncio.create_task(client.post(CALL, headers=HEADERS))
        await provider.reached.wait()
        early = await client.post(CALL, headers=HEADERS)
        other = await client.post({**CALL, "seed": 1}, headers=HEADERS)
        provider.gate.set()
        made = await first
        late = await client.post(CALL, headers=HEADERS)
    assert (early.status, early.json["error"]["code"]) == (409, "idempotency_in_flight")
    assert early.headers["retry-after"] == "2"
    assert other.status == 422
    assert late.json == made.json
    assert len(client.requests) == 1


async def test_workspaces_have_keys_of_their_own() -> None:
    key = replace(KEY, workspace_ids=("ws_test", "ws_other"))
    async with world(key=key) as client:
        await client.post(CALL, headers=HEADERS)
        other = await client.post({**CALL, "seed": 1}, headers={**HEADERS, "x-workspace-id": "ws_other"})
    assert (other.status, len(client.requests)) == (200, 2)


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(400, json={"error": {"message": "no"}}), event_stream(sse(delta("Cre")))],
    ids=["error", "cut"],
)
async def test_a_call_that_failed_may_be_made_again(answer: httpx.Response) -> None:
    streams = answer.headers["content-type"].startswith("text/event-stream")
    whole = event_stream(sse(*STREAM)) if streams else httpx.Response(200, json=completion())
    answers = iter([answer, whole])
    async with world(lambda _: next(answers)) as client:
        body = {**CALL, "stream": streams, "num_retries": 0}
        replies = [await client.post(body, headers=HEADERS) for _ in range(3)]
    assert [reply.headers.get("idempotent-replayed") for reply in replies] == [None, None, "true"]
    assert [outcome.status for outcome in client.recorder.outcomes] == ["failed", "ok", "cached"]


async def test_a_call_that_the_client_left_may_be_made_again() -> None:
    answers = iter([event_stream(Trickle()), event_stream(sse(*STREAM))])

    def answer(_: httpx.Request) -> httpx.Response:
        asked.set()
        return next(answers)

    asked = asyncio.Event()
    async with world(answer) as client:
        exchange = Exchange(client.app, {**CALL, "stream": True}, "/v1/chat/completions", HEADERS)
        task = asyncio.create_task(exchange.run())
        await asked.wait()
        exchange.hang_up()
        await task
        again = await client.post({**CALL, "stream": True}, headers=HEADERS)
    assert again.events[-1] == "[DONE]"
    assert [outcome.status for outcome in client.recorder.outcomes] == ["cancelled", "ok"]


@pytest.mark.parametrize("value", ["k" * 256, "a\tb", "schl\u00fcssel"])
async def test_what_is_no_key_is_refused(value: str) -> None:
    async with world() as client:
        refused = await client.post(CALL, headers={"idempotency-key": value})
    assert (refused.status, refused.json["error"]["param"]) == (400, "idempotency-key")
    assert client.requests == []


async def test_an_empty_key_is_refused() -> None:
    async with world() as client:
        exchange = Exchange(client.app, CALL, "/v1/chat/completions", None, None, "POST", None)
        exchange._scope["headers"].append((b"idempotency-key", b""))
        await exchange.run()
    assert (exchange.reply().status, exchange.reply().json["error"]["param"]) == (400, "idempotency-key")


async def test_255_characters_are_a_key(client: Client) -> None:
    assert (await client.post(CALL, headers={"idempotency-key": "k" * 255})).status == 200


class Claims:
    """Claims that are down, or that have no place for a reply."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.is_down = is_down
        self.released: list[IdempotencyClaim] = []

    async def claim(self, claim: IdempotencyClaim) -> bytes | None:
        if self.is_down:
            raise StoreUnavailable("down", retry_after_seconds=1)
        return None

    async def fulfil(self, claim: IdempotencyClaim, reply: bytes, seconds: float) -> bool:
        return False

    async def release(self, claim: IdempotencyClaim) -> None:
        self.released.append(claim)


async def test_nothing_is_made_twice_because_a_store_is_down() -> None:
    async with world() as client:
        with_rooms(client, Claims(is_down=True))
        refused = await client.post(CALL, headers=HEADERS)
        assert (await client.post(CALL)).status == 200
    assert (refused.status, refused.json["error"]["code"]) == (503, "store_unavailable")
    assert len(client.requests) == 1


async def test_a_reply_that_has_no_place_lets_the_key_go(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as client:
        claims = Claims()
        with_rooms(client, claims)
        assert (await client.post(CALL, headers=HEADERS)).status == 200
        assert len(claims.released) == 1
    told = [record for record in caplog.records if record.message == "idempotency.not_kept"]
    assert [record.__dict__["call_id"] for record in told] == [client.recorder.outcomes[0].call.id]


async def test_a_store_that_dies_meanwhile_fails_no_call_and_frees_no_key(caplog: pytest.LogCaptureFixture) -> None:
    class Dying(Claims):
        async def fulfil(self, claim: IdempotencyClaim, reply: bytes, seconds: float) -> bool:
            raise StoreUnavailable("down")

    async with world() as client:
        claims = Dying()
        with_rooms(client, claims)
        assert (await client.post(CALL, headers=HEADERS)).status == 200
        assert claims.released == []
        assert [outcome.status for outcome in client.recorder.outcomes] == ["ok"]
    assert "idempotency.unavailable" in caplog.text


async def test_a_hit_of_the_cache_is_the_reply_of_its_key() -> None:
    async with world() as client:
        body = {**CALL, "caching": True}
        await client.post(body)
        hit, replayed = [await client.post(body, headers=HEADERS) for _ in range(2)]
    assert hit.headers["x-tidegate-cache"] == "hit"
    assert (replayed.headers["idempotent-replayed"], replayed.json) == ("true", hit.json)
    assert "x-tidegate-cache" not in replayed.headers
    assert len(client.requests) == 1


async def test_neither_the_key_nor_the_reply_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with world(completion("a secret answer")) as client:
        with_rooms(client, Claims())
        await client.post({**CALL, "caching": True}, headers=HEADERS)
    logged = " ".join(str(record.__dict__) for record in caplog.records)
    assert "order-1" not in logged
    assert "a secret answer" not in logged


NOT_OPENAI = replace(KEY, limits=Limits(models=("mistral/*",)))
FAST = Route("fast", (RouteTarget("openai/gpt-4.1-mini"),))


async def replayed(client: Client, body: Any, key: VirtualKey, workspace: Workspace | None = None) -> Any:
    """The headers of the answer that the call with `key` gets after another key's call has been answered."""
    gateway: Gateway = client.app.lifespan_state["gateway"]
    call = replace(await new_call(gateway, body), idempotency_key="order-1")
    async with gateway.answer(call):
        pass
    other = Principal("key_other", key.workspace_ids, key.limits)
    second = replace(call, id="another", principal=other, workspace=workspace or call.workspace)
    async with gateway.answer(second) as answer:
        return dict(answer.headers)


async def test_a_key_gets_no_reply_of_a_model_that_it_may_not_use(client: Client) -> None:
    with pytest.raises(ModelNotAllowed):
        await replayed(client, CALL, NOT_OPENAI)
    assert len(client.requests) == 1
    assert [outcome.status for outcome in client.recorder.outcomes] == ["ok", "failed"]


async def test_a_workspace_gets_no_reply_of_a_model_that_it_may_not_use_any_more(client: Client) -> None:
    with pytest.raises(ModelNotAllowed):
        await replayed(client, CALL, KEY, replace(WORKSPACE, limits=Limits(models=("mistral/*",))))


async def test_a_key_gets_no_reply_that_a_fallback_gave() -> None:
    """The key may use the requested model, but not the one that has answered."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_down = request.url.host == "api.openai.com"
        return httpx.Response(500, json={}) if is_down else httpx.Response(200, json=completion())

    body = {**CALL, "fallbacks": ["mistral/mistral-small-latest"], "num_retries": 0}
    async with world(answer) as client:
        with pytest.raises(ModelNotAllowed):
            await replayed(client, body, replace(KEY, limits=Limits(models=("openai/*",))))
    async with world(answer) as client:
        assert (await replayed(client, body, NOT_OPENAI))["idempotent-replayed"] == "true"


@pytest.mark.parametrize("pattern", ["fast", "openai/*"])
async def test_a_key_that_may_use_a_route_gets_its_reply(pattern: str) -> None:
    workspace = replace(WORKSPACE, routes=(FAST,))
    async with world(workspace=workspace) as client:
        key = replace(KEY, limits=Limits(models=(pattern,)))
        assert (await replayed(client, {**CALL, "model": "fast"}, key))["idempotent-replayed"] == "true"


async def test_a_key_that_may_use_the_bigger_model_of_a_route_gets_its_reply() -> None:
    """The reply is of the fallback for long prompts, which the key may use by the route's name."""
    long = [{"role": "user", "content": "tide " * 20_000}]
    body = {"model": "openai/gpt-4", "messages": long, "context_window_fallback_dict": {"openai/gpt-4": "fast"}}
    key = replace(KEY, limits=Limits(models=("fast",)))
    async with world(workspace=replace(WORKSPACE, routes=(FAST,))) as client:
        assert (await replayed(client, body, key))["idempotent-replayed"] == "true"


async def test_a_replay_costs_nothing_and_needs_no_budget(client: Client) -> None:
    key = replace(KEY, limits=Limits(usd_per_day=Decimal(0)))
    assert (await replayed(client, CALL, key))["idempotent-replayed"] == "true"
