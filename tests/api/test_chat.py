"""A call from the door to its record, with the provider played by the test."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.world import (
    STREAM,
    USAGE,
    USER,
    Client,
    Exchange,
    Trickle,
    answers,
    completion,
    delta,
    event_stream,
    sse,
    streams,
    world,
)
from tidegate.chat.estimate import estimate_prompt
from tidegate.chat.request import build_chat_request
from tidegate.domain.server_options import ServerOptions
from tidegate.domain.usage import TokenCounts, WordCounts
from tidegate.memory.signatures import MemoryReasoningSignatures
from tidegate.pipeline import shield

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER}


async def test_a_plain_call_is_answered_stamped_billed_and_recorded(client: Client) -> None:
    reply = await client.post(CALL, headers={"x-app-id": "shop"})
    body = reply.json
    assert body.pop("id").startswith("chatcmpl-")
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "chat.completion",
        "model": "openai/gpt-4.1-mini",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello.", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 14,
            "completion_tokens": 12,
            "total_tokens": 26,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
            "words_used": 9,
            "words_details": {"input_words": 8, "output_words": 9, "method": "tokens"},
            "cost": 0.0000248,
        },
        "system_fingerprint": None,
    }
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    outcome = client.recorder.outcomes[0]
    assert len(client.recorder.outcomes) == 1
    assert outcome.call.id == reply.headers["x-request-id"]
    assert (outcome.status, outcome.attempts, outcome.finish_reason, outcome.error_code) == ("ok", 1, "stop", None)
    assert (outcome.call.app_id, outcome.call.workspace.id) == ("shop", "ws_test")
    assert outcome.bill.tokens == TokenCounts(input=14, output=12)
    assert outcome.bill.words == WordCounts(used=9, input=8, output=9, method="tokens")
    assert outcome.bill.cost_usd == Decimal("0.0000248")


async def test_the_provider_is_sent_the_request_with_its_own_key_and_nothing_of_ours(client: Client) -> None:
    await client.post({**CALL, "caching": True, "timeout": 30, "custom": {"a": 1}, "temperature": None})
    request = client.requests[0]
    assert str(request.url) == "https://api.openai.com/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer provider-secret-1"
    assert httpx.Response(200, content=request.content).json() == {
        "model": "gpt-4.1-mini",
        "messages": USER,
        "custom": {"a": 1},
    }


async def test_headers_say_what_became_of_the_call(client: Client) -> None:
    headers = (await client.post({**CALL, "cache": {"redis": True}, "fallbacks": []})).headers
    shown = {name: value for name, value in headers.items() if name.startswith("x-tidegate")}
    assert float(shown.pop("x-tidegate-overhead-ms")) >= 0
    assert shown == {
        "x-tidegate-provider": "openai",
        "x-tidegate-model": "openai/gpt-4.1-mini",
        "x-tidegate-attempts": "1",
        "x-tidegate-cache": "miss",
        "x-tidegate-ignored-params": "cache.redis",
    }


async def test_the_documented_example_of_neuroflash_uses_nine_words(client: Client) -> None:
    path = "/api/ds-prototypes/chat/completions"
    reply = await client.post({**CALL, "temperature": 0.7}, path, {"x-workspace-id": "ws_test"})
    kind, seconds, rest = reply.json["id"].split("-")
    assert (kind, seconds.isdigit(), len(rest), rest.isalnum()) == ("gen", True, 8, True)
    assert reply.json["usage"]["words_used"] == 9


async def test_a_stream_is_role_contents_finish_and_done() -> None:
    async with world(streams(*STREAM)) as client:
        reply = await client.post({**CALL, "stream": True})
        *chunks, done = reply.events
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert done == "[DONE]"
        assert len({chunk["id"] for chunk in chunks}) == 1
        assert {(chunk["model"], chunk["object"]) for chunk in chunks} == {
            ("openai/gpt-4.1-mini", "chat.completion.chunk")
        }
        assert all("usage" not in chunk for chunk in chunks)
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "Create smarter."
        assert [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"][0]["finish_reason"]] == [
            "stop"
        ]
        assert client.recorder.outcomes[0].status == "ok"
        assert client.recorder.outcomes[0].bill.tokens == TokenCounts(input=14, output=12)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {"stream_options": {"include_usage": True}}),
        ("/v1/chat/completions", {"usage": {"include": True}}),
        ("/api/ds-prototypes/chat/completions", {}),
    ],
)
async def test_usage_is_one_last_chunk_for_those_who_ask(path: str, fields: dict[str, Any]) -> None:
    async with world(streams(*STREAM)) as client:
        reply = await client.post({**CALL, "stream": True, **fields}, path, {"x-workspace-id": "ws_test"})
        usage = reply.events[-2]
        assert (usage["choices"], usage["usage"]["words_used"], usage["usage"]["cost"]) == ([], 9, 0.0000248)
        assert "usage" not in json.loads(client.requests[0].content)


async def test_the_usage_chunk_has_the_fingerprint_of_the_others() -> None:
    async with world(streams(*(e if e == "[DONE]" else {**e, "system_fingerprint": "fp_1"} for e in STREAM))) as client:
        reply = await client.post({**CALL, "stream": True, "stream_options": {"include_usage": True}})
        *chunks, done = reply.events
        assert done == "[DONE]"
        assert [chunk["system_fingerprint"] for chunk in chunks] == ["fp_1"] * len(chunks)


@pytest.mark.parametrize("fields", [{}, {"system_fingerprint": None}, {"service_tier": None}])
async def test_chunks_have_no_null_beside_their_choices(fields: dict[str, None]) -> None:
    async with world(streams(*(e if e == "[DONE]" else {**e, **fields} for e in STREAM))) as client:
        reply = await client.post({**CALL, "stream": True, "stream_options": {"include_usage": True}})
        *chunks, done = reply.events
        assert done == "[DONE]"
        assert [name for chunk in chunks for name, value in chunk.items() if value is None] == []


async def test_usage_is_asked_of_the_provider_even_when_the_client_does_not() -> None:
    async with world(streams(*STREAM)) as client:
        await client.post({**CALL, "stream": True})
        sent = httpx.Response(200, content=client.requests[0].content).json()
        assert sent["stream_options"] == {"include_usage": True}


async def test_a_provider_that_reports_no_usage_is_billed_by_estimate() -> None:
    async with world(streams(delta(""), delta("Create smarter content."), delta(finish="stop"), "[DONE]")) as client:
        reply = await client.post({**CALL, "stream": True, "stream_options": {"include_usage": True}})
        assert reply.events[-2]["usage"]["estimated"] is True
        tokens = client.recorder.outcomes[0].bill.tokens
        assert tokens.estimated
        assert tokens.input > 5
        assert tokens.output > 1


async def test_a_client_that_hangs_up_is_billed_for_what_was_said_and_the_provider_is_left() -> None:
    body = Trickle()
    async with world(lambda request: event_stream(body)) as client:
        exchange = Exchange(client.app, {**CALL, "stream": True}, "/v1/chat/completions")
        call = asyncio.create_task(exchange.run())
        body.pieces.put_nowait(sse(delta(""), delta("Create smarter content now.")))
        await exchange.until(lambda seen: b"smarter" in seen)
        exchange.hang_up()
        await call
        await asyncio.wait_for(body.closed.wait(), 5)
        assert [outcome.status for outcome in client.recorder.outcomes] == ["cancelled"]
        assert client.recorder.outcomes[0].bill.tokens.estimated
        assert client.recorder.outcomes[0].bill.tokens.output > 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_before_the_first_word_ends_the_call(stream: bool) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        asked.set()
        try:
            return await asyncio.Future()
        finally:
            left.set()

    async with world(never) as client:
        exchange = Exchange(client.app, {**CALL, "stream": stream}, "/v1/chat/completions")
        call = asyncio.create_task(exchange.run())
        await asyncio.wait_for(asked.wait(), 5)
        exchange.hang_up()
        await asyncio.wait_for(call, 5)
        assert left.is_set()
        assert exchange.messages == []
        assert [(outcome.status, outcome.attempts) for outcome in client.recorder.outcomes] == [("cancelled", 1)]


@pytest.mark.parametrize(("model", "priced"), [("openai/gpt-4.1-mini", True), ("openai/nobody-knows-it", False)])
async def test_a_client_that_leaves_before_the_first_word_pays_for_an_estimated_prompt(
    model: str, priced: bool
) -> None:
    asked = asyncio.Event()

    async def never(request: httpx.Request) -> httpx.Response:
        asked.set()
        return await asyncio.Future()

    async with world(never) as client:
        exchange = Exchange(client.app, {**CALL, "model": model}, "/v1/chat/completions")
        call = asyncio.create_task(exchange.run())
        await asyncio.wait_for(asked.wait(), 5)
        exchange.hang_up()
        await asyncio.wait_for(call, 5)
        bill = client.recorder.outcomes[0].bill
        prompt = estimate_prompt(build_chat_request({"model": model, "messages": USER}).fields)
        assert (bill.tokens.input, bill.tokens.estimated) == (prompt, True)
        assert bill.tokens.output == bill.tokens.reasoning  # what the model may have generated unseen meanwhile
        assert (bill.words.input, bill.words.used) == (8, 0)
        assert (bill.cost_usd is None) is not priced
        assert bill.cost_usd != 0


async def test_a_call_that_the_provider_refuses_or_never_sees_costs_nothing() -> None:
    async with world(answers({"error": {"message": "no"}}, 400)) as client:
        await client.post(CALL)
        await client.post({**CALL, "store": True, "model": "mistral/mistral-small-latest", "require_parameters": True})
        assert len(client.requests) == 1
        assert [(seen.attempts, seen.bill.tokens, seen.bill.cost_usd) for seen in client.recorder.outcomes] == [
            (1, TokenCounts(), 0),
            (0, TokenCounts(), 0),
        ]


@pytest.mark.parametrize(("stream", "refused", "status"), [(True, b"smarter", "cancelled"), (False, b"Hello", "ok")])
async def test_a_server_that_refuses_what_is_sent_is_a_client_that_left(
    stream: bool, refused: bytes, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(streams(*STREAM) if stream else answers(completion())) as client:
        exchange = Exchange(client.app, {**CALL, "stream": stream}, "/v1/chat/completions")
        exchange.refused_at = refused
        await asyncio.wait_for(exchange.run(), 5)
        assert [outcome.status for outcome in client.recorder.outcomes] == [status]
        assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_cancelled_process_still_records_the_call_once() -> None:
    body = Trickle()
    async with world(lambda request: event_stream(body)) as client:
        client.recorder.gate = asyncio.Event()
        exchange = Exchange(client.app, {**CALL, "stream": True}, "/v1/chat/completions")
        call = asyncio.create_task(exchange.run())
        body.pieces.put_nowait(sse(delta(""), delta("Create ")))
        await exchange.until(lambda seen: b"Create" in seen)
        for _ in range(3):  # as impatient as a server that shuts down
            call.cancel()
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert not call.done()
        client.recorder.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert [outcome.status for outcome in client.recorder.outcomes] == ["cancelled"]


@pytest.mark.parametrize(
    "break_off",
    [None, httpx.ReadError("reset"), b'data: {"choi', b'event: error\ndata: {"error": {"message": "x"}}\n\n'],
)
async def test_an_upstream_that_dies_ends_in_an_error_event_and_is_recorded(
    break_off: bytes | Exception | None,
) -> None:
    body = Trickle()
    async with world(lambda request: event_stream(body)) as client:
        body.pieces.put_nowait(sse(delta(""), delta("Create ")))
        body.pieces.put_nowait(break_off)
        body.pieces.put_nowait(None)
        reply = await client.post({**CALL, "stream": True})
        *chunks, error = reply.events
        assert reply.status == 200
        assert set(error["error"]) == {"message", "type", "param", "code", "usage"}
        assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks)
        assert [outcome.status for outcome in client.recorder.outcomes] == ["failed"]
        assert client.recorder.outcomes[0].error_code == error["error"]["code"]
        assert client.recorder.outcomes[0].bill.tokens.output > 0


async def test_a_bug_in_the_middle_of_a_stream_is_an_error_event_as_well(caplog: pytest.LogCaptureFixture) -> None:
    body = Trickle()
    async with world(lambda request: event_stream(body)) as client:
        body.pieces.put_nowait(sse(delta(""), delta("Create ")))
        body.pieces.put_nowait(RuntimeError("a bug"))
        reply = await client.post({**CALL, "stream": True})
        assert reply.events[-1]["error"]["code"] == "internal_error"
        assert [outcome.status for outcome in client.recorder.outcomes] == ["failed"]
        assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["call.crashed"]


async def test_a_failure_before_the_first_event_is_an_http_error() -> None:
    async with world(streams()) as client:
        reply = await client.post({**CALL, "stream": True})
        assert (reply.status, reply.json["error"]["code"]) == (502, "provider_stream_cut")
        prompt = build_chat_request(CALL).prompt_tokens(client.requests[0].content).input
        assert client.recorder.outcomes[0].bill.tokens == TokenCounts(input=3 * prompt, estimated=True)


async def test_lambda_ends_a_stream_before_it_is_killed() -> None:
    body = Trickle()
    async with world(lambda request: event_stream(body)) as client:
        import time

        body.pieces.put_nowait(sse(delta(""), delta("Create ")))
        soon = {"tidegate.lambda": {"deadline": time.time() + 3.3}}
        reply = await client.post({**CALL, "stream": True}, extensions=soon)
        assert reply.events[-1]["error"]["code"] == "provider_timeout"
        assert [outcome.status for outcome in client.recorder.outcomes] == ["failed"]


async def test_a_call_that_takes_longer_than_it_may_is_a_504() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with world(never) as client:
        reply = await client.post({**CALL, "timeout": 0.1})
        assert (reply.status, reply.json["error"]["code"]) == (504, "provider_timeout")
        assert [outcome.status for outcome in client.recorder.outcomes] == ["failed"]


@pytest.mark.parametrize(("asked", "given"), [(None, 20), (7, 7), (3600, 20), (1e300, 20)])
async def test_a_caller_may_shorten_the_time_that_the_operator_gives_and_not_extend_it(
    asked: Any, given: float
) -> None:
    async with world(TIDEGATE_TIMEOUT_SECONDS="20") as client:
        await client.post({**CALL, "timeout": asked})
        call = client.recorder.outcomes[0].call
        assert call.deadline - call.started_at == pytest.approx(given, abs=1e-3)


async def test_silence_in_a_stream_is_filled_with_comments() -> None:
    body = Trickle()
    async with world(lambda request: event_stream(body), options=ServerOptions(keep_alive_seconds=0.05)) as client:
        exchange = Exchange(client.app, {**CALL, "stream": True}, "/v1/chat/completions")
        call = asyncio.create_task(exchange.run())
        body.pieces.put_nowait(sse(delta(""), delta("Create ")))
        await exchange.until(lambda seen: seen.count(b": keep-alive\n") == 2)
        body.pieces.put_nowait(sse(delta(finish="stop"), USAGE, "[DONE]"))
        body.pieces.put_nowait(None)
        await call
        assert exchange.reply().events[-1] == "[DONE]"


async def test_no_comment_follows_the_end_of_a_stream_that_a_slow_client_holds_up() -> None:
    async with world(streams(*STREAM), options=ServerOptions(keep_alive_seconds=0.05)) as client:
        exchange = Exchange(client.app, {**CALL, "stream": True}, "/v1/chat/completions")
        exchange.slow_at = b"[DONE]"
        call = asyncio.create_task(exchange.run())
        await asyncio.sleep(0.2)
        exchange.reads.set()
        await call
        assert exchange.reply().events[-1] == "[DONE]"
        assert [message["more_body"] for message in exchange.messages[-2:]] == [True, False]


@pytest.mark.parametrize(
    ("status", "headers", "answered", "code"),
    [
        (400, {}, 400, "provider_bad_request"),
        (401, {}, 502, "provider_auth_error"),
        (403, {}, 502, "provider_auth_error"),
        (429, {"retry-after": "7"}, 429, "provider_rate_limited"),
        (500, {}, 502, "provider_error"),
        (503, {}, 503, "provider_overloaded"),
    ],
)
async def test_failures_of_the_provider(status: int, headers: dict[str, str], answered: int, code: str) -> None:
    async with world(answers({"error": {"message": "no: provider-secret-1"}}, status, headers)) as client:
        reply = await client.post(CALL)
        assert (reply.status, reply.json["error"]["code"]) == (answered, code)
        assert reply.headers.get("retry-after") == headers.get("retry-after")
        assert b"provider-secret-1" not in reply.body
        assert [(outcome.status, outcome.error_code) for outcome in client.recorder.outcomes] == [("failed", code)]


@pytest.mark.parametrize("content", [b"<html>", b"", b"[]", b'{"choices": "none"}', b"\xff"])
async def test_an_answer_that_is_not_the_dialect_is_a_502(content: bytes) -> None:
    async with world(lambda request: httpx.Response(200, content=content)) as client:
        reply = await client.post(CALL)
        assert (reply.status, reply.json["error"]["code"]) == (502, "provider_malformed_response")


async def test_a_meter_that_is_down_costs_the_caller_nothing_and_is_logged(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.recorder.unavailable = True
    assert (await client.post(CALL)).status == 200
    [failed] = [record for record in caplog.records if record.message == "meter.failed"]
    assert (failed.__dict__["output_tokens"], failed.__dict__["cost_usd"]) == (12, "0.0000248")


async def test_a_meter_that_hangs_is_given_up_and_logged(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shield, "SETTLE_SECONDS", 0.01)
    client.recorder.gate = asyncio.Event()
    assert (await client.post(CALL)).status == 200
    [failed] = [record for record in caplog.records if record.message == "meter.failed"]
    assert (failed.__dict__["output_tokens"], failed.__dict__["cost_usd"]) == (12, "0.0000248")


async def test_nothing_of_the_content_is_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await client.post(CALL)
    logged = " ".join(str(record.__dict__) for record in caplog.records if record.name.startswith("tidegate"))
    assert "call.settled" in logged
    for secret in ("tagline", "Hello.", "provider-secret-1", "sk-tidegate-test"):
        assert secret not in logged


async def test_what_cannot_be_honoured_is_refused_on_request(client: Client) -> None:
    reply = await client.post({**CALL, "repetition_penalty": 1.1, "require_parameters": True})
    assert (reply.status, reply.json["error"]["code"], reply.json["error"]["param"]) == (
        400,
        "unsupported_parameter",
        "repetition_penalty",
    )
    assert client.requests == []
    reported = await client.post({**CALL, "repetition_penalty": 1.1})
    assert reported.headers["x-tidegate-ignored-params"] == "repetition_penalty"


async def test_reasoning_is_left_out_for_those_who_exclude_it() -> None:
    async with world(answers(completion(reasoning_content="hmm"))) as client:
        shown = await client.post(CALL)
        assert shown.json["choices"][0]["message"]["reasoning"] == "hmm"
        hidden = await client.post({**CALL, "reasoning": {"exclude": True}})
        assert not {"reasoning", "reasoning_content", "reasoning_details"} & set(hidden.json["choices"][0]["message"])


async def test_an_unpriced_model_costs_null(client: Client) -> None:
    reply = await client.post({**CALL, "model": "openai/some-private-finetune-nobody-knows"})
    assert reply.json["usage"]["cost"] is None
    assert client.recorder.outcomes[0].bill.cost_usd is None


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("nobody/x", 404, "model_not_found"),
        ("groq/llama-3.3-70b-versatile", 503, "provider_not_configured"),
        ("utterly-unknown-model", 404, "model_not_found"),
    ],
)
async def test_models_that_lead_nowhere(client: Client, model: str, status: int, code: str) -> None:
    reply = await client.post({**CALL, "model": model})
    assert (reply.status, reply.json["error"]["code"], reply.json["error"]["param"]) == (status, code, "model")
    assert [outcome.status for outcome in client.recorder.outcomes] == ["failed"]


async def test_a_provider_of_the_operators_own_answers_by_its_name() -> None:
    own = '[{"name": "neuroa2", "base_url": "https://mine.test/v1", "key": null}]'
    async with world(TIDEGATE_PROVIDERS=own) as client:
        assert (await client.post({**CALL, "model": "neuroa2/m1"})).status == 200
        assert str(client.requests[0].url) == "https://mine.test/v1/chat/completions"
        assert "authorization" not in client.requests[0].headers


async def test_bare_names_find_their_maker_and_the_default_provider() -> None:
    async with world(TIDEGATE_DEFAULT_PROVIDER="mistral") as client:
        assert (await client.post({**CALL, "model": "gpt-4.1-mini"})).headers["x-tidegate-provider"] == "openai"
        assert (await client.post({**CALL, "model": "qwen3"})).headers["x-tidegate-model"] == "mistral/qwen3"


async def test_reasoning_comes_back_to_the_provider_though_the_client_dropped_it() -> None:
    tool_call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    thought = completion("", reasoning_content="I need f.", tool_calls=[tool_call])
    replayed = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": [tool_call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
    ]
    async with world(answers(thought), DEEPSEEK_API_KEY="k") as client:
        asked = {**CALL, "model": "deepseek/deepseek-reasoner"}
        await client.post(asked)
        await client.post({**asked, "messages": replayed})
        sent = httpx.Response(200, content=client.requests[1].content).json()
        assert sent["messages"][1]["reasoning_content"] == "I need f."


async def test_a_client_that_leaves_while_reasoning_is_kept_pays_what_the_provider_counted() -> None:
    tool_call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    thought = completion("", reasoning_content="I need f.", tool_calls=[tool_call])

    class Slow(MemoryReasoningSignatures):
        begun = asyncio.Event()

        async def keep(self, workspace_id: str, tool_call_id: str, details: list[Any]) -> None:
            self.begun.set()
            await asyncio.Future()

    async with world(answers(thought), DEEPSEEK_API_KEY="k") as client:
        state = client.app.lifespan_state
        client.app.lifespan_state = {"gateway": replace(state["gateway"], open_signatures=Slow)}
        exchange = Exchange(client.app, {**CALL, "model": "deepseek/deepseek-reasoner"}, "/v1/chat/completions")
        call = asyncio.create_task(exchange.run())
        await asyncio.wait_for(Slow.begun.wait(), 5)
        exchange.hang_up()
        await asyncio.wait_for(call, 5)
        assert [outcome.bill.tokens for outcome in client.recorder.outcomes] == [TokenCounts(input=14, output=12)]


async def test_streamed_reasoning_comes_back_too() -> None:
    tool_call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    events = [delta("")]
    events[0]["choices"][0]["delta"] = {"role": "assistant", "reasoning_content": "I need "}
    events += [delta(), delta(), delta(finish="tool_calls"), USAGE, "[DONE]"]
    events[1]["choices"][0]["delta"] = {"reasoning_content": "f."}
    events[2]["choices"][0]["delta"] = {"tool_calls": [tool_call]}
    replayed = [*USER, {"role": "assistant", "tool_calls": [{**tool_call}]}]
    async with world(streams(*events), DEEPSEEK_API_KEY="k") as client:
        asked = {**CALL, "model": "deepseek/deepseek-reasoner", "stream": True}
        await client.post(asked)
        await client.post({**asked, "messages": replayed})
        sent = httpx.Response(200, content=client.requests[1].content).json()
        assert sent["messages"][1]["reasoning_content"] == "I need f."


async def test_a_long_prompt_keeps_no_other_call_waiting(client: Client) -> None:
    long = asyncio.create_task(client.post({**CALL, "messages": [{"role": "user", "content": "naïve " * 500_000}]}))
    others = 0
    while not long.done():
        assert (await client.post(CALL)).status == 200
        others += 1
        await asyncio.sleep(0)  # on Python 3.13, the other call never waits
    assert long.result().json["usage"]["words_details"]["input_words"] == 500_000
    assert others > 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_providers_own_word_for_the_end_is_in_the_record_and_the_log(
    stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    reply = completion()
    reply["choices"][0]["finish_reason"] = "tide_turned"
    answer = streams(delta("Hi."), delta(finish="tide_turned"), USAGE, "[DONE]") if stream else answers(reply)
    with caplog.at_level("INFO"):
        async with world(answer) as client:
            assert (await client.post({**CALL, "stream": stream})).status == 200
            [outcome] = client.recorder.outcomes
            assert (outcome.finish_reason, outcome.native_finish_reason) == ("stop", "tide_turned")
            [line] = [record for record in caplog.records if record.message == "call.settled"]
            assert vars(line)["native_finish_reason"] == "tide_turned"
