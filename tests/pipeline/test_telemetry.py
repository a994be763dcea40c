"""Calls as spans and metrics: what an OpenTelemetry collector gets of each kind of call, read with its own messages."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.collector import ENDPOINT, Collector, attributes
from tests.pipeline.routed import BUSY, FIRST, MODEL, OK, SECOND, Hosts
from tests.world import STREAM, USER, Client, answers, completion, delta, event_stream, new_call, sse, streams, world
from tidegate.domain.otel import ATTEMPT_ATTRIBUTES, CALL_ATTRIBUTES, EVENTS, REQUEST_ATTRIBUTES

CALL: dict[str, Any] = {"model": MODEL, "messages": USER}
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MARKER = "zebra-4711"
CACHED = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 30},
}


@asynccontextmanager
async def collected(provider: Any = None, **env: Any) -> AsyncIterator[tuple[Client, Collector]]:
    collector = Collector(provider or answers(completion()))
    async with world(collector, TIDEGATE_OTLP_ENDPOINT=ENDPOINT, **env) as client:
        yield client, collector


def routes(**route: Any) -> str:
    return json.dumps([{"name": "fast", "targets": [FIRST, SECOND], **route}])


def error_of(span: Span) -> str | None:
    """The code of a span's error, which stands in its status and in an attribute; None without one."""
    code = attributes(span.attributes).get("error.type")
    if code is None:
        assert span.status == Status()
    else:
        assert span.status == Status(code=Status.STATUS_CODE_ERROR, message=code)
    return code


def check(spans: list[Span]) -> None:
    """What holds for the spans of every call."""
    call, *attempts = spans
    assert len({span.trace_id for span in spans}) == 1
    assert len({span.span_id for span in spans}) == len(spans)
    assert all((len(span.trace_id), len(span.span_id)) == (16, 8) for span in spans)
    assert {span.parent_span_id for span in attempts} <= {call.span_id}
    assert {span.kind for span in attempts} <= {Span.SPAN_KIND_CLIENT}
    for span in attempts:
        assert call.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= call.end_time_unix_nano
        assert set(attributes(span.attributes)) <= {*ATTEMPT_ATTRIBUTES, *REQUEST_ATTRIBUTES}
    assert set(attributes(call.attributes)) <= set(CALL_ATTRIBUTES)
    assert {event.name for event in call.events} <= {name for name, _ in EVENTS.values()}
    with_usage = [span for span in spans if "gen_ai.usage.input_tokens" in attributes(span.attributes)]
    assert len(with_usage) <= 1
    assert call not in with_usage


async def test_a_plain_call_is_a_span_of_the_call_and_one_of_its_attempt() -> None:
    async with collected(answers(completion(usage=CACHED))) as (client, collector):
        body = {**CALL, "temperature": 1, "max_tokens": 100, "seed": 7, "n": 2, "stop": [MARKER], "user": MARKER}
        headers = {"x-app-id": "app", "x-session-id": "chat-1", "x-claude-code-agent-id": "agent-1"}
        reply = await client.post(body, headers=headers)
        [outcome] = client.recorder.outcomes
    [spans] = collector.traces
    check(spans)
    call, attempt = spans
    assert (call.name, call.kind, call.parent_span_id) == ("POST /v1/chat/completions", Span.SPAN_KIND_SERVER, b"")
    assert reply.headers["traceparent"] == f"00-{call.trace_id.hex()}-{call.span_id.hex()}-01"
    assert client.requests[0].headers["traceparent"] == f"00-{call.trace_id.hex()}-{attempt.span_id.hex()}-01"
    assert attributes(call.attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "gen_ai.conversation.id": "chat-1",
        "gen_ai.agent.id": "agent-1",
        "tidegate.call.id": reply.headers["x-request-id"],
        "tidegate.status": "ok",
        "tidegate.workspace.id": "ws_test",
        "tidegate.key.id": "key_test",
        "tidegate.app.id": "app",
        "tidegate.surface": "openai",
        "tidegate.request.model": MODEL,
        "tidegate.attempts": 1,
        "tidegate.cost_usd": float(outcome.bill.cost_usd or 0),
        "tidegate.words": outcome.bill.words.used,
    }
    assert attempt.name == "chat gpt-4.1-mini"
    assert attributes(attempt.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4.1-mini",
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.temperature": 1.0,
        "gen_ai.request.seed": 7,
        "gen_ai.conversation.id": "chat-1",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.response.model": "gpt-4.1-mini",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 1000,  # includes the cached ones
        "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 30,
        "tidegate.attempt.number": 1,
        "tidegate.attempt.reason": "first",
    }
    assert [event.name for event in call.events] == [
        *("tidegate.authenticated", "tidegate.received", "tidegate.first_token"),
    ]


