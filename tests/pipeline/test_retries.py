"""Failures before the first event: tried again, handed to others, and told only when nothing sensible is left."""

import asyncio
import threading
from decimal import Decimal
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.world import STREAM, USER, WORKSPACE, Exchange, Handler, completion, event_stream, sse, world
from tidegate.domain.account import Hold, Reservation
from tidegate.domain.limits import Limits
from tidegate.policy.routing import fallback

A, B, C = "openai/gpt-4.1-mini", "mistral/mistral-small-latest", "openai/gpt-4.1"
CALL = {"model": A, "messages": USER}
BUSY = httpx.Response(503, json={"error": {"message": "busy"}})
OK = httpx.Response(200, json=completion())
TOO_LONG = httpx.Response(400, json={"error": {"message": "too long", "code": "context_length_exceeded"}})


def plays(*replies: httpx.Response | Exception) -> Handler:
    """One reply after the other, the last one again and again."""
    left = list(replies)

    def handler(request: httpx.Request) -> httpx.Response:
        reply = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    return handler


def by_model(**replies: httpx.Response) -> Handler:
    """A reply for each model, by the beginning of its name."""

    def handler(request: httpx.Request) -> httpx.Response:
        name = sent(request)["model"].replace("-", "_").replace(".", "_")
        reply = next(reply for begin, reply in replies.items() if name.startswith(begin))
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    return handler


def sent(request: httpx.Request) -> Any:
    return httpx.Response(200, content=request.content).json()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_that_passes_is_invisible(stream: bool) -> None:
    answer = event_stream(sse(*STREAM)) if stream else OK
    async with world(plays(BUSY, httpx.ConnectError("refused"), answer)) as client:
        reply = await client.post({**CALL, "stream": stream})
        assert reply.status == 200
        assert reply.headers["x-tidegate-attempts"] == "3"
        failed = reply.headers["x-tidegate-failed-attempts"].split(", ")
        assert [each.rpartition(":")[0] for each in failed] == [f"{A}:provider_overloaded", f"{A}:provider_unreachable"]
        assert client.delays == [0.5, 1.0]
        [outcome] = client.recorder.outcomes
        assert (outcome.status, outcome.attempts, len(outcome.failed_attempts)) == ("ok", 3, 2)
        assert outcome.bill.tokens.output == 12


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(408, json={"error": {"message": "slow"}}),
        httpx.Response(409, json={"error": {"message": "conflict"}}),
        httpx.Response(429, json={"error": {"message": "many"}}),
        httpx.Response(500, json={"error": {"message": "broken"}}),
        httpx.Response(529, json={"error": {"message": "overloaded"}}),
        httpx.Response(502, text="<html>bad gateway</html>"),
        httpx.Response(200, text="<html>hello</html>"),
        httpx.Response(200, text='{"choices": ['),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("reset"),
    ],
)
async def test_what_may_pass_is_tried_again(failure: httpx.Response | Exception) -> None:
    async with world(plays(failure, OK)) as client:
        assert (await client.post(CALL)).status == 200
        assert len(client.requests) == 2


@pytest.mark.parametrize(
    "failure",
    [
        httpx.Response(400, json={"error": {"message": "no"}}),
        httpx.Response(401, json={"error": {"message": "who"}}),
        httpx.Response(404, json={"error": {"message": "what"}}),
        httpx.Response(429, json={"error": {"message": "pay", "code": "insufficient_quota"}}),
        TOO_LONG,
    ],
)
async def test_what_does_not_pass_is_not_tried_again(failure: httpx.Response) -> None:
    async with world(plays(failure, OK)) as client:
        assert (await client.post(CALL)).status != 200
        assert len(client.requests) == 1


