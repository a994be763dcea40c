"""The path of a call, as its record and its log line have it: events in their order, and what came of each step."""

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.pipeline.routed import BUSY, CALL, MODEL, OK, OTHER, Hosts, routed
from tests.world import (
    SECRET,
    STREAM,
    USER,
    WORKSPACE,
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
from tidegate.domain.call_event import format_timeline
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.limits import Limits
from tidegate.domain.record import RECORD_FIELDS, timeline_events

PLAIN: dict[str, Any] = {"model": MODEL, "messages": USER}
MASKS = Guardrail("pii", "personal", action="mask", always=True)
BLOCKS = Guardrail("words", "words", on="output", words=("Hello",), always=True)


async def records(client: Client) -> list[Mapping[str, Any]]:
    """In the order in which the calls ended."""
    by_id = {each["id"]: each for each in await client.recorder.kept.calls("ws_test", 100)}
    return [by_id[outcome.call.id] for outcome in client.recorder.outcomes]


async def record(client: Client) -> Mapping[str, Any]:
    """The newest."""
    return (await records(client))[-1]


def follow_the_loop(client: Client) -> None:
    """The gateway's time is that of the event loop, which may jump."""
    state, loop = client.app.lifespan_state, asyncio.get_running_loop()
    state["gateway"] = replace(state["gateway"], clock=lambda: 1_800_000_000 + loop.time())


def steps(record: Mapping[str, Any]) -> list[str]:
    """The events of the timeline without their times, which must not decrease."""
    events = timeline_events(record)
    assert events == sorted(events, key=lambda event: event.seconds)
    return re.sub(r"@\d+", "", format_timeline(events)).split()


@pytest.mark.parametrize("stream", [False, True])
async def test_the_path_of_a_plain_call_is_on_record_and_in_the_log(
    stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tidegate")
    async with world(streams(*STREAM) if stream else None) as client:
        await client.post({**PLAIN, "stream": stream})
        found = await record(client)
    assert steps(found) == ["auth", "body", f"try:first:{MODEL}", "first", *(["last"] if stream else []), "end"]
    assert " try@" in found["timeline"]
    assert MODEL not in found["timeline"]
    assert list(found) == list(RECORD_FIELDS)
    assert (found["endpoint"], found["attempts"]) == ("/v1/chat/completions", 1)
    [line] = [vars(line) for line in caplog.records if line.message == "call.settled"]
    assert line["timeline"] == found["timeline"]
    assert (line["provider"], line["endpoint"]) == ("openai", "/v1/chat/completions")


async def test_a_path_with_the_name_of_a_deployment_is_recorded_without_it(client: Client) -> None:
    reply = await client.post({"messages": USER}, f"/openai/deployments/{MODEL}/chat/completions")
    assert reply.status == 200
    assert (await record(client))["endpoint"] == "/openai/deployments/{deployment}/chat/completions"


@pytest.mark.jumping_clock
async def test_the_speed_of_a_stream_is_measured_from_its_first_to_its_last_token() -> None:
    body = Trickle()
    async with world(lambda _: event_stream(body)) as client:
        follow_the_loop(client)
        task = asyncio.create_task(client.post({**PLAIN, "stream": True}))
        await asyncio.sleep(3)
        body.pieces.put_nowait(sse(delta("Create ")))
        await asyncio.sleep(4)
        body.pieces.put_nowait(sse(*STREAM[2:]))
        body.pieces.put_nowait(None)
        await task
        assert (await record(client))["tokens_per_second"] == 3.0


@pytest.mark.jumping_clock
async def test_the_speed_of_a_whole_reply_is_measured_from_its_request() -> None:
    async def answer(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(6)
        return httpx.Response(200, json=completion())

    async with world(answer) as client:
        follow_the_loop(client)
        await client.post(PLAIN)
        assert (await record(client))["tokens_per_second"] == 2.0


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_in_one_piece_tells_no_speed(stream: bool) -> None:
    async with world(streams(*STREAM) if stream else None) as client:
        await client.post({**PLAIN, "stream": stream})
        assert (await record(client))["tokens_per_second"] is None


async def test_each_attempt_has_its_reason_and_its_failure() -> None:
    hosts = Hosts(first=BUSY, second=[BUSY, BUSY, OK], mistral=BUSY)
    async with routed(hosts, {"model": MODEL}, {"model": OTHER}) as client:
        assert (await client.post({**CALL, "num_retries": 1})).status == 503
        assert steps(await record(client)) == [
            *("auth", "body"),
            *(f"try:first:{MODEL}(fast#1)", f"fail:provider_overloaded:{MODEL}(fast#1)"),
            *(f"try:fallback:{OTHER}(fast#2)", f"fail:provider_overloaded:{OTHER}(fast#2)"),
            *("wait:retry_delay", f"try:retry:{MODEL}(fast#1)", f"fail:provider_overloaded:{MODEL}(fast#1)"),
            "end",
        ]


@pytest.mark.jumping_clock
async def test_a_hedge_and_a_trial_are_attempts_for_a_reason() -> None:
    async def slow() -> httpx.Response:
        await asyncio.sleep(10)
        return httpx.Response(200, json=completion())

    hosts = Hosts(first=[slow, BUSY, OK], second=OK)
    async with routed(hosts, hedge_after_seconds=2, cooldown_failures=1) as client:
        for _ in range(2):
            assert (await client.post(CALL)).status == 200
        health = client.app.lifespan_state["gateway"].balancer._load_ordering().health
        before = health.clock
        health.clock = lambda: before() + 40
        assert (await client.post(CALL)).status == 200
        hedged, _, tried = map(steps, await records(client))
    first, second = f"{MODEL}(fast#1)", f"{MODEL}(fast#2)"
    assert hedged[2:] == [f"try:first:{first}", f"try:hedge:{second}", "first", f"fail:hedged:{first}", "end"]
    assert tried[2:4] == [f"try:trial:{first}", "first"]


async def test_the_cache_says_what_it_did() -> None:
    async with world() as client:
        for headers in ({}, {}, {"idempotency-key": "one"}, {"idempotency-key": "one"}):
            await client.post({**PLAIN, "caching": not headers}, headers=headers)
        await client.post({**PLAIN, "caching": True, "cache": {"no-cache": True}})
        found = await records(client)
    assert [each["cache"] for each in found] == ["miss", "hit", None, "replay", "bypass"]
    assert steps(found[1]) == ["auth", "body", "cache:hit", "end"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("text", "mine", "verdicts", "status"),
    [
        ("Hi.", (MASKS,), "pii=pass", "ok"),
        ("Mail a@example.com", (MASKS,), "pii=mask", "ok"),
        ("Hello", (MASKS, BLOCKS), "pii=pass words=block", "failed"),
    ],
)
async def test_guardrails_leave_their_verdicts(
    stream: bool, text: str, mine: tuple[Guardrail, ...], verdicts: str, status: str
) -> None:
    events = (delta(""), delta(text), delta(finish="stop"), "[DONE]")
    provider = streams(*events) if stream else answers(completion(text))
    async with world(provider, workspace=replace(WORKSPACE, guardrails=mine)) as client:
        await client.post({**PLAIN, "stream": stream})
        found = await record(client)
    assert (found["guardrails"], found["status"]) == (verdicts, status)
    assert [step for step in steps(found) if "guard" in step] == ["guard:input", "guard:output"]


async def test_a_guardrail_that_has_not_run_has_no_verdict() -> None:
    both = (replace(MASKS, on="input", action="block"), BLOCKS)
    async with world(workspace=replace(WORKSPACE, guardrails=both)) as client:
        mail = [{"role": "user", "content": "Mail a@example.com"}]
        assert (await client.post({**PLAIN, "messages": mail})).status == 400
        found = await record(client)
    assert (found["guardrails"], steps(found)) == ("pii=block", ["auth", "body", "guard:input", "end"])


async def test_a_hold_and_a_shorter_answer_are_on_record() -> None:
    lowering = replace(WORKSPACE, lowers_max_tokens=True)
    async with world(workspace=lowering, limits=Limits(tokens_per_day=180)) as client:
        reply = await client.post({**PLAIN, "max_tokens": 100})
        found = await record(client)
    max_tokens = reply.headers["x-tidegate-max-tokens"]
    assert steps(found)[2:4] == ["hold", f"cut:{max_tokens}"]
    assert float(found["held_usd"]) > float(found["cost_usd"]) > 0


async def test_ignored_fields_are_named_but_no_list_of_them_is_long(client: Client) -> None:
    await client.post({**PLAIN, "cache": {"a b": 1, "c\n": 2}})
    assert (await record(client))["ignored"] == "cache.a_b cache.c?"
    await client.post({**PLAIN, "cache": {f"option_{n}": 1 for n in range(90)}})
    ignored = (await record(client))["ignored"]
    assert len(ignored) < 220
    assert ignored.startswith("cache.option_0 ")
    assert int(ignored.partition("+")[2]) + ignored.count("cache.") == 90


@pytest.mark.parametrize(
    ("headers", "fields", "session", "agent"),
    [
        ({}, {}, None, None),
        ({"x-session-id": "s1", "x-claude-code-session-id": "c1"}, {"prompt_cache_key": "k1"}, "s1", None),
        ({"x-claude-code-session-id": "c1", "x-claude-code-agent-id": "a1"}, {}, "c1", "a1"),
        ({}, {"prompt_cache_key": "k1"}, "k1", None),
        ({"x-session-id": "s" * 5000}, {}, "s" * 128, None),
        ({}, {"prompt_cache_key": "k\u202e\n"}, "k??", None),
    ],
)
async def test_sessions_and_agents_are_on_record(
    client: Client, headers: dict[str, str], fields: Any, session: str | None, agent: str | None
) -> None:
    reply = await client.post({**PLAIN, **fields}, headers=headers)
    found = await record(client)
    assert (found["session_id"], found["agent_id"]) == (session, agent)
    generation = (await client.get(f"/v1/generation?id={reply.json['id']}")).json["data"]
    assert (generation["session_id"], generation["agent_id"]) == (session, agent)
    assert generation["timeline"] == found["timeline"]


async def test_the_agent_above_an_agent_is_on_record(client: Client) -> None:
    """As Claude Code 2.1 names them."""
    names = {"agent_id": "a2", "parent_agent_id": "a1"}
    headers = {"x-claude-code-agent-id": "a2", "x-claude-code-parent-agent-id": "a1"}
    reply = await client.post(PLAIN, headers=headers)
    assert names.items() <= (await record(client)).items()
    generation = (await client.get(f"/v1/generation?id={reply.json['id']}")).json["data"]
    assert names.items() <= generation.items()


async def test_a_call_that_leaves_in_the_middle_keeps_its_path() -> None:
    body = Trickle()
    async with world(lambda _: event_stream(body)) as client:
        exchange = Exchange(client.app, {**PLAIN, "stream": True}, "/v1/chat/completions")
        task = asyncio.create_task(exchange.run())
        body.pieces.put_nowait(sse(delta("Create ")))
        await exchange.until(lambda received: b"Create" in received)
        exchange.hang_up()
        await task
        found = await record(client)
    assert (found["status"], steps(found)[2:]) == ("cancelled", [f"try:first:{MODEL}", "first", "end"])


async def test_no_part_of_a_record_has_content_or_keys(client: Client) -> None:
    await client.post({**PLAIN, "messages": [{"role": "user", "content": "a secret prompt"}]})
    assert not re.search(f"secret prompt|{SECRET}|Hello|provider-secret", str(await record(client)))
