"""A week of invented calls, with sessions, failures and one trace: the same with each run."""

import math
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from tests.screenshots.tenants import DAY, KEYS, NOW, WORKSPACE, WORKSPACES
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.meter import DynamoMeter
from tidegate.aws.store import Store
from tidegate.chat.operation import CHAT
from tidegate.chat.request import parse_chat_request
from tidegate.domain.account import AccountScope, Hold, Reservation
from tidegate.domain.call import Call, FailedAttempt, Outcome
from tidegate.domain.call_event import CallEvent
from tidegate.domain.deployment import Deployment
from tidegate.domain.ids import derived_ulid
from tidegate.domain.limits import Amounts
from tidegate.domain.trace import Piece, Trace, TracedAttempt, encode_trace
from tidegate.domain.usage import Bill, TokenCounts, WordCounts
from tidegate.domain.workspace import Principal, VirtualKey, Workspace
from tidegate.json import encode
from tidegate.ports import Traces
from tidegate.surfaces.openai import OPENAI

DAYS, CALLS = 7, 2_400


class Model(NamedTuple):
    """A model, its USD for a million tokens of input and output, and its usual seconds to the first token."""

    provider: str
    name: str
    input_usd: float
    output_usd: float
    first_token: float


GPT_MINI = Model("openai", "gpt-4.1-mini", 0.4, 1.6, 0.42)
GPT = Model("openai", "gpt-4.1", 2.0, 8.0, 0.61)
SONNET = Model("anthropic", "claude-sonnet-4-5", 3.0, 15.0, 0.94)
HAIKU = Model("anthropic", "claude-haiku-4-5", 1.0, 5.0, 0.55)
FLASH = Model("gemini", "gemini-2.5-flash", 0.3, 2.5, 0.38)
MISTRAL = Model("mistral", "mistral-small-latest", 0.1, 0.3, 0.31)

USES = {
    "key_shop": (("shop", "recommendations"), (GPT_MINI, GPT_MINI, FLASH, MISTRAL)),
    "key_support": (("support-bot",), (HAIKU, SONNET, GPT)),
    "key_coding": (("claude-code",), (SONNET, SONNET, HAIKU)),
    "key_nightly": (("reports",), (FLASH, MISTRAL)),
    "key_translations": (("translator",), (MISTRAL, GPT_MINI)),
}
FAULTS = ("provider_timeout", "provider_overloaded", "rate_limit_exceeded", "provider_error")
TRACED = "traced"

PROMPT = "Which of our berths are free on Friday? Answer in a table, and say what the tide does."
ANSWER = (
    "Two berths are free on Friday:\n\n| berth | from | to |\n|---|---|---|\n| A3 | 08:00 | 17:30 |\n| C1 | 11:15 | "
    "20:00 |\n\nThe tide is high at **09:42** and low at **15:58**."
)
TOOL = {
    "type": "function",
    "function": {
        "name": "free_berths",
        "parameters": {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]},
    },
}
MESSAGES = [
    {"role": "system", "content": "You are the assistant of a harbour office. Be short."},
    {"role": "user", "content": PROMPT},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "free_berths", "arguments": '{"day": "Friday"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": '{"A3": "08:00-17:30", "C1": "11:15-20:00"}'},
]

TRACED_REQUEST = {
    "model": "openai/gpt-4.1",
    "messages": MESSAGES,
    "tools": [TOOL],
    "stream": True,
    "seed": 7,
    "observability": True,
}


def invented_outcomes() -> Iterator[tuple[Outcome, VirtualKey]]:
    """Yield the calls of the last days, the oldest first; the newest one has a trace."""
    source = random.Random(14)
    for at in sorted(_times(source)):
        yield _outcome(source, at)
    outcome, key = _outcome(source, NOW - 41, "key_shop")
    yield _traced(outcome), key


def _times(source: random.Random) -> Iterator[float]:
    """Yield times of which most are in the day, and few in the night."""
    number = 0
    while number < CALLS:
        at = NOW - source.random() * DAYS * DAY
        if source.random() < 0.55 - 0.5 * math.cos((at % DAY) / DAY * 2 * math.pi):
            number += 1
            yield at


