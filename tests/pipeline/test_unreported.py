"""What a call costs whose usage the provider never told: never less than its prompt, never more than was held."""

import asyncio
from decimal import Decimal
from pkgutil import resolve_name
from typing import Any

import httpx
import pytest

from tests.world import STREAM, USER, Client, Exchange, completion, delta, sse, world
from tidegate.domain.call import SentAttempt
from tidegate.domain.limits import Limits
from tidegate.policy.metering import unreported
from tidegate.policy.metering.unreported import unreported_tokens

A, B, REASONING = "openai/gpt-4.1-mini", "mistral/mistral-small-latest", "openai/o4-mini"
CALL = {"model": A, "messages": USER, "max_tokens": 100}
BUDGET = Limits(usd_per_day=Decimal("0.01"), tokens_per_day=100_000, requests_per_minute=1000)


async def never(request: httpx.Request) -> httpx.Response:
    return await asyncio.Future()


def raises(error: Exception) -> Any:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    return handler


def plays(status: int, body: Any) -> Any:
    return lambda request: httpx.Response(status, json=body)


def streams(*events: Any, error: Exception | None = None) -> Any:
    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield sse(*events)
            if error is not None:
                raise error

    return lambda request: httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())


def check_books(client: Client, limits: Limits = BUDGET) -> None:
    """Nothing is held any more, the sum of the records is what is booked, and no limit is exceeded."""
    [account] = client.recorder.ledger.accounts.values()
    assert not account.holds
    tokens = sum(o.bill.tokens.input + o.bill.tokens.output for o in client.recorder.outcomes)
    usd = sum((o.bill.cost_usd or Decimal(0) for o in client.recorder.outcomes), Decimal(0))
    booked = {name.partition("#")[0]: value for name, value in account.booked.items()}
    assert (booked.get("tokens", 0), booked.get("usd", 0)) == (tokens, usd)
    assert limits.usd_per_day is not None and usd <= limits.usd_per_day
    assert account.minute_calls == len([o for o in client.recorder.outcomes if o.error_code != "insufficient_quota"])


CHARGED = {
    "the caller's own timeout": (never, {"timeout": 0.3}),
    "the caller's own timeout, streamed": (never, {"timeout": 0.3, "stream": True}),
    "a timeout that the provider reports": (plays(504, {"error": {"message": "slow"}}), {}),
    "a connection that broke after the request": (raises(httpx.ReadError("reset")), {}),
    "a reply that nobody can read": (plays(200, {"what": "ever"}), {}),
    "a stream that ends before its first word": (streams(), {"stream": True}),
    "a stream that is cut": (streams(*STREAM[:2], error=httpx.ReadError("reset")), {"stream": True}),
}


@pytest.mark.parametrize("name", CHARGED)
async def test_a_request_that_a_provider_may_have_worked_on_costs_at_least_its_prompt(name: str) -> None:
    provider, fields = CHARGED[name]
    async with world(provider, limits=BUDGET) as client:
        await client.post({**CALL, "num_retries": 0, **fields})
        [outcome] = client.recorder.outcomes
        assert outcome.status == "failed"
        assert outcome.bill.tokens.input >= outcome.call.request.estimate_prompt()
        assert outcome.bill.tokens.estimated and outcome.bill.cost_usd
        check_books(client)


FREE = {
    "no connection": raises(httpx.ConnectError("refused")),
    "no connection in time": raises(httpx.ConnectTimeout("slow")),
    "the request is wrong": plays(400, {"error": {"message": "no"}}),
    "the key is wrong": plays(401, {"error": {"message": "no"}}),
    "too many requests": plays(429, {"error": {"message": "no"}}),
    "the provider failed": plays(500, {"error": {"message": "no"}}),
    "the provider is overloaded": plays(503, {"error": {"message": "no"}}),
}


@pytest.mark.parametrize("name", FREE)
async def test_a_request_that_was_refused_costs_nothing(name: str) -> None:
    async with world(FREE[name], limits=BUDGET) as client:
        await client.post({**CALL, "num_retries": 0})
        [outcome] = client.recorder.outcomes
        assert (outcome.status, outcome.bill.tokens.input, outcome.bill.cost_usd) == ("failed", 0, 0)
        check_books(client)


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_that_time_out_use_up_the_budget(stream: bool) -> None:
    limits = Limits(usd_per_day=Decimal("0.001"), requests_per_minute=1000)
    async with world(never, limits=limits) as client:
        codes: list[str] = []
        while len(codes) < 200 and codes[-1:] != ["insufficient_quota"]:
            long = [{"role": "user", "content": "word " * 200}]
            reply = await client.post({**CALL, "messages": long, "timeout": 0.1, "num_retries": 0, "stream": stream})
            codes.append(reply.json["error"]["code"])
        assert codes[-1] == "insufficient_quota" and 1 < len(codes) < 20
        check_books(client, limits)