@pytest.mark.parametrize(("retries", "requests"), [({}, 3), ({"num_retries": 0}, 1), ({"num_retries": 5}, 6)])
async def test_the_caller_says_how_often(retries: dict[str, int], requests: int) -> None:
    async with world(plays(BUSY)) as client:
        reply = await client.post({**CALL, **retries})
        assert (reply.status, reply.json["error"]["code"]) == (503, "provider_overloaded")
        assert reply.headers["x-tidegate-attempts"] == str(requests)
        assert len(reply.headers["x-tidegate-failed-attempts"].split(", ")) == requests
        assert len(client.requests) == requests
        assert [(seen.status, seen.attempts, seen.bill.cost_usd) for seen in client.recorder.outcomes] == [
            ("failed", requests, 0)
        ]


async def test_the_providers_delay_is_kept_to() -> None:
    limited = httpx.Response(429, headers={"retry-after-ms": "1500"}, json={"error": {"message": "slow down"}})
    async with world(plays(limited, OK)) as client:
        assert (await client.post(CALL)).status == 200
        assert client.delays == [1.55]


@pytest.mark.parametrize("fields", [{"timeout": 5}, {}])
async def test_a_delay_beyond_the_deadline_or_all_patience_is_the_callers(fields: dict[str, Any]) -> None:
    after = "10" if fields else "6"
    limited = httpx.Response(429, headers={"retry-after": after}, json={"error": {"message": "slow down"}})
    async with world(plays(limited, OK)) as client:
        reply = await client.post({**CALL, **fields})
        assert (reply.status, reply.headers["retry-after"]) == (429, after)
        assert (len(client.requests), client.delays) == (1, [])


async def test_who_has_others_to_ask_does_not_wait_long() -> None:
    limited = httpx.Response(429, headers={"retry-after": "10"}, json={"error": {"message": "slow down"}})
    async with world(by_model(gpt=limited, mistral=OK)) as client:
        reply = await client.post({**CALL, "fallbacks": [B]})
        assert (reply.status, reply.json["model"], client.delays) == (200, B, [])


async def test_a_storm_is_not_fed() -> None:
    async with world(plays(BUSY)) as client:
        for _ in range(20):
            await client.post({**CALL, "num_retries": 5})
        assert len(client.requests) < 20 + 20 + 20
        assert (await client.post({**CALL, "model": B, "num_retries": 1})).headers["x-tidegate-attempts"] == "2"


async def test_nothing_is_tried_again_after_the_first_event() -> None:
    async with world(plays(event_stream(sse(*STREAM[:2])))) as client:
        reply = await client.post({**CALL, "stream": True, "fallbacks": [B]})
        assert reply.events[-1]["error"]["code"] == "provider_stream_cut"
        assert len(client.requests) == 1
        [outcome] = client.recorder.outcomes
        assert (outcome.status, outcome.attempts, outcome.failed_attempts) == ("failed", 1, ())
        assert outcome.bill.tokens.output > 0


async def test_a_client_that_leaves_between_two_tries_has_asked_nobody_in_vain() -> None:
    async with world(plays(BUSY)) as client:
        waiting = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        client.app.lifespan_state["gateway"].retries.sleep = sleep
        exchange = Exchange(client.app, CALL, "/v1/chat/completions")
        call = asyncio.create_task(exchange.run())
        await asyncio.wait_for(waiting.wait(), 5)
        exchange.hang_up()
        await asyncio.wait_for(call, 5)
        assert [(seen.status, seen.attempts, seen.bill.cost_usd) for seen in client.recorder.outcomes] == [
            ("cancelled", 1, 0)
        ]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fallback_answers_under_its_own_name_and_price(stream: bool) -> None:
    answer = event_stream(sse(*STREAM)) if stream else OK
    async with world(by_model(gpt=BUSY, mistral=answer)) as client:
        reply = await client.post({**CALL, "stream": stream, "num_retries": 0, "fallbacks": [B]})
        said = reply.events[0] if stream else reply.json
        assert (said["model"], reply.headers["x-tidegate-model"]) == (B, B)
        assert reply.headers["x-tidegate-attempts"] == "2"
        assert sent(client.requests[1])["model"] == "mistral-small-latest"
        assert client.requests[1].headers["authorization"] == "Bearer provider-secret-2"
        [outcome] = client.recorder.outcomes
        assert outcome.deployment is not None
        assert (outcome.call.request.model, outcome.deployment.model_id) == (A, B)


