"""The leanest way of a call and the most general one give the same: replies, requests, records, holds and log lines.

The leanest way is the call's own plan, with whatever is read by an exact schema, behind this machine's own server, to
which streams are pushed. On the most general one nothing is decided before, no request is plain and no reply has an
exact schema, and the server is one of others, which pulls streams.
"""

import asyncio
import itertools
import json
import logging
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.pipeline.test_plain_replies import without_schemas
from tests.pipeline.test_plans import VALUES
from tests.providers.calls import CASES
from tests.providers.recorded import PROVIDERS as SPEAKING_OPENAIS
from tests.providers.recorded import Exchange, exchanges
from tests.server.serving import read_replies, running
from tests.surfaces import chat_strategies
from tests.upstream.frames import framed
from tests.world import KEY, SECRET, USER, Client, completion, delta, sse, world
from tidegate import catalog
from tidegate.aws.logs import JsonLines
from tidegate.domain.account import AccountScope
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.limits import Limits
from tidegate.domain.record import call_record
from tidegate.domain.workspace import Workspace
from tidegate.pipeline.plan import Plan
from tidegate.providers import Registry

PATH = "/v1/chat/completions"
NOON = 1_795_780_800.0
SPECS = {spec.name: spec for spec in Registry().specs()}
ENVIRONMENT = {
    (spec.key_setting or spec.optional_key_setting or f"{name.upper()}_API_KEY"): f"provider-secret-{name}"
    for name, spec in SPECS.items()
} | {spec.base_url_setting: f"https://{name}.invalid/v1" for name, spec in SPECS.items()}

LIMITS = Limits(tokens_per_day=10**12, words_per_day=10**12, requests_per_minute=10**6)
GUARDRAILS = (
    Guardrail("listed", "words", words=("tidegate-never", "Paris"), action="mask", always=True),
    Guardrail("contacts", "personal", action="mask", always=True),
)
WORKSPACES = {
    "bare": Workspace("ws_test", "Test", allows_unpriced=True),
    "budget": Workspace("ws_test", "Test", limits=Limits(usd_per_month=Decimal(1_000_000))),
    "all": Workspace(
        "ws_test",
        "Test",
        limits=LIMITS,
        cache_ttl_seconds=60,
        words_method="unicode",
        charge_input_words=True,
        guardrails=GUARDRAILS,
        allows_unpriced=True,
    ),
}
"""A model without a price is refused where there is a budget."""

FOLDERS = sorted(path.parent for path in CASES.glob("*/*/request.json"))
RECORDED = (*SPEAKING_OPENAIS, "anthropic", "cohere", "vertex")
OWN_ENDPOINTS = {"messages", "generateContent", "streamGenerateContent", "converse", "converse-stream", "v2/chat"}
_UNCOMPARED = {"date", "server", "connection", "content-length", "transfer-encoding", "x-tidegate-overhead-ms"}


@dataclass(frozen=True)
class AnsweredCall:
    """A call, and what its provider answers."""

    body: Any
    status: int
    headers: dict[str, str]
    content: bytes
    path: str = PATH


Send = Callable[[Any, str], Awaitable[tuple[int, dict[str, str], bytes]]]


@contextmanager
def _generally() -> Iterator[None]:
    """No request is plain, and no reply is read by an exact schema."""
    with pytest.MonkeyPatch.context() as patch, without_schemas():
        patch.setattr("tidegate.chat.request.decode_plain", _refuse)
        patch.setattr("tidegate.chat.request.find_plain_body", lambda body: None)
        patch.setattr("tidegate.providers.openai.stream._MAX_MISSES", 0)
        yield


def _refuse(*_: object) -> None:
    raise msgspec.ValidationError


@asynccontextmanager
async def _pulling(client: Client) -> AsyncIterator[Send]:
    """Send calls as the server of others does."""

    async def send(body: Any, path: str) -> tuple[int, dict[str, str], bytes]:
        reply = await client.post(body, path)
        return reply.status, reply.headers, reply.body

    yield send


@asynccontextmanager
async def _pushing(client: Client) -> AsyncIterator[Send]:
    """Send calls to this machine's own server, all on one connection."""
    async with running(client.app) as server:
        server.server.state.lifespan.update(client.app.lifespan_state)
        reader, writer = await server.open()

        async def send(body: Any, path: str) -> tuple[int, dict[str, str], bytes]:
            content = json.dumps(body).encode()
            lines = ("host: a", f"authorization: Bearer {SECRET}", "content-type: application/json")
            head = "\r\n".join([f"POST {path} HTTP/1.1", *lines, f"content-length: {len(content)}"])
            writer.write(head.encode() + b"\r\n\r\n" + content)
            ((status, headers, reply),) = await read_replies(reader, (b"POST",))
            await asyncio.gather(*(each.task for each in server.server.state.exchanges if each.task))  # until settled
            return status, {name.decode(): value.decode() for name, value in headers.items()}, reply

        yield send
        writer.close()