async def test_every_attempt_of_a_call_is_charged_and_held_but_the_call_counts_once() -> None:
    asked: list[str] = []
    held: list[int] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        [account] = client.recorder.ledger.accounts.values()
        held.extend(hold.amounts.tokens for hold in account.holds.values())
        if len(asked) < 4:
            raise httpx.ReadError("reset")
        return httpx.Response(200, json=completion())

    async with world(handler, limits=BUDGET) as client:
        reply = await client.post({**CALL, "num_retries": 2, "fallbacks": [B]})
        assert reply.status == 200
        assert asked == ["api.openai.com"] * 3 + ["api.mistral.ai"]
        [outcome] = client.recorder.outcomes
        prompt = outcome.call.request.estimate_prompt()
        assert outcome.bill.tokens.input == 14 + 3 * prompt
        assert held == sorted(held) and held[3] - held[0] >= 3 * prompt
        check_books(client)


async def test_a_retry_that_the_limits_have_no_room_for_is_not_made() -> None:
    async with world(raises(httpx.ReadError("reset")), limits=Limits(tokens_per_day=320)) as client:
        reply = await client.post({**CALL, "num_retries": 5})
        assert reply.status in (429, 502)
        assert len(client.requests) < 5
        [account] = client.recorder.ledger.accounts.values()
        assert 0 < account.booked["tokens#D#" + str(next(iter(account.booked))).rpartition("#")[2]] <= 320


@pytest.mark.parametrize(("model", "hidden"), [(A, False), (REASONING, True)])
async def test_a_client_that_leaves_pays_for_what_arrived_and_for_hidden_reasoning(model: str, hidden: bool) -> None:
    words = [delta(content="word ") for _ in range(50)]

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield sse(*words)
            await asyncio.Future()

    provider = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())
    async with world(lambda request: provider, limits=BUDGET) as client:
        body = {"model": model, "messages": USER, "max_completion_tokens": 1000, "stream": True}
        exchange = Exchange(client.app, body, "/v1/chat/completions")
        call = asyncio.create_task(exchange.run())
        await exchange.until(lambda sent: sent.count(b"word ") == 50)
        exchange.hang_up()
        await call
        [outcome] = client.recorder.outcomes
        assert outcome.status == "cancelled"
        assert (outcome.bill.tokens.reasoning > 0) == hidden
        assert 40 <= outcome.bill.tokens.output - outcome.bill.tokens.reasoning <= 80
        check_books(client)


async def test_hidden_work_is_bounded_by_what_was_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.policy.metering.unreported.HIDDEN_TOKENS_PER_SECOND", 1_000_000)
    async with world(never, limits=BUDGET) as client:
        await client.post({**CALL, "timeout": 0.3, "num_retries": 0})
        [outcome] = client.recorder.outcomes
        assert (outcome.bill.tokens.output, outcome.bill.tokens.reasoning) == (100, 100)
        check_books(client)