async def test_a_fallbacks_parameters_are_translated_anew() -> None:
    async with world(by_model(gpt=BUSY, mistral=OK)) as client:
        reply = await client.post({**CALL, "seed": 7, "num_retries": 0, "fallbacks": [{"model": B, "temperature": 0}]})
        assert reply.status == 200
        assert (sent(client.requests[0])["seed"], sent(client.requests[1])["random_seed"]) == (7, 7)
        assert sent(client.requests[1])["temperature"] == 0


async def test_without_fallbacks_nothing_else_is_tried() -> None:
    async with world(plays(BUSY)) as client:
        reply = await client.post({**CALL, "num_retries": 0, "fallbacks": []})
        assert (reply.status, len(client.requests)) == (503, 1)


async def test_the_error_is_that_of_the_model_that_was_asked_for() -> None:
    limited = httpx.Response(429, headers={"retry-after": "7"}, json={"error": {"message": "slow down"}})
    async with world(by_model(gpt=limited, mistral=BUSY)) as client:
        reply = await client.post({**CALL, "num_retries": 0, "fallbacks": [B]})
        assert (reply.status, reply.headers["retry-after"]) == (429, "7")
        assert len(client.requests) == 2


async def test_a_prompt_that_the_provider_finds_too_long_goes_to_the_bigger_model() -> None:
    async with world(by_model(gpt=TOO_LONG, mistral=OK)) as client:
        reply = await client.post({**CALL, "context_window_fallback_dict": {A: B}})
        assert (reply.status, reply.json["model"]) == (200, B)
        assert "context_length_exceeded" in reply.headers["x-tidegate-failed-attempts"]


async def test_a_prompt_that_a_providers_policy_refuses_goes_to_another() -> None:
    refused = httpx.Response(400, json={"error": {"message": "no", "code": "content_filter"}})
    async with world(by_model(gpt=refused, mistral=OK)) as client:
        reply = await client.post({**CALL, "fallbacks": [B]})
        assert (reply.status, reply.json["model"]) == (200, B)


async def test_a_provider_that_is_not_configured_is_passed_over() -> None:
    async with world(plays(OK)) as client:
        reply = await client.post({**CALL, "model": "groq/llama-4", "fallbacks": ["cohere/command-r", B]})
        assert (reply.status, reply.json["model"], len(client.requests)) == (200, B, 1)


async def test_a_fallback_must_be_allowed_as_if_it_had_been_asked_for() -> None:
    workspace = replace(WORKSPACE, limits=Limits(models=("openai/*",)))
    async with world(by_model(gpt_4_1_mini=BUSY, gpt=OK, mistral=OK), workspace=workspace) as client:
        reply = await client.post({**CALL, "num_retries": 0, "fallbacks": [B, C]})
        assert (reply.status, reply.json["model"]) == (200, C)
        assert [sent(request)["model"] for request in client.requests] == ["gpt-4.1-mini", "gpt-4.1"]
        refused = await client.post({**CALL, "num_retries": 0, "fallbacks": [B]})
        assert (refused.status, refused.json["error"]["code"]) == (503, "provider_overloaded")


async def test_a_fallback_must_be_affordable_and_holds_what_it_costs() -> None:
    workspace = replace(WORKSPACE, limits=Limits(usd_per_day=Decimal("0.001")))
    fields = {"max_tokens": 100, "num_retries": 0}
    async with world(by_model(gpt_4_1_mini=BUSY, gpt=OK, mistral=OK), workspace=workspace) as client:
        refused = await client.post({**CALL, **fields, "fallbacks": [C]})  # whose answer may cost 0.0008 and more
        assert (refused.status, len(client.requests)) == (503, 1)
        reply = await client.post({**CALL, **fields, "fallbacks": [C, B]})
        assert (reply.status, reply.json["model"]) == (200, B)
        [account] = client.recorder.ledger.accounts.values()
        assert account.holds == {}
        assert account.booked["usd#D#" + max(name for name in account.booked if name.startswith("usd#D#"))[6:]] == (
            client.recorder.outcomes[1].bill.cost_usd
        )
        hold = client.recorder.outcomes[1].hold
        assert hold is not None
        assert hold.model == B