async def _outcomes(
    calls: Sequence[AnsweredCall], caplog: pytest.LogCaptureFixture, *, lean: bool, **fields: Any
) -> list[dict[str, Any]]:
    """All that each call leaves behind, each sent twice. The clock of the calls stands still."""
    answer: list[AnsweredCall] = []

    def provider(_: httpx.Request) -> httpx.Response:
        call = answer[-1]
        return httpx.Response(call.status, content=_pieces(call.content), headers=call.headers)

    found: list[dict[str, Any]] = []
    change = None if lean else Plan.general
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for module in ("gateway", "api.endpoint"):  # a refused request has no call, and an id of its own
            patch.setattr(f"tidegate.{module}.ulid", partial(_next_id, itertools.count()))
        if not lean:
            stack.enter_context(_generally())
        stack.enter_context(caplog.at_level(logging.INFO, "tidegate"))
        client = await stack.enter_async_context(world(provider, change_plan=change, **ENVIRONMENT, **fields))
        state = client.app.lifespan_state
        client.app.lifespan_state = {**state, "gateway": replace(state["gateway"], clock=lambda: NOON)}
        send = await stack.enter_async_context(_pushing(client) if lean else _pulling(client))
        for call in calls:
            answer.append(call)
            found += [await _outcome(client, call, caplog, send) for _ in range(2)]
    return found


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    """A body as it arrives: the events of a stream one by one, anything else in pieces of a kilobyte."""
    events = content.split(b"\n\n")
    if len(events) > 1:
        for event in events[:-1]:
            yield event + b"\n\n"
        content = events[-1]
    for begin in range(0, len(content), 1_000):
        yield content[begin : begin + 1_000]


def _next_id(numbers: "itertools.count[int]", now: float) -> str:
    return f"{next(numbers):026}"


async def _outcome(client: Client, call: AnsweredCall, caplog: pytest.LogCaptureFixture, send: Send) -> dict[str, Any]:
    caplog.clear()
    requests, outcomes, delays = len(client.requests), len(client.recorder.outcomes), len(client.delays)
    status, headers, reply = await send(call.body, call.path)
    new_outcomes, lines = client.recorder.outcomes[outcomes:], _lines(caplog)
    settled = [line for line in lines if line["message"] == "call.settled"]
    assert len(settled) == len(new_outcomes)
    return {
        "reply": (status, {name: value for name, value in headers.items() if name not in _UNCOMPARED}, reply),
        "sent": [(str(sent.url), dict(sent.headers), _sorted(sent.content)) for sent in client.requests[requests:]],
        "records": [call_record(outcome) for outcome in new_outcomes],
        "holds": [outcome.hold and outcome.hold.amounts for outcome in new_outcomes],
        "events": [[event.kind for event in outcome.events] for outcome in new_outcomes],
        "lines": lines,
        "delays": client.delays[delays:],
        "accounts": [
            await client.recorder.ledger.account(AccountScope(kind, id, LIMITS))
            for kind, id in (("workspace", "ws_test"), ("key", KEY.id))
        ],
    }


def _sorted(body: bytes) -> bytes:
    """A body with sorted names: a plain one is sent with its own order."""
    return msgspec.json.encode(msgspec.json.decode(body), order="deterministic")


def _lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The log lines of the gateway as they are written, without their times."""
    records = [record for record in caplog.records if record.name.startswith("tidegate.")]
    return [{**json.loads(JsonLines().format(record)), "timestamp": ""} for record in records]


async def check(calls: Sequence[AnsweredCall], caplog: pytest.LogCaptureFixture, **fields: Any) -> list[dict[str, Any]]:
    lean = await _outcomes(calls, caplog, lean=True, **fields)
    general = await _outcomes(calls, caplog, lean=False, **fields)
    for number, (ours, others) in enumerate(zip(lean, general, strict=True)):
        for name, value in others.items():
            assert ours[name] == value, (name, calls[number // 2].body)
    return lean


@pytest.mark.parametrize("workspace", WORKSPACES)
@pytest.mark.parametrize("provider", sorted({folder.parent.name for folder in FOLDERS}))
async def test_every_case(provider: str, workspace: str, caplog: pytest.LogCaptureFixture) -> None:
    calls = [_case(folder) for folder in FOLDERS if folder.parent.name == provider]
    calls += [_with_fields(call, stream_options={"include_usage": True}) for call in calls if call.body.get("stream")]
    outcomes = await check(calls, caplog, workspace=WORKSPACES[workspace])
    assert workspace == "budget" or any(each["reply"][0] == 200 for each in outcomes)


def _with_fields(call: AnsweredCall, **fields: Any) -> AnsweredCall:
    return AnsweredCall({**call.body, **fields}, call.status, call.headers, call.content)


def _case(folder: Path) -> AnsweredCall:
    head: dict[str, Any] = json.loads((folder / "head.json").read_text()) if (folder / "head.json").exists() else {}
    path = next(folder.glob("upstream.*"), None)
    content = json.dumps(completion()).encode() if path is None else path.read_bytes()
    kind = "application/json"
    if path is not None and path.suffix == ".eventstream":
        content, kind = framed(content.decode()), "application/vnd.amazon.eventstream"
    elif path is not None and path.suffix == ".sse":
        kind = "text/event-stream"
    body = json.loads((folder / "request.json").read_text())
    return AnsweredCall(body, head.get("status", 200), {"content-type": kind, **head.get("headers", {})}, content)


def recorded(provider: str) -> list[AnsweredCall]:
    """Every recorded reply to a chat in a dialect of the provider's that its model is asked in."""
    speaks_openais = provider not in ("bedrock", "gemini", "anthropic", "cohere", "vertex")
    endpoints = {"chat/completions"} if speaks_openais else OWN_ENDPOINTS
    return [recorded_call(one) for one in exchanges(provider) if one.endpoint in endpoints]


