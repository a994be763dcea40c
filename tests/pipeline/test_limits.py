"""Limits from the door to the record: who is refused, what they are told, and that nobody is asked for it."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.world import KEY, STREAM, USER, WORKSPACE, Client, Exchange, Gated, answers, event_stream, sse, world
from tidegate.domain.account import Account
from tidegate.domain.limits import Limits

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER, "max_tokens": 100}


def account(client: Client) -> Account:
    [found] = client.recorder.ledger.accounts.values()
    return found


async def test_requests_of_a_minute_are_told_in_openais_headers() -> None:
    async with world(limits=Limits(requests_per_minute=2, tokens_per_minute=100_000)) as client:
        first = await client.post(CALL)
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert first.headers["x-ratelimit-reset-requests"].endswith("s")
        assert first.headers["x-ratelimit-limit-tokens"] == "100000"
        await client.post(CALL)
        third = await client.post(CALL)
        assert (third.status, third.json["error"]["code"]) == (429, "rate_limit_exceeded")
        assert third.json["error"]["type"] == "rate_limit_error"
        assert 1 <= int(third.headers["retry-after"]) <= 60
        assert third.headers["x-ratelimit-limit-requests"] == "2"
        assert third.headers["x-ratelimit-remaining-requests"] == "0"
        assert 0 < float(third.headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 60
        assert len(client.requests) == 2


async def test_a_budget_that_is_used_up_is_no_reason_to_try_again() -> None:
    async with world(limits=Limits(tokens_per_month=300)) as client:
        assert (await client.post(CALL)).status == 200
        reply = await client.post({**CALL, "max_tokens": 175})
        assert (reply.status, reply.json["error"]["code"]) == (429, "insufficient_quota")
        assert "tokens_per_month of 300" in reply.json["error"]["message"]
        assert "resets at" in reply.json["error"]["message"]
        assert reply.headers["x-should-retry"] == "false"
        assert "retry-after" not in reply.headers
        assert [o.status for o in client.recorder.outcomes] == ["ok", "failed"]
        assert len(client.requests) == 1


async def test_what_is_held_gives_way_to_what_is_used_plain_and_streamed() -> None:
    async with world(limits=Limits(usd_per_day=Decimal(1))) as client:
        await client.post(CALL)
        assert not account(client).holds
        assert {26} == {v for name, v in account(client).booked.items() if name.startswith("tokens")}
        assert {9} == {v for name, v in account(client).booked.items() if name.startswith("words")}
        [cost] = {v for name, v in account(client).booked.items() if name.startswith("usd")}
        assert cost == client.recorder.outcomes[0].bill.cost_usd


async def test_a_client_that_leaves_gives_back_what_was_held() -> None:
    provider = Gated(lambda: event_stream(sse(*STREAM)))
    async with world(provider, workspace=replace(WORKSPACE, limits=Limits(parallel_calls=1))) as client:
        exchange = Exchange(client.app, {**CALL, "stream": True}, "/v1/chat/completions")
        calling = asyncio.create_task(exchange.run())
        await provider.reached.wait()
        assert (await client.post(CALL)).json["error"]["code"] == "rate_limit_exceeded"
        exchange.hang_up()
        await calling
        assert not account(client).holds
        provider.gate.set()
        assert (await client.post({**CALL, "stream": True})).events[-1] == "[DONE]"


async def test_a_call_that_is_refused_before_the_provider_was_asked_holds_nothing() -> None:
    async with world(limits=Limits(tokens_per_day=1000)) as client:
        reply = await client.post({**CALL, "require_parameters": True, "cache": {"redis": True}})
        assert reply.json["error"]["code"] == "unsupported_parameter"
        assert client.recorder.ledger.accounts == {}


async def test_a_provider_that_fails_costs_nothing_of_the_budget() -> None:
    limited = replace(WORKSPACE, limits=Limits(usd_per_day=Decimal(1)))
    async with world(answers({}, 500), workspace=limited) as client:
        assert (await client.post(CALL)).status == 502
        assert not account(client).holds
        assert set(account(client).booked.values()) <= {0}


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        ({"models": ("openai/gpt-4.1*",)}, True),
        ({"models": ("anthropic/*",)}, False),
        ({"providers": ("openai",)}, True),
        ({"providers": ()}, False),
    ],
)
async def test_models_and_providers(limits: Any, allowed: bool) -> None:
    for limited in ({"limits": Limits(**limits)}, {"key": replace(KEY, limits=Limits(**limits))}):
        async with world(**limited) as client:
            reply = await client.post(CALL)
        assert reply.status == (200 if allowed else 403)
        if not allowed:
            assert (reply.json["error"]["code"], reply.json["error"]["param"]) == ("model_not_allowed", "model")
            assert not client.requests


async def test_a_model_without_a_price_is_refused_under_a_budget_of_money() -> None:
    unpriced = {**CALL, "model": "openai/never-heard-of"}
    async with world(limits=Limits(usd_per_day=Decimal(10))) as client:
        reply = await client.post(unpriced)
        assert (reply.status, reply.json["error"]["code"]) == (403, "model_unpriced")
        assert not client.requests
    async with world(limits=Limits(tokens_per_day=1000)) as client:
        assert (await client.post(unpriced)).status == 200
    allowing = replace(WORKSPACE, allows_unpriced=True)
    async with world(workspace=allowing, limits=Limits(usd_per_day=Decimal(10))) as client:
        assert (await client.post(unpriced)).status == 200


@pytest.mark.parametrize(
    ("limits", "lowered"),
    [
        ({"tokens_per_day": 180}, range(16, 45)),
        ({"words_per_month": 30}, range(39, 41)),
        ({"usd_per_day": Decimal("0.00012")}, range(35, 50)),
    ],
)
async def test_an_answer_is_shortened_where_the_workspace_wants_that_and_told_so(limits: Any, lowered: range) -> None:
    lowering = replace(WORKSPACE, lowers_max_tokens=True)
    async with world(workspace=lowering, limits=Limits(**limits)) as client:
        reply = await client.post(CALL)
        assert reply.status == 200
        told = int(reply.headers["x-tidegate-max-tokens"])
        assert told in lowered
        assert f'"max_tokens":{told}'.encode() in client.requests[0].content
    async with world(limits=Limits(**limits)) as client:
        assert (await client.post(CALL)).json["error"]["code"] == "insufficient_quota"


async def test_no_answer_is_shortened_to_nothing() -> None:
    async with world(workspace=replace(WORKSPACE, lowers_max_tokens=True), limits=Limits(words_per_day=5)) as client:
        assert (await client.post(CALL)).json["error"]["code"] == "insufficient_quota"


OPEN = {"model": "openai/gpt-4o", "messages": USER}
HALF = Limits(usd_per_month=Decimal("0.5"))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_without_max_tokens_gets_one_that_the_budget_allows_and_is_told_so(stream: bool) -> None:
    handler = (lambda _: event_stream(sse(*STREAM))) if stream else None
    async with world(handler, limits=HALF) as client:
        reply = await client.post({**OPEN, "stream": stream})
        assert (reply.status, reply.headers["x-tidegate-max-tokens"]) == (200, "4096")
        assert b'"max_completion_tokens":4096' in client.requests[0].content
    async with world(handler, limits=Limits(usd_per_month=Decimal(50))) as client:
        reply = await client.post({**OPEN, "stream": stream})
        assert "x-tidegate-max-tokens" not in reply.headers
        assert b"max_completion_tokens" not in client.requests[0].content


async def test_a_dry_run_tells_the_max_tokens_that_the_call_would_get() -> None:
    async with world(limits=HALF) as client:
        [step] = (await client.post({**OPEN, "dry_run": True})).json["plan"]
        assert step["max_output_tokens"] == 4096
        assert step["request"]["body"]["max_completion_tokens"] == 4096


async def test_parallel_calls_without_max_tokens_share_a_small_budget() -> None:
    provider = Gated()
    async with world(provider, limits=HALF) as client:
        calling = [asyncio.create_task(client.post(OPEN)) for _ in range(10)]
        await asyncio.wait(calling, timeout=0.5)
        assert len(client.requests) == 10
        assert max(value for name, value in account(client).booked.items() if name.startswith("usd")) <= Decimal("0.5")
        provider.gate.set()
        replies = await asyncio.gather(*calling)
        assert [reply.headers["x-tidegate-max-tokens"] for reply in replies] == ["4096"] * 10
        assert not account(client).holds


async def test_what_parallel_calls_hold_is_named_and_the_last_ones_get_less() -> None:
    provider = Gated()
    async with world(provider, limits=HALF) as client:
        calling = [asyncio.create_task(client.post({**OPEN, "model": "openai/gpt-4"})) for _ in range(10)]
        await asyncio.wait(calling, timeout=0.5)
        provider.gate.set()
        replies = await asyncio.gather(*calling)
    lengths = [int(reply.headers["x-tidegate-max-tokens"]) for reply in replies if reply.status == 200]
    assert lengths == sorted(lengths, reverse=True)
    assert len(lengths) >= 4
    refused = [reply.json["error"]["message"] for reply in replies if reply.status == 429]
    assert refused
    assert all("Calls in progress hold" in message for message in refused)


async def test_the_workspace_decides_whether_a_call_without_max_tokens_gets_one() -> None:
    off = replace(WORKSPACE, adds_max_tokens=False, limits=Limits(usd_per_month=Decimal("0.1")))
    async with world(workspace=off) as client:
        reply = await client.post(OPEN)
        assert reply.json["error"]["code"] == "insufficient_quota"
        message = reply.json["error"]["message"]
        assert "can never allow this call, which may need 0.164" in message
        assert "With max_tokens of at most 99" in message
        assert "dry_run: true shows" in message
    allowed = int(message.partition("at most ")[2].split()[0])
    async with world(workspace=off) as client:
        assert (await client.post({**OPEN, "max_tokens": allowed})).status == 200


async def test_a_refusal_names_the_max_tokens_that_fits_and_the_setting_that_lowers_it() -> None:
    async with world(limits=Limits(usd_per_month=Decimal("0.01"))) as client:
        reply = await client.post({**OPEN, "max_tokens": 2_000})
        message = reply.json["error"]["message"]
        for words in ("may need 0.020", "Waiting until it resets", "at most 96", "--lower-max-tokens", "dry_run"):
            assert words in message
        assert reply.headers["x-should-retry"] == "false"
        assert "retry-after" not in reply.headers
        assert not client.requests


async def test_a_call_that_is_larger_than_a_whole_minute_is_not_told_to_wait() -> None:
    async with world(limits=Limits(tokens_per_minute=500)) as client:
        reply = await client.post({**CALL, "max_tokens": 1_000})
        assert (reply.status, reply.json["error"]["code"]) == (429, "rate_limit_exceeded")
        assert "retry-after" not in reply.headers
        assert reply.headers["x-should-retry"] == "false"
        assert (await client.post({"model": "openai/gpt-4o", "messages": USER})).status == 200


async def test_an_answer_too_short_for_the_callers_reasoning_is_refused_as_before() -> None:
    call = {"model": "anthropic/claude-sonnet-4-5", "messages": USER, "reasoning": {"max_tokens": 20_000}}
    async with world(limits=HALF, ANTHROPIC_API_KEY="provider-secret-4") as client:
        reply = await client.post(call)
        assert (reply.status, reply.json["error"]["code"]) == (429, "insufficient_quota")
        assert not client.requests


async def test_own_limits_win_over_those_of_the_plan() -> None:
    planned = replace(WORKSPACE, plan_limits=Limits(requests_per_minute=0))
    async with world(workspace=planned, limits=Limits(requests_per_minute=1)) as client:
        assert (await client.post(CALL)).status == 200
        assert (await client.post(CALL)).status == 429