async def test_no_text_of_a_call_is_in_what_is_sent() -> None:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": MARKER, "name": MARKER}],
        "stop": MARKER,
        "user": MARKER,
        "metadata": {MARKER: MARKER},
        "tools": [{"type": "function", "function": {"name": MARKER, "description": MARKER}}],
    }
    async with collected(answers(completion(MARKER))) as (client, collector):
        assert (await client.post(body)).status == 200
    assert MARKER not in json.dumps(collector.received[0].json)


async def test_a_stream_ends_with_its_last_token() -> None:
    async with collected(streams(*STREAM)) as (client, collector):
        await client.post({**CALL, "stream": True})
    [spans] = collector.traces
    check(spans)
    call, attempt = spans
    found = attributes(attempt.attributes)
    assert (found["gen_ai.request.stream"], found["gen_ai.usage.output_tokens"]) == (True, 12)
    first, last = (event.time_unix_nano for event in call.events if event.name.endswith("_token"))
    assert attempt.end_time_unix_nano == last
    assert found["gen_ai.response.time_to_first_chunk"] == pytest.approx(
        (first - attempt.start_time_unix_nano) / 1e9, abs=2e-6
    )


async def test_a_call_in_a_callers_trace_is_below_the_callers_span() -> None:
    async with collected() as (client, collector):
        await client.post(CALL, headers={"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=1"})
    [[call, attempt]] = collector.traces
    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (TRACE, CALLER)
    assert {span.trace_state for span in (call, attempt)} == {"vendor=1"}
    assert (call.flags & 0x3FF, attempt.flags & 0x3FF) == (0x301, 0x101)  # sampled; the parent is remote, or is not
    sent = client.requests[0].headers
    assert (sent["traceparent"], sent["tracestate"]) == (f"00-{TRACE}-{attempt.span_id.hex()}-01", "vendor=1")


async def test_a_trace_that_its_caller_does_not_sample_is_not_sent() -> None:
    traceparent = f"00-{TRACE}-{CALLER}-00"
    async with collected() as (client, collector):
        reply = await client.post(CALL, headers={"traceparent": traceparent})
    assert collector.received == []
    assert (reply.headers["traceparent"], client.requests[0].headers["traceparent"]) == (traceparent, traceparent)


async def test_each_retry_and_fallback_is_a_span_with_its_error() -> None:
    hosts = Hosts(first=[BUSY, BUSY, BUSY], mistral=OK)
    async with collected(hosts) as (client, collector):
        body = {**CALL, "num_retries": 1, "fallbacks": ["mistral/mistral-small-latest"]}
        assert (await client.post(body)).status == 200
    [spans] = collector.traces
    check(spans)
    call, *attempts = spans
    assert [(span.name, error_of(span)) for span in attempts] == [
        ("chat gpt-4.1-mini", "provider_overloaded"),
        ("chat gpt-4.1-mini", "provider_overloaded"),
        ("chat mistral-small-latest", None),
    ]
    found = [attributes(span.attributes) for span in attempts]
    assert [each["tidegate.attempt.reason"] for each in found] == ["first", "retry", "fallback"]
    assert [each["gen_ai.provider.name"] for each in found] == ["openai", "openai", "mistral_ai"]
    assert [each.get("gen_ai.usage.output_tokens") for each in found] == [None, None, 12]
    assert [each.get("server.address") for each in found] == [None, None, "api.mistral.ai"]
    assert error_of(call) is None
    sent = [
        request.headers["traceparent"].split("-")[2]
        for request in client.requests
        if "v1/traces" not in request.url.path
    ]
    assert sent == [span.span_id.hex() for span in attempts]