def recorded_call(one: Exchange) -> AnsweredCall:
    if one.kind == "eventstream_b64":
        content, kind = b64decode(one.body), "application/vnd.amazon.eventstream"
    else:
        content = one.body.encode() if isinstance(one.body, str) else json.dumps(one.body).encode()
        kind = "text/event-stream" if one.streams else "application/json"
    stream = one.kind != "json" or "stream" in one.endpoint
    body: dict[str, Any] = {"model": _model(one.provider), "messages": USER, "stream": stream, "num_retries": 0}
    if stream and len(content) % 2:  # half of them
        body["stream_options"] = {"include_usage": True}
    return AnsweredCall(body, one.status, {"content-type": kind}, content)


@cache
def _model(provider: str) -> str:
    """A model of that provider that has a price, where the catalogue has one."""
    begin = "vertex/gemini-" if provider == "vertex" else f"{provider}/"
    for row in catalog.load_catalog():
        if row.id.startswith(begin) and row.prices and row.outputs == ("text",) and not row.deprecated:
            return row.id
    return f"{provider}/m"


@pytest.mark.slow
@pytest.mark.parametrize("workspace", WORKSPACES)
@pytest.mark.parametrize("provider", RECORDED)
async def test_every_recorded_reply(provider: str, workspace: str, caplog: pytest.LogCaptureFixture) -> None:
    outcomes = await check(recorded(provider), caplog, workspace=WORKSPACES[workspace])
    assert workspace == "budget" or any(each["reply"][0] == 200 for each in outcomes)


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    **VALUES,
    "stream_options": st.sampled_from([{"include_usage": True}, {"include_usage": False}, {}]),
    "seed": st.integers(-(2**63), 2**63),
    "n": st.integers(1, 3),
    "user": st.text(max_size=5),
    "guardrails": st.lists(st.sampled_from(["listed", "nobody"]), max_size=1),
}
MODELS = ("openai/gpt-4o", "gpt-4o", "mistral/mistral-small-latest", "openai/unknown", "nobody/x", "")
_PLAIN = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text(max_size=20)}),
    min_size=1,
    max_size=3,
)
_BODIES = st.one_of(st.builds(lambda messages: {"messages": messages}, _PLAIN), chat_strategies.requests())


@st.composite
def _calls(draw: st.DrawFn) -> AnsweredCall:
    """A call with fields at random, and a whole reply or a stream at random, which may fail."""
    body = {**draw(_BODIES), "model": draw(st.sampled_from(MODELS)), **draw(st.fixed_dictionaries({}, optional=FIELDS))}
    status, reply = draw(st.sampled_from([200, 200, 200, 429, 503, 400])), draw(chat_strategies.completions())
    if body.get("stream") and status == 200:
        message, reason = reply["choices"][0]["message"], reply["choices"][0]["finish_reason"]
        calls = [{**call, "index": index} for index, call in enumerate(message.get("tool_calls", []))]
        deltas: list[dict[str, Any]] = [{"role": "assistant"}, {"content": message["content"]}, {"tool_calls": calls}]
        events: list[Any] = [
            delta(**{"choices": [{"index": 0, "delta": each, "finish_reason": None}]}) for each in deltas
        ]
        events += [delta(finish=reason), {"choices": [], "usage": reply["usage"]}, "[DONE]"]
        content = sse(*events[: draw(st.sampled_from([len(events), len(events), 2, 4]))])
        return AnsweredCall(body, 200, {"content-type": "text/event-stream"}, content)
    return AnsweredCall(body, status, {"content-type": "application/json"}, json.dumps(reply).encode())


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(_calls(), min_size=1, max_size=4), workspace=st.sampled_from(sorted(WORKSPACES)))
async def test_requests_that_nobody_chose(
    calls: list[AnsweredCall], workspace: str, caplog: pytest.LogCaptureFixture
) -> None:
    await check(calls, caplog, workspace=WORKSPACES[workspace])