async def test_a_cut_stream_that_told_some_usage_costs_at_least_what_arrived() -> None:
    message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "claude-haiku-4-5"}
    events = [
        {"type": "message_start", "message": {**message, "usage": {"input_tokens": 500, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word "}}] * 50,
    ]
    cut = streams(*events, error=httpx.ReadError("reset"))
    async with world(cut, limits=BUDGET, ANTHROPIC_API_KEY="provider-secret-3") as client:
        await client.post({**CALL, "model": "anthropic/claude-haiku-4-5", "stream": True})
        [outcome] = client.recorder.outcomes
        assert outcome.bill.tokens.input == 500
        assert outcome.bill.tokens.output >= 40
        check_books(client)


async def test_refused_prompts_count_as_calls() -> None:
    guarded = '[{"name": "no-cats", "kind": "words", "on": "input", "words": ["cat"], "always": true}]'
    async with world(limits=Limits(requests_per_minute=2), TIDEGATE_GUARDRAILS=guarded) as client:
        refused = {**CALL, "messages": [{"role": "user", "content": "A cat."}]}
        codes = [(await client.post(refused)).json["error"]["code"] for _ in range(3)]
        assert codes == ["guardrail_violation", "guardrail_violation", "rate_limit_exceeded"]
        assert [outcome.status for outcome in client.recorder.outcomes] == ["failed"] * 3


@pytest.mark.parametrize("model", ["openai/no-such-model-at-all", "nobody/model", "cohere/command-r"])
async def test_calls_that_no_provider_got_count_as_calls(model: str) -> None:
    async with world(plays(404, {"error": {"message": "no"}}), limits=Limits(requests_per_minute=2)) as client:
        codes = [(await client.post({**CALL, "model": model})).json["error"]["code"] for _ in range(3)]
        assert codes[2] == "rate_limit_exceeded" and "rate_limit_exceeded" not in codes[:2]


@pytest.mark.parametrize("limit", [1, 2])
async def test_a_call_counts_once_whatever_its_fallbacks(limit: int) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503 if "openai" in request.url.host else 200, json=completion())

    async with world(handler, limits=Limits(requests_per_minute=limit)) as client:
        for _ in range(limit):
            reply = await client.post({**CALL, "num_retries": 0, "fallbacks": [B]})
            assert (reply.status, reply.json["model"]) == (200, B)
        assert (await client.post(CALL)).status == 429


async def test_what_an_attempt_costs_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[SentAttempt] = []

    def count(attempt: SentAttempt, *others: Any) -> Any:
        counted.append(attempt)
        return unreported_tokens(attempt, *others)

    monkeypatch.setattr(unreported, "unreported_tokens", count)
    async with world(raises(httpx.ReadError("reset")), limits=Limits(usd_per_day=Decimal(10))) as client:
        await client.post({**CALL, "num_retries": 5})
    assert len(counted) == len(client.requests) == 6


async def test_an_attempt_costs_by_the_request_that_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fallback with a short answer does not make the long answer of the first model cheaper."""
    monkeypatch.setattr("tidegate.policy.metering.unreported.HIDDEN_TOKENS_PER_SECOND", 1_000_000)
    async with world(never, limits=Limits(usd_per_day=Decimal(10))) as client:
        fallback = {"model": B, "max_tokens": 1}
        await client.post({**CALL, "max_tokens": 1_000, "timeout": 0.4, "num_retries": 0, "fallbacks": [fallback]})
        [outcome] = client.recorder.outcomes
        assert outcome.attempts == 2
        assert outcome.bill.tokens.output == 1_001
        assert outcome.hold is not None and (outcome.bill.cost_usd or 0) <= outcome.hold.amounts.usd


SPEAKS: Any = {"content": "The answer is 42, END."}
CALLS_TOOL: Any = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"at": "END"}'}}]}
CLAUDE: Any = {"model": "anthropic/claude-sonnet-4-5", "thinking": {"type": "enabled", "budget_tokens": 30_000}}


def thinks(text: str) -> Any:
    """The events of an answer of Anthropic with this summary of its reasoning."""
    message: Any = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "claude-sonnet-4-5"}
    return (
        {"type": "message_start", "message": {**message, "usage": {"input_tokens": 14, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": text}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "The answer is 42, END."}},
    )


def chunk(change: Any) -> Any:
    return {**delta(), "choices": [{"index": 0, "delta": change, "finish_reason": None}]}


@pytest.mark.parametrize(
    ("fields", "events", "unseen"),
    [
        (CLAUDE, thinks("I summarise."), range(900, 1_100)),
        (CLAUDE, thinks("I think. " * 1_000), range(1)),
        ({"model": REASONING}, [chunk(CALLS_TOOL)], range(900, 1_100)),
        ({"model": REASONING}, [chunk({"reasoning": "I summarise."}), chunk(SPEAKS)], range(900, 1_100)),
        ({"model": REASONING}, [chunk({"function_call": {"arguments": "END"}})], range(900, 1_100)),
        ({"model": A}, [chunk(CALLS_TOOL)], range(1)),
    ],
    ids=["summary", "long", "tool", "summary of OpenAI", "function", "a model that does not reason"],
)
async def test_a_stream_that_is_left_costs_the_reasoning_that_its_summary_and_its_tool_calls_do_not_show(
    fields: Any, events: Any, unseen: range
) -> None:
    cut = streams(*events, error=httpx.ReadError("reset"))
    async with world(cut, limits=Limits(usd_per_day=Decimal(100)), ANTHROPIC_API_KEY="provider-secret-3") as client:
        await client.post({"messages": USER, "max_completion_tokens": 40_000, "stream": True, **fields})
        [outcome] = client.recorder.outcomes
        assert outcome.status == "failed"
        assert outcome.bill.tokens.reasoning in unseen
        assert outcome.bill.tokens.output > outcome.bill.tokens.reasoning


@pytest.mark.parametrize(("fields", "deployments"), [({}, 1), ({"fallbacks": [B]}, 2)], ids=["retries", "fallback"])
async def test_the_attempts_at_a_deployment_share_one_translation_and_one_estimate(
    monkeypatch: pytest.MonkeyPatch, fields: Any, deployments: int
) -> None:
    translated, bounded, estimated = (
        count_calls(monkeypatch, name)
        for name in (
            "tidegate.pipeline.prepare.translate",
            "tidegate.chat.body_bound.bound_body",
            "tidegate.chat.request.estimate_prompt",
        )
    )
    async with world(raises(httpx.ReadError("reset")), limits=Limits(usd_per_day=Decimal(10))) as client:
        await client.post({**CALL, "num_retries": 2, **fields})
        assert len(client.requests) == 3 * deployments
    assert (len(translated), len(bounded), len(estimated)) == (deployments, deployments, 1)


def count_calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[None]:
    """Return a list that grows with each call of the function."""
    function, calls = resolve_name(name), list[None]()

    def counted(*arguments: Any) -> Any:
        calls.append(None)
        return function(*arguments)

    monkeypatch.setattr(name, counted)
    return calls
