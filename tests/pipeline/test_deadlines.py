"""One deadline for a call, whoever set it and whatever is waited for when it passes: 504, and a record."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx
import pytest
from msgspec.structs import replace

from tests.world import USER, Client, Handler, completion, delta, event_stream, sse, world
from tidegate.domain.limits import Limits
from tidegate.domain.timeouts import parse_timeout_rules
from tidegate.domain.usage import TokenCounts
from tidegate.domain.workspace import Workspace
from tidegate.policy.auth.authenticator import Authenticator
from tidegate.settings import EnvironmentSecrets
from tidegate.transport.base import HttpRequest, Timeouts
from tidegate.upstream.attempt import Upstream

pytestmark = pytest.mark.jumping_clock

CALL = {"model": "openai/gpt-4.1-mini", "messages": USER, "num_retries": 0}
streamed = pytest.mark.parametrize("stream", [False, True])


def answers(request: httpx.Request) -> httpx.Response:
    if json.loads(request.content).get("stream"):
        return event_stream(sse(delta("Hello."), delta(finish="stop"), "[DONE]"))
    return httpx.Response(200, json=completion())


async def never(request: httpx.Request) -> httpx.Response:
    return await asyncio.Future()


class Stalls(httpx.AsyncByteStream):
    """A body that stops in the middle."""

    def __init__(self, *said: bytes) -> None:
        self._said = said

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._said:
            yield piece
        await asyncio.Future()


def given(seconds: float) -> str:
    return str(time.time() + seconds)


async def seconds_given(client: Client, headers: dict[str, str], body: dict[str, Any]) -> float:
    await client.post({**CALL, **body}, headers=headers)
    call = client.recorder.outcomes[-1].call
    return call.deadline - call.started_at


@pytest.mark.parametrize(
    ("header", "body", "workspace", "left"),
    [
        (None, None, None, 600),
        (20, None, None, 20),
        (20, 30, None, 20),
        (30, 20, None, 20),
        (7200, 7200, None, 600),
        (None, None, 45.5, 45.5),
        (60, 50, 45.5, 45.5),
        (None, 7, 45.5, 7),
        (None, None, 7200.0, 600),
    ],
)
async def test_the_earliest_deadline_counts(
    header: float | None, body: float | None, workspace: float | None, left: float
) -> None:
    async with world(answers, workspace=Workspace("ws_test", "Test", timeout_seconds=workspace)) as client:
        headers = {"x-request-deadline": given(header)} if header else {}
        found = await seconds_given(client, headers, {"timeout": body} if body else {})
        assert found == pytest.approx(left, abs=0.5)


async def test_a_deadline_may_be_a_time_of_day() -> None:
    async with world(answers) as client:
        moment = datetime.fromtimestamp(time.time() + 90, UTC).isoformat()
        assert await seconds_given(client, {"x-request-deadline": moment}, {}) == pytest.approx(90, abs=0.5)


@pytest.mark.parametrize("header", ["soon", "2026-11-21T12:00:00", "1795262400000"])
async def test_a_deadline_that_cannot_be_read_is_a_400(header: str) -> None:
    async with world(answers) as client:
        reply = await client.post(CALL, headers={"x-request-deadline": header})
        error = reply.json["error"]
        assert (reply.status, error["code"], error["param"]) == (400, "invalid_request", "x-request-deadline")
        assert (client.requests, client.recorder.outcomes) == ([], [])


@streamed
async def test_a_deadline_that_has_passed_is_a_504_that_nobody_is_asked_for(stream: bool) -> None:
    async with world(answers) as client:
        reply = await client.post({**CALL, "stream": stream}, headers={"x-request-deadline": given(-5)})
        assert (reply.status, reply.json["error"]["code"]) == (504, "gateway_timeout")
        assert reply.headers["x-should-retry"] == "false"
        assert client.requests == []
        assert [(seen.status, seen.attempts, seen.bill.tokens) for seen in client.recorder.outcomes] == [
            ("failed", 0, TokenCounts())
        ]


@streamed
@pytest.mark.parametrize(
    ("listed", "handler", "waited", "says"),
    [
        ({"openai": {"first_byte": 9}}, never, 9, "start to respond within 9 seconds"),
        ({"openai/gpt-4.1*": {"total": 8}}, never, 8, "in time"),
        ({"openai": {"between": 7}}, lambda _: event_stream(Stalls(b"{")), 7, "stopped sending for 7 seconds"),
        ({"*": {"total": 6}}, lambda _: event_stream(Stalls(b"{")), 6, "in time"),
    ],
)
async def test_a_provider_that_keeps_the_call_waiting(
    listed: Any, handler: Handler, waited: float, says: str, stream: bool
) -> None:
    async with world(handler) as client:
        await _with(client, timeout_rules=parse_timeout_rules(listed))
        began = asyncio.get_running_loop().time()
        reply = await client.post({**CALL, "stream": stream})
        error = reply.json["error"]
        assert (reply.status, error["code"], error["type"]) == (504, "provider_timeout", "timeout_error")
        assert says in error["message"]
        assert asyncio.get_running_loop().time() - began == pytest.approx(waited, abs=0.1)
        assert [(seen.status, seen.error_code, seen.attempts) for seen in client.recorder.outcomes] == [
            ("failed", "provider_timeout", 1)
        ]


@pytest.mark.parametrize("listed", [{"openai": {"between": 20}}, {"openai": {"total": 20}}])
async def test_a_stream_that_stalls_ends_in_an_error_event_with_its_usage(listed: Any) -> None:
    async with world(lambda _: event_stream(Stalls(sse(delta(""), delta("Create smarter."))))) as client:
        await _with(client, timeout_rules=parse_timeout_rules(listed))
        reply = await client.post({**CALL, "stream": True})
        *chunks, comment, last = reply.events
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "Create smarter."
        assert comment == ": keep-alive"
        assert last["error"]["code"] == "provider_timeout"
        [outcome] = client.recorder.outcomes
        assert (outcome.status, outcome.error_code) == ("failed", "provider_timeout")
        assert last["error"]["usage"]["completion_tokens"] == outcome.bill.tokens.output > 0


async def test_a_providers_sign_of_life_is_no_silence() -> None:
    class Pings(Stalls):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(10):
                await asyncio.sleep(15)
                yield b": PROCESSING\n\n"
            yield sse(delta("Hello."), delta(finish="stop"), "[DONE]")

    async with world(lambda _: event_stream(Pings())) as client:
        await _with(client, timeout_rules=parse_timeout_rules({"*": {"first_byte": 20, "between": 20}}))
        assert (await client.post({**CALL, "stream": True})).events[-1] == "[DONE]"


@streamed
async def test_a_call_that_ends_while_the_provider_thinks_is_the_providers_timeout(stream: bool) -> None:
    async with world(never) as client:
        reply = await client.post({**CALL, "stream": stream, "timeout": 5})
        assert (reply.status, reply.json["error"]["code"]) == (504, "provider_timeout")


class Hanging:
    """A part of the gateway that never answers, whatever it is asked."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def hang(*asked: object, **named: object) -> Any:
            return await asyncio.Future()

        return hang


