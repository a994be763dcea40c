"""The content of calls in what a collector gets: only of calls that have a trace, and masked as the trace is."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

from tests.collector import ENDPOINT, Collector, attributes
from tests.pipeline.routed import MODEL
from tests.pipeline.traced import trace_of
from tests.world import STREAM, WORKSPACE, Client, answers, completion, streams, world
from tidegate.domain.workspace import Workspace

MAIL = "ada@example.com"
MESSAGES = [{"role": "user", "content": f"Write to {MAIL}."}]
CALL: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "stop": "END"}
TRACED = {**CALL, "observability": True}
INPUT, OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"


@asynccontextmanager
async def collected(
    provider: Any = None, workspace: Workspace = WORKSPACE, **env: str
) -> AsyncIterator[tuple[Client, Collector]]:
    collector = Collector(provider or answers(completion()))
    async with world(collector, workspace=workspace, TIDEGATE_OTLP_ENDPOINT=ENDPOINT, **env) as client:
        yield client, collector


def content(collector: Collector) -> list[dict[str, Any]]:
    """The attributes with content of each span of the last call."""
    names = (INPUT, OUTPUT, "gen_ai.tool.definitions", "gen_ai.request.stop_sequences")
    found = [attributes(span.attributes) for span in collector.traces[-1]]
    return [{name: value for name, value in each.items() if name in names} for each in found]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_content_of_a_traced_call_is_on_its_attempt(stream: bool) -> None:
    async with collected(streams(*STREAM) if stream else None) as (client, collector):
        await client.post({**TRACED, "stream": stream})
    call, attempt = content(collector)
    assert call == {}
    assert attempt["gen_ai.request.stop_sequences"] == ["END"]
    assert json.loads(attempt[INPUT]) == [{"role": "user", "parts": [{"type": "text", "content": f"Write to {MAIL}."}]}]
    text = "Create smarter." if stream else "Hello."
    assert json.loads(attempt[OUTPUT]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": "stop"}
    ]


@pytest.mark.parametrize("masks", [(), ("personal-data",)])
async def test_the_content_of_a_message_is_in_the_terms_of_a_chat(masks: tuple[str, ...]) -> None:
    body = {"model": MODEL, "max_tokens": 9, "system": "Be brief.", "messages": MESSAGES, "observability": True}
    async with collected(workspace=replace(WORKSPACE, trace_mask=masks)) as (client, collector):
        assert (await client.post(body, "/v1/messages")).status == 200
        assert json.loads((await trace_of(client)).request)["system"] == "Be brief."  # as its caller has sent it
    _, attempt = content(collector)
    roles = [(each["role"], each["parts"][0]["content"]) for each in json.loads(attempt[INPUT])]
    assert roles == [("system", "Be brief."), ("user", f"Write to {'[EMAIL]' if masks else MAIL}.")]
    assert json.loads(attempt[OUTPUT])[0]["parts"] == [{"type": "text", "content": "Hello."}]


async def test_the_content_of_a_traced_cached_answer_is_on_the_call() -> None:
    async with collected() as (client, collector):
        await client.post({**CALL, "caching": True})
        assert content(collector) == [{}, {}]
        await client.post({**TRACED, "caching": True})
    [call] = content(collector)
    assert json.loads(call[OUTPUT])[0]["parts"] == [{"type": "text", "content": "Hello."}]


@pytest.mark.parametrize(
    ("body", "workspace", "traces"),
    [
        (CALL, WORKSPACE, "on"),
        ({**CALL, "observability": False}, replace(WORKSPACE, trace_sample=1.0), "on"),
        (CALL, replace(WORKSPACE, trace_failures=True), "on"),  # and the call succeeds
        (TRACED, WORKSPACE, "off"),
    ],
)
async def test_no_content_of_a_call_without_a_trace_is_sent(body: Any, workspace: Workspace, traces: str) -> None:
    async with collected(workspace=workspace, TIDEGATE_TRACES=traces) as (client, collector):
        assert (await client.post(body)).status == 200
    assert content(collector) == [{}, {}]
    assert MAIL not in json.dumps(collector.received[0].json)


async def test_what_is_masked_in_the_trace_is_masked_for_the_collector() -> None:
    workspace = replace(WORKSPACE, trace_mask=("personal-data",))
    async with collected(answers(completion(f"Done: {MAIL}")), workspace) as (client, collector):
        await client.post(TRACED)
    _, attempt = content(collector)
    assert {INPUT, OUTPUT} <= attempt.keys()
    assert MAIL not in json.dumps(collector.received[0].json)


async def test_the_content_of_a_failed_call_is_sent_if_failures_are_traced() -> None:
    busy = answers({"error": {"message": "busy"}}, 503)
    async with collected(busy, replace(WORKSPACE, trace_failures=True)) as (client, collector):
        await client.post({**CALL, "num_retries": 0})
    _, attempt = content(collector)
    assert INPUT in attempt
    assert OUTPUT not in attempt