async def test_a_failed_call_is_an_error_without_usage() -> None:
    async with collected(answers({"error": {"message": "busy"}}, 503)) as (client, collector):
        reply = await client.post({**CALL, "num_retries": 0})
    [spans] = collector.traces
    check(spans)
    call, attempt = spans
    assert (reply.status, error_of(call), error_of(attempt)) == (503, "provider_overloaded", "provider_overloaded")
    assert attributes(call.attributes)["tidegate.status"] == "failed"
    assert "gen_ai.usage.input_tokens" not in attributes(attempt.attributes)


async def test_a_stream_that_breaks_off_is_an_error_with_what_is_charged() -> None:
    async with collected(lambda _: event_stream(sse(delta("Create "), delta("smarter.")))) as (client, collector):
        await client.post({**CALL, "stream": True})
        [outcome] = client.recorder.outcomes
    [spans] = collector.traces
    check(spans)
    call, attempt = spans
    assert (error_of(call), error_of(attempt)) == ("provider_stream_cut", "provider_stream_cut")
    found = attributes(attempt.attributes)
    assert found["gen_ai.usage.output_tokens"] == outcome.bill.tokens.output > 0
    assert found["tidegate.usage.estimated"] is True


async def test_a_cached_answer_costs_nothing_and_has_no_attempt() -> None:
    async with collected() as (client, collector):
        for _ in range(2):
            await client.post({**CALL, "caching": True})
    _, spans = collector.traces
    check(spans)
    [call] = spans
    found = attributes(call.attributes)
    assert (found["tidegate.cost_usd"], found["tidegate.cache"], found["tidegate.status"]) == (0.0, "hit", "cached")
    [event] = [event for event in call.events if event.name == "tidegate.cache"]
    assert attributes(event.attributes) == {"tidegate.cache": "hit"}


async def test_guardrails_and_limits_are_events_of_the_call() -> None:
    guardrails = json.dumps([{"name": "mask", "kind": "personal", "action": "mask", "always": True}])
    async with collected(TIDEGATE_GUARDRAILS=guardrails) as (client, collector):
        assert (await client.post(CALL)).status == 200
    [[call, _]] = collector.traces
    stages = [attributes(event.attributes) for event in call.events if event.name == "tidegate.guardrails"]
    assert stages == [{"tidegate.guardrails.stage": "input"}, {"tidegate.guardrails.stage": "output"}]
    assert attributes(call.attributes)["tidegate.guardrails"] == ["mask=pass"]


async def test_the_slower_of_two_hedged_attempts_is_marked() -> None:
    async def slow() -> httpx.Response:
        await asyncio.sleep(5)
        raise AssertionError

    hosts = Hosts(first=slow, second=OK)
    async with collected(hosts, TIDEGATE_ROUTES=routes(hedge_after_seconds=0.01)) as (client, collector):
        assert (await client.post({**CALL, "model": "fast"})).status == 200
        [outcome] = client.recorder.outcomes
    [spans] = collector.traces
    check(spans)
    _, first, second = spans
    assert (error_of(first), error_of(second)) == ("hedged", None)
    found = attributes(second.attributes)
    assert (found["tidegate.attempt.reason"], found["tidegate.deployment"]) == ("hedge", "fast#2")
    assert found["server.address"] == "second.test"
    assert found["gen_ai.usage.output_tokens"] == outcome.bill.tokens.output  # with what the first is charged for
    assert "gen_ai.usage.output_tokens" not in attributes(first.attributes)