@streamed
async def test_a_store_that_keeps_a_call_waiting_is_our_timeout(stream: bool) -> None:
    limited = Workspace("ws_test", "Test", limits=Limits(requests_per_minute=10))
    async with world(answers, workspace=limited) as client:
        await _with(client, ledger=Hanging())
        reply = await client.post({**CALL, "stream": stream, "timeout": 5})
        assert (reply.status, reply.json["error"]["code"]) == (504, "gateway_timeout")
        assert client.requests == []
        assert [(seen.status, seen.error_code, seen.attempts) for seen in client.recorder.outcomes] == [
            ("failed", "gateway_timeout", 0)
        ]


async def test_a_store_that_knows_nobody_in_time_is_our_timeout() -> None:
    async with world(answers) as client:
        directory: Any = Hanging()
        await _with(client, authenticator=Authenticator(directory))
        reply = await client.post(CALL, headers={"x-request-deadline": given(4)})
        assert (reply.status, reply.json["error"]["code"]) == (504, "gateway_timeout")


class Deaf:
    """A transport that forgets the `timeouts` that it is given."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[Any]:
        self.seconds.append(timeouts.total)
        await asyncio.Future()
        yield


@pytest.mark.parametrize(("stream", "first"), [(False, 3.1), (True, 6.0)])
async def test_a_plain_call_holds_no_connection_for_longer_than_its_share(stream: bool, first: float) -> None:
    async with world(answers) as client:
        deaf = Deaf()
        await _with(client, upstream=_upstream(deaf))
        await client.post({**CALL, "stream": stream, "timeout": 6, "fallbacks": ["mistral/mistral-small-latest"]})
        assert (deaf.seconds[0], len(deaf.seconds)) == (pytest.approx(first, abs=0.5), 2)


@streamed
async def test_a_provider_that_is_waited_for_when_the_time_is_over_did_not_answer(stream: bool) -> None:
    async with world(answers) as client:
        await _with(client, upstream=_upstream(Deaf()))
        reply = await client.post({**CALL, "stream": stream, "timeout": 5})
        assert (reply.status, reply.json["error"]["code"]) == (504, "provider_timeout")
        assert reply.headers["x-tidegate-attempts"] == "1"
        assert reply.headers["x-tidegate-failed-attempts"].startswith("openai/gpt-4.1-mini:provider_timeout:")
        [seen] = client.recorder.outcomes
        assert (seen.status, seen.error_code, seen.attempts, len(seen.failed_attempts)) == (
            *("failed", "provider_timeout"),
            *(1, 1),
        )


class Pondering:
    """Guardrails that never come to an end, over the prompt or over the answer."""

    header = "ponders"
    verdicts: ClassVar[dict[str, str]] = {}
    operator_guardrails = ("ponders",)
    is_quick = False

    def __init__(self, over: str) -> None:
        self._over = over

    def for_call(self, call: object) -> "Pondering":
        return self

    async def check_prompt(self, call: Any) -> Any:
        return await asyncio.Future() if self._over == "prompt" else call

    async def check_reply(self, reply: Any) -> Any:
        return await asyncio.Future()


@pytest.mark.parametrize(("over", "attempts", "tokens"), [("prompt", 0, 0), ("answer", 1, 12)])
async def test_a_guardrail_that_keeps_a_call_waiting_is_our_timeout(over: str, attempts: int, tokens: int) -> None:
    async with world(answers) as client:
        await _with(client, guardrails=Pondering(over))
        reply = await client.post({**CALL, "timeout": 5})
        assert (reply.status, reply.json["error"]["code"]) == (504, "gateway_timeout")
        assert [
            (seen.status, seen.error_code, seen.attempts, seen.bill.tokens.output) for seen in client.recorder.outcomes
        ] == [("failed", "gateway_timeout", attempts, tokens)]


def _upstream(transport: Any) -> Upstream:
    return Upstream(transport, EnvironmentSecrets({"OPENAI_API_KEY": "a-key", "MISTRAL_API_KEY": "a-key"}))


async def _with(client: Client, **parts: Any) -> None:
    state = client.app.lifespan_state
    client.app.lifespan_state = {**state, "gateway": replace(state["gateway"], **parts)}