def _outcome(source: random.Random, at: float, key_id: str | None = None) -> tuple[Outcome, VirtualKey]:
    weights = (40, 25, 22, 4, 9)
    wanted = key_id or source.choices([*USES], weights)[0]
    key = next(key for key in KEYS if key.id == wanted)
    apps, models = USES[key.id]
    model = source.choice(models)
    status = source.choices(("ok", "cached", "failed", "cancelled"), (91, 4, 3, 2))[0]
    first_token = source.lognormvariate(math.log(model.first_token), 0.35)
    tokens = TokenCounts(
        input=int(source.lognormvariate(7.2, 0.8)),
        output=0 if status == "failed" else int(source.lognormvariate(5.6, 0.7)),
    )
    tokens = replace(tokens, cached=tokens.input // 2 if key.id == "key_coding" else 0)
    seconds = first_token + tokens.output / source.uniform(60, 140)
    cost = Decimal(str(round((tokens.input * model.input_usd + tokens.output * model.output_usd) / 1e6, 8)))
    workspace = next(each for each in WORKSPACES if each.id == key.workspace_ids[0])
    day = int(at // DAY) % 10
    session = {
        "key_coding": f"harbour-app-{day}{source.randrange(3)}",
        "key_support": f"ticket-{4100 + day * 9 + source.randrange(9)}",
    }
    call = _call(source, at, key, workspace, model, source.choice(apps), session.get(key.id))
    made = Outcome(
        call=call,
        status=status,
        deployment=Deployment(model.provider, model.name, "https://provider.example"),
        attempts=1,
        bill=Bill(
            tokens, WordCounts(tokens.output * 3 // 4, tokens.input * 3 // 4, tokens.output * 3 // 4, "tokens"), cost
        ),
        finished_at=at + seconds,
        first_event_seconds=first_token,
        finish_reason="stop",
        events=_events(model, first_token, seconds),
        generation_seconds=seconds - first_token,
        hold=_hold(call, key, cost, tokens),
    )
    if status == "cached":
        return replace(
            made,
            attempts=0,
            finished_at=at + 0.012,
            first_event_seconds=0.011,
            generation_seconds=None,
            events=(*made.events[:2], CallEvent(0.006, "cache", "hit"), CallEvent(0.012, "settled")),
            bill=replace(made.bill, cost_usd=Decimal(0)),
        ), key
    if status == "failed":
        return _failed(made, model, source.choice(FAULTS), seconds), key
    return made, key


def _call(
    source: random.Random, at: float, key: VirtualKey, workspace: Workspace, model: Model, app: str, session: str | None
) -> Call:
    body = encode({"model": f"{model.provider}/{model.name}", "messages": MESSAGES, "tools": [TOOL], "stream": True})
    return Call(
        id=derived_ulid(at, str(source.random())),
        surface=OPENAI,
        operation=CHAT,
        request=parse_chat_request(body),
        principal=Principal(key.id, key.workspace_ids),
        workspace=workspace,
        started_at=at,
        deadline=at + 600,
        app_id=app,
        session_id=session,
        agent_id=source.choice((None, "reviewer", "tester")) if key.id == "key_coding" else None,
        endpoint="/v1/messages" if key.id == "key_coding" else "/v1/chat/completions",
    )


def _hold(call: Call, key: VirtualKey, cost: Decimal, tokens: TokenCounts) -> Hold:
    amounts = Amounts(tokens.input + 1_000, 750, cost + Decimal("0.01"))
    at = call.started_at
    return Hold(call.id, call.workspace.id, key.id, call.request.model, amounts, tokens.input, at, at + 660)


def _events(model: Model, first_token: float, seconds: float) -> tuple[CallEvent, ...]:
    name = f"{model.provider}/{model.name}"
    return (
        CallEvent(0.002, "authenticated"),
        CallEvent(0.003, "received"),
        CallEvent(0.006, "cache", "miss"),
        CallEvent(0.011, "guardrails", "input"),
        CallEvent(0.014, "reserved"),
        CallEvent(0.015, "attempt", "first", name),
        CallEvent(first_token, "first_token"),
        CallEvent(seconds - 0.004, "last_token"),
        CallEvent(seconds, "settled"),
    )


def _failed(made: Outcome, model: Model, code: str, seconds: float) -> Outcome:
    name = f"{model.provider}/{model.name}"
    failed = CallEvent(seconds, "failed", code, name, seconds)
    return replace(
        made,
        error_code=code,
        first_event_seconds=None,
        finish_reason=None,
        generation_seconds=None,
        failed_attempts=(FailedAttempt(name, code, seconds),),
        events=(*made.events[:6], failed, CallEvent(seconds + 0.004, "settled")),
        bill=replace(made.bill, cost_usd=Decimal(0)),
    )


def _traced(made: Outcome) -> Outcome:
    """Return a call that took nine seconds, because its first two attempts failed."""
    gpt, sonnet = "openai/gpt-4.1", "anthropic/claude-sonnet-4-5"
    call = replace(
        made.call,
        id=derived_ulid(made.call.started_at, TRACED),
        request=parse_chat_request(encode(TRACED_REQUEST)),
        app_id="harbour-office",
        session_id="visit-88",
    )
    tail = (
        CallEvent(0.015, "attempt", "first", gpt),
        CallEvent(4.015, "failed", "provider_timeout", gpt, 4.0),
        CallEvent(4.016, "queued", "retry_delay"),
        CallEvent(4.12, "attempt", "retry", gpt),
        CallEvent(7.92, "failed", "provider_overloaded", gpt, 3.8),
        CallEvent(7.921, "attempt", "fallback", sonnet),
        CallEvent(8.4, "first_token"),
        CallEvent(8.98, "last_token"),
        CallEvent(9.0, "settled"),
    )
    return replace(
        made,
        call=call,
        status="ok",
        error_code=None,
        deployment=Deployment("anthropic", "claude-sonnet-4-5", "https://provider.example"),
        attempts=3,
        failed_attempts=(FailedAttempt(gpt, "provider_timeout", 4.0), FailedAttempt(gpt, "provider_overloaded", 3.8)),
        events=(*_events(GPT, 1, 2)[:5], *tail),
        finished_at=call.started_at + 9.0,
        first_event_seconds=8.4,
        finish_reason="stop",
        generation_seconds=0.58,
        bill=Bill(TokenCounts(1_412, 96), WordCounts(72, 1_059, 72, "tokens"), Decimal("0.005676")),
        hold=None if made.hold is None else replace(made.hold, call_id=call.id),
        ignored=("seed",),
        guardrails={"pii": "pass", "secrets": "pass"},
        trace_until=NOW + 7 * DAY,
    )


async def record_calls(store: Store, set_clock: Callable[[float], None]) -> str:
    """Reserve and record each call at its own time. Returns the id of the one that has a trace."""
    ledger, meter = DynamoLedger(store), DynamoMeter(store)
    call_id = ""
    for outcome, key in invented_outcomes():
        set_clock(outcome.call.started_at)
        workspace = outcome.call.workspace
        limits = (
            AccountScope("workspace", workspace.id, workspace.effective_limits),
            AccountScope("key", key.id, key.limits),
        )
        scopes = tuple(scope for scope in limits if scope.limits.need_reservation)
        if scopes and outcome.hold is not None:
            hold = replace(outcome.hold, account_kinds=tuple(scope.kind for scope in scopes))
            outcome = replace(outcome, hold=hold)
            await ledger.reserve(Reservation(hold, scopes))
        else:
            outcome = replace(outcome, hold=None)
        set_clock(outcome.finished_at)
        await meter.record(outcome)
        call_id = outcome.call.id
    return call_id


async def keep_trace(traces: Traces, call_id: str) -> None:
    """Keep the content of the call that has a trace."""
    answer = {
        "id": f"chatcmpl-{call_id}",
        "object": "chat.completion",
        "model": "claude-sonnet-4-5",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ANSWER}}],
        "usage": {"prompt_tokens": 1_412, "completion_tokens": 96, "total_tokens": 1_508},
    }
    sent = encode({"model": "gpt-4.1", "messages": MESSAGES, "tools": [TOOL], "stream": True})
    of_sonnet = encode({"model": "claude-sonnet-4-5", "max_tokens": 4_096, "messages": MESSAGES[1:2], "stream": True})
    events = [
        b'data: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": %s}}\n\n' % encode(part)
        for part in ANSWER.split(" ")
    ]
    pieces = [Piece(round(8.4 + 0.58 * number / len(events), 3), len(event)) for number, event in enumerate(events)]
    url, headers = "https://provider.example/v1/messages", {"content-type": "application/json"}
    attempts = (
        TracedAttempt(
            deployment="openai/gpt-4.1",
            reason="first",
            started=0.015,
            ended=4.015,
            url=url,
            headers=headers,
            body=sent,
            error="provider_timeout",
        ),
        TracedAttempt(
            deployment="openai/gpt-4.1",
            reason="retry",
            started=4.12,
            ended=7.92,
            url=url,
            headers=headers,
            body=sent,
            status=503,
            reply=b'{"error": {"message": "The server is busy."}}',
            error="provider_overloaded",
        ),
        TracedAttempt(
            deployment="anthropic/claude-sonnet-4-5",
            reason="fallback",
            started=7.921,
            ended=8.98,
            url=url,
            headers=headers,
            body=of_sonnet,
            status=200,
            reply_headers={"content-type": "text/event-stream"},
            reply=b"".join(events),
            pieces=pieces,
        ),
    )
    trace = Trace(call_id=call_id, request=encode(TRACED_REQUEST), attempts=attempts, answer=encode(answer))
    await traces.keep(WORKSPACE, call_id, encode_trace(trace), NOW + 7 * DAY)
