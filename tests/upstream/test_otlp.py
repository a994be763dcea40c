"""The requests to an OpenTelemetry collector: where they go, how they are authorized, and what a loss costs."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.collector import ENDPOINT, Collector, attributes
from tests.world import STREAM, USER, Client, Exchange, answers, completion, streams, world
from tidegate.transport.sigv4 import AwsKey, SigningScope, sign

CALL: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER}
AWS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-example"}


@asynccontextmanager
async def collected(collector: Collector, **env: str) -> AsyncIterator[Client]:
    collector.provider = answers(completion())
    async with world(collector, **{"TIDEGATE_OTLP_ENDPOINT": ENDPOINT, **env}) as client:
        yield client


async def sent(endpoint: str, signals: str = "traces", **env: str) -> Collector:
    collector = Collector()
    async with collected(collector, TIDEGATE_OTLP_ENDPOINT=endpoint, TIDEGATE_OTLP_SIGNALS=signals, **env) as client:
        assert (await client.post(CALL)).status == 200
    return collector


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[Any, ...]]:
    """The log lines of this module: event, signal, lost calls, rejected items and reason."""
    found = [vars(line) for line in caplog.records if line.name == "tidegate.upstream.otlp"]
    return [tuple(line.get(name) for name in ("message", "signal", "lost", "rejected", "reason")) for line in found]


@pytest.mark.parametrize(
    ("endpoint", "signals", "urls"),
    [
        ("http://collector.test:4318", "traces", ["http://collector.test:4318/v1/traces"]),
        ("http://collector.test:4318/", "traces", ["http://collector.test:4318/v1/traces"]),
        (
            "https://in.example/otlp",
            "traces,metrics",
            [f"https://in.example/otlp/v1/{n}" for n in ("traces", "metrics")],
        ),
        ("https://in.example/otlp/v1/traces", "traces", ["https://in.example/otlp/v1/traces"]),
    ],
)
async def test_the_paths_of_signals_are_added_to_the_endpoint(endpoint: str, signals: str, urls: Sequence[str]) -> None:
    # The path of the fake collector is that of the signal: an endpoint with a path of its own needs another one.
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, json=completion())

    async with world(answer, TIDEGATE_OTLP_ENDPOINT=endpoint, TIDEGATE_OTLP_SIGNALS=signals) as client:
        await client.post(CALL)
    assert sorted(seen[1:]) == sorted(urls)


async def test_a_request_is_json_in_gzip_and_names_the_gateway() -> None:
    collector = await sent(ENDPOINT, OTEL_SERVICE_NAME="tidegate-prod")
    [request] = collector.received
    assert (request.headers["content-type"], request.headers["content-encoding"]) == ("application/json", "gzip")
    assert len(request.body) < 2_000
    [resource] = [each.resource for each in request.message.resource_spans]
    assert attributes(resource.attributes) == {"service.name": "tidegate-prod", "service.version": "0.1.0"}


async def test_ids_are_hex_integers_are_text_and_kinds_are_numbers() -> None:
    collector = await sent(ENDPOINT)
    [resource] = collector.received[0].json["resourceSpans"]
    call, attempt = resource["scopeSpans"][0]["spans"]
    assert (len(call["traceId"]), len(call["spanId"]), attempt["parentSpanId"]) == (32, 16, call["spanId"])
    assert (call["kind"], attempt["kind"]) == (2, 3)
    assert call["startTimeUnixNano"].isdecimal()
    values = {pair["key"]: pair["value"] for pair in attempt["attributes"]}
    assert values["gen_ai.usage.input_tokens"] == {"intValue": "14"}


async def test_headers_come_from_a_secret_and_are_percent_decoded() -> None:
    secret = "Authorization=Basic%20cHVibGlj%3D, x-team = blue ,"
    collector = await sent(ENDPOINT, TIDEGATE_OTLP_HEADERS=secret)
    headers = collector.received[0].headers
    assert (headers["authorization"], headers["x-team"]) == ("Basic cHVibGlj=", "blue")


@pytest.mark.parametrize("secret", ["Bearer abc", "a b=1", "x=%0d%0ay: z", "=1"])
async def test_headers_that_are_not_valid_are_named_without_their_values(
    secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    collector = await sent(ENDPOINT, TIDEGATE_OTLP_HEADERS=secret)
    assert collector.received == []
    reason = "TIDEGATE_OTLP_HEADERS is not key=value,key2=value2"
    assert lines(caplog) == [("otlp.lost", "traces", 1, None, reason)]


@pytest.mark.parametrize("host", ["xray.eu-central-1.amazonaws.com", "monitoring.eu-central-1.amazonaws.com"])
async def test_requests_to_cloudwatch_are_signed(host: str) -> None:
    collector = await sent(f"https://{host}", "traces,metrics", **AWS)
    assert {request.url: _service(request.headers["authorization"]) for request in collector.received} == {
        "https://xray.eu-central-1.amazonaws.com/v1/traces": "eu-central-1/xray",
        "https://monitoring.eu-central-1.amazonaws.com/v1/metrics": "eu-central-1/monitoring",
    }
    [traces] = [request for request in collector.received if request.path == "/v1/traces"]
    signed = {name: traces.headers[name] for name in ("content-type", "content-encoding")}
    at = time.mktime(time.strptime(traces.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")) - time.timezone
    key = AwsKey("AKIAEXAMPLE", "secret-example")
    again = sign("POST", traces.url, signed, traces.body, key, SigningScope("xray", "eu-central-1"), at=at)
    assert traces.headers["authorization"] == again["authorization"]


def _service(authorization: str) -> str:
    return "/".join(authorization.split("Credential=")[1].split("/")[2:4])


async def test_without_credentials_of_aws_the_loss_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    collector = await sent("https://xray.eu-central-1.amazonaws.com")
    assert collector.received == []
    assert lines(caplog) == [("otlp.lost", "traces", 1, None, "no AWS credentials")]


@pytest.mark.parametrize(
    ("status", "answer", "line"),
    [
        (400, b"{}", ("otlp.lost", "traces", 1, None, "status 400")),
        (401, b"not JSON", ("otlp.lost", "traces", 1, None, "status 401")),
        (503, b"", ("otlp.lost", "traces", 1, None, "status 503")),
        (
            200,
            b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}',
            ("otlp.rejected", "traces", 0, "2", "too old"),
        ),
        (200, b'{"partialSuccess": {"errorMessage": "slow down"}}', ("otlp.rejected", "traces", 0, "0", "slow down")),
        (200, b'{"partialSuccess": {}}', None),
        (200, b"", None),
        (200, b"\x0a\x02\x08\x01", None),
        (200, b"[" * 60_000, None),
    ],
)
async def test_what_the_collector_does_not_take_is_one_line(
    status: int, answer: bytes, line: tuple[Any, ...] | None, caplog: pytest.LogCaptureFixture
) -> None:
    collector = Collector(status=status, answer=answer)
    async with collected(collector) as client:
        reply = await client.post(CALL)
    assert (reply.status, len(collector.received), len(client.recorder.outcomes)) == (200, 1, 1)
    assert lines(caplog) == ([] if line is None else [line])


async def test_after_a_failure_that_can_pass_nothing_is_sent_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    collector = Collector(status=503, headers={"retry-after": "1"})
    async with collected(collector) as client:
        for _ in range(3):
            await client.post(CALL)
        assert len(collector.received) == 1
        collector.status = 200
        await asyncio.sleep(1.05)
        for _ in range(2):
            await client.post(CALL)
    assert len(collector.received) == 3
    assert lines(caplog) == [
        ("otlp.lost", "traces", 1, None, "status 503"),
        ("otlp.resumed", "traces", 2, None, None),
    ]


async def test_a_collector_that_does_not_answer_costs_a_fifth_of_a_second_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/traces":
            await asyncio.sleep(30)
        return httpx.Response(200, json=completion())

    async with world(hang, TIDEGATE_OTLP_ENDPOINT=ENDPOINT) as client:
        started = time.monotonic()
        assert (await client.post(CALL)).status == 200
        first = time.monotonic() - started
        assert (await client.post(CALL)).status == 200
        second = time.monotonic() - started - first
    assert 0.2 <= first < 1.0
    assert second < 0.2
    assert lines(caplog) == [("otlp.lost", "traces", 1, None, "timeout")]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_reply_does_not_wait_for_the_collector(stream: bool) -> None:
    asked, gate = asyncio.Event(), asyncio.Event()
    provider = streams(*STREAM) if stream else answers(completion())

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/v1/traces":
            response = provider(request)
            assert isinstance(response, httpx.Response)
            return response
        asked.set()
        await gate.wait()
        return httpx.Response(200)

    async with world(answer, TIDEGATE_OTLP_ENDPOINT=ENDPOINT) as client:
        exchange = Exchange(client.app, {**CALL, "stream": stream}, "/v1/chat/completions")
        running = asyncio.create_task(exchange.run())
        await asked.wait()
        assert not exchange.messages[-1].get("more_body", False)
        assert exchange.reply().status == 200
        assert not running.done()
        gate.set()
        await running


async def test_a_collector_that_is_down_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    collector = Collector(fault=httpx.ConnectError("refused"))
    async with collected(collector) as client:
        assert (await client.post(CALL)).status == 200
    assert lines(caplog) == [("otlp.lost", "traces", 1, None, "unreachable")]


async def test_a_fault_of_ours_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    collector = Collector(fault=RuntimeError("a bug"))
    async with collected(collector) as client:
        assert (await client.post(CALL)).status == 200
        assert len(client.recorder.outcomes) == 1
    assert [line.message for line in caplog.records if line.levelno == logging.ERROR] == ["telemetry.failed"]