async def test_a_dry_run_and_a_refused_call_have_a_span_without_attempts() -> None:
    async with collected() as (client, collector):
        await client.post({**CALL, "dry_run": True})
        await client.post({**CALL, "model": "unknown-model"})
    dry_run, refused = collector.traces
    check(dry_run)
    check(refused)
    assert (len(dry_run), attributes(dry_run[0].attributes)["tidegate.status"]) == (1, "dry_run")
    assert (len(refused), error_of(refused[0])) == (1, "model_not_found")


async def test_each_line_of_a_batch_is_a_trace_of_its_own() -> None:
    async with collected() as (client, collector):
        gateway = client.app.lifespan_state["gateway"]
        for line in range(2):
            call = await new_call(gateway, CALL)
            async with gateway.answer(replace(call, batch_id="batch_1", batch_line=line)):
                pass
    traces = collector.traces
    assert len({spans[0].trace_id for spans in traces}) == 2
    for line, spans in enumerate(traces):
        check(spans)
        call = spans[0]
        assert (call.name, call.kind, call.parent_span_id) == (f"chat {MODEL}", Span.SPAN_KIND_INTERNAL, b"")
        found = attributes(call.attributes)
        assert (found["tidegate.batch.id"], found["tidegate.batch.line"]) == ("batch_1", line)
        assert "http.route" not in found


def _histogram(metric: Any) -> tuple[str, float, int]:
    """A metric's unit and value, and the number of its bucket."""
    [point] = metric.histogram.data_points
    assert metric.histogram.aggregation_temporality == 1  # delta
    assert (point.count, point.sum, point.max) == (1, point.min, point.min)
    [bucket] = [number for number, count in enumerate(point.bucket_counts) if count]
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1 == 15
    bounds = [-1.0, *point.explicit_bounds, float("inf")]
    assert bounds[bucket] < point.sum <= bounds[bucket + 1]
    return metric.unit, point.sum, bucket


async def test_metrics_have_the_names_units_and_buckets_of_the_conventions() -> None:
    async with collected(streams(*STREAM), TIDEGATE_OTLP_SIGNALS="metrics") as (client, collector):
        await client.post({**CALL, "stream": True})
        await client.post({**CALL, "model": "unknown-model"})  # asks no provider
    metrics = collector.metrics
    assert [metric.name for metric in metrics] == [
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "gen_ai.client.token.usage",
    ]
    assert [_histogram(metric)[0] for metric in metrics] == ["s", "s", "{token}", "{token}"]
    assert [_histogram(metric)[1:] for metric in metrics[2:]] == [(14, 2), (12, 2)]
    bounds = [list(metric.histogram.data_points[0].explicit_bounds) for metric in metrics]
    assert (
        bounds[0]
        == bounds[1]
        == [
            *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
        ]
    )
    assert bounds[2] == [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]
    dimensions: Mapping[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4.1-mini",
        "gen_ai.response.model": "gpt-4.1-mini",
    }
    found = [attributes(metric.histogram.data_points[0].attributes) for metric in metrics]
    assert found[:2] == [dimensions, dimensions]
    assert found[2:] == [{**dimensions, "gen_ai.token.type": kind} for kind in ("input", "output")]


async def test_a_failed_call_is_measured_with_its_error_and_without_tokens() -> None:
    signals = "traces,metrics"
    async with collected(answers({"error": {"message": "busy"}}, 503), TIDEGATE_OTLP_SIGNALS=signals) as (
        client,
        collector,
    ):
        await client.post({**CALL, "num_retries": 0})
    [metric] = collector.metrics
    [point] = metric.histogram.data_points
    assert attributes(point.attributes)["error.type"] == "provider_overloaded"
    assert len(collector.traces) == 1