async def test_a_client_that_leaves_while_a_fallback_is_reserved_is_settled_with_the_new_hold() -> None:
    workspace = replace(WORKSPACE, limits=Limits(usd_per_day=Decimal(1)))
    async with world(plays(BUSY), workspace=workspace) as client:
        booked, go_on = asyncio.Event(), asyncio.Event()
        ledger = client.recorder.ledger

        class Slow:
            async def reserve(self, reservation: Reservation, replacing: Hold | None = None) -> Any:
                reserved = await ledger.reserve(reservation, replacing)
                if replacing is not None:
                    booked.set()
                    await go_on.wait()
                return reserved

        state = client.app.lifespan_state
        state["gateway"] = replace(state["gateway"], ledger=Slow())
        exchange = Exchange(client.app, {**CALL, "num_retries": 0, "fallbacks": [B]}, "/v1/chat/completions")
        call = asyncio.create_task(exchange.run())
        await asyncio.wait_for(booked.wait(), 5)
        exchange.hang_up()
        await asyncio.sleep(0.05)  # the cancellation must wait for the write
        go_on.set()
        await asyncio.wait_for(call, 5)
        [seen] = client.recorder.outcomes
        assert seen.hold is not None and seen.hold.model == B
        [account] = ledger.accounts.values()
        assert (account.holds, {name: value for name, value in account.booked.items() if value}) == ({}, {})


async def test_a_cheaper_fallback_answers_where_the_model_is_too_dear() -> None:
    workspace = replace(WORKSPACE, limits=Limits(usd_per_day=Decimal("0.001")))
    async with world(plays(OK), workspace=workspace) as client:
        reply = await client.post({**CALL, "model": C, "max_tokens": 100, "fallbacks": [A]})
        assert (reply.status, reply.json["model"]) == (200, A)


async def test_who_hangs_leaves_time_for_others() -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        if "mistral" in request.url.host:
            return httpx.Response(200, json=completion())
        return await asyncio.Future()

    async with world(handler) as client:
        reply = await client.post({**CALL, "timeout": 0.2, "fallbacks": [B], "num_retries": 0})
        assert (reply.status, reply.json["model"]) == (200, B)
        assert "provider_timeout" in reply.headers["x-tidegate-failed-attempts"]


@pytest.mark.parametrize("stream", [False, True])
async def test_when_the_deadline_has_passed_nobody_else_is_asked(stream: bool) -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        return await asyncio.Future()

    async with world(handler) as client:
        reply = await client.post({**CALL, "stream": stream, "timeout": 0.5, "num_retries": 5})
        assert (reply.status, reply.json["error"]["code"]) == (504, "provider_timeout")
        assert reply.headers["x-tidegate-attempts"] == "1"


@pytest.mark.parametrize("fields", [{}, {"caching": True}, {"dry_run": True}])
async def test_fallbacks_of_a_long_call_are_validated_beside_the_other_calls(
    fields: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, seen = fallback.candidates, list[bool]()

    def candidates(*args: Any) -> Any:
        seen.append(threading.current_thread() is threading.main_thread())
        return found(*args)

    monkeypatch.setattr(fallback, "candidates", candidates)
    body = {**CALL, **fields, "fallbacks": [{"model": B, "temperature": 0.1}]}
    async with world(plays(OK)) as client:
        await client.post(body)
        short, seen[:] = set(seen), []
        await client.post({**body, "messages": [{"role": "user", "content": "tide " * 60_000}]})
    assert (short, set(seen)) == ({True}, {False})
