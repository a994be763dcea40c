"""Guardrails from the door to the record: what is masked, what is refused, and that it is billed all the same."""

import json
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from tests.world import (
    USAGE,
    USER,
    WORKSPACE,
    Client,
    Handler,
    Trickle,
    answers,
    completion,
    delta,
    event_stream,
    sse,
    streams,
    world,
)
from tidegate.domain.account import Hold, Reservation
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.limits import Limits
from tidegate.memory.ledger import MemoryLedger
from tidegate.transport.media_fetcher import MediaFetcher

MAIL = "jane@example.com"
CALL: dict[str, Any] = {"model": "openai/gpt-4.1-mini", "messages": USER}
ASKING = {**CALL, "messages": [{"role": "user", "content": f"Write to {MAIL}."}]}
NAMES = "x-tidegate-guardrails"


def guarded(provider: Handler | None = None, *own: Guardrail, **options: Any) -> AbstractAsyncContextManager[Client]:
    """A gateway whose workspace has its `own` guardrails."""
    return world(provider, workspace=replace(WORKSPACE, guardrails=own), **options)


def saying(text: str, **message: Any) -> Handler:
    return answers(completion(text, **message))


def streaming(*texts: str) -> Handler:
    events = [delta(""), *map(delta, texts), delta(finish="stop"), USAGE, "[DONE]"]
    return streams(*events)


def sent(client: Client) -> Any:
    return json.loads(client.requests[0].content)


async def test_a_call_without_guardrails_is_told_of_none(client: Client) -> None:
    reply = await client.post(CALL)
    assert (reply.status, NAMES in reply.headers) == (200, False)


async def test_a_name_that_nobody_gave_is_refused(client: Client) -> None:
    reply = await client.post({**CALL, "guardrails": ["secrets", "magic"]})
    assert (reply.status, reply.json["error"]["param"]) == (400, "guardrails[1]")
    assert reply.json["error"]["message"] == "There is no guardrail named 'magic'."
    assert client.requests == []


async def test_the_provider_is_sent_the_masked_prompt(client: Client) -> None:
    reply = await client.post({**ASKING, "guardrails": ["personal-data-mask"]})
    assert (reply.status, reply.headers[NAMES]) == (200, "personal-data-mask")
    assert "x-tidegate-ignored-params" not in reply.headers
    assert sent(client)["messages"] == [{"role": "user", "content": "Write to [EMAIL]."}]
    assert "guardrails" not in sent(client)


async def test_so_is_a_fallback_that_has_messages_of_its_own() -> None:
    async with world(answers({}, 500)) as client:
        body = {**CALL, "guardrails": ["personal-data-mask"], "num_retries": 0}
        body["fallbacks"] = [{"model": "mistral/mistral-small-latest", "messages": ASKING["messages"]}]
        await client.post(body)
        assert MAIL.encode() not in client.requests[1].content


async def test_a_prompt_that_violates_is_refused_before_anybody_is_asked(client: Client) -> None:
    reply = await client.post({**ASKING, "guardrails": ["personal-data"]})
    assert (reply.status, reply.json) == (
        400,
        {
            "error": {
                "message": "The request violates the guardrail 'personal-data'.",
                "type": "invalid_request_error",
                "param": "messages[0].content",
                "code": "guardrail_violation",
            }
        },
    )
    assert client.requests == []
    [outcome] = client.recorder.outcomes
    assert (outcome.status, outcome.error_code, outcome.bill.cost_usd) == (
        "failed",
        "guardrail_violation",
        Decimal(0),
    )


async def test_an_answer_that_violates_is_refused_and_billed() -> None:
    async with world(saying(f"Ask {MAIL}.")) as client:
        reply = await client.post({**CALL, "guardrails": ["personal-data"]})
        assert (reply.status, reply.json["error"]["code"]) == (400, "guardrail_violation")
        assert MAIL not in reply.body.decode()
        [outcome] = client.recorder.outcomes
        assert (outcome.status, outcome.error_code) == ("failed", "guardrail_violation")
        assert (outcome.bill.tokens.input, outcome.bill.tokens.output) == (14, 12)


async def test_an_answer_is_masked() -> None:
    async with world(saying(f"Ask {MAIL}.")) as client:
        reply = await client.post({**CALL, "guardrails": ["personal-data-mask"]})
        assert reply.json["choices"][0]["message"]["content"] == "Ask [EMAIL]."
        assert reply.json["usage"]["completion_tokens"] == 12
        [outcome] = client.recorder.outcomes
        assert outcome.status == "ok"


async def test_a_stream_is_masked_in_windows() -> None:
    async with world(streaming("Ask jane@", "example", ".com.")) as client:
        body = {**CALL, "stream": True, "stream_options": {"include_usage": True}, "guardrails": ["personal-data-mask"]}
        reply = await client.post(body)
        assert reply.headers[NAMES] == "personal-data-mask;mode=window"
        *chunks, usage, done = reply.events
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == "Ask [EMAIL]."
        assert (usage["usage"]["total_tokens"], done) == (26, "[DONE]")
        assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("mode", ["window", "buffer"])
async def test_a_stream_that_violates_ends_in_an_error_and_is_billed(mode: Any) -> None:
    async with guarded(streaming("Ask jane@", "example", ".com."), Guardrail("pii", "personal", stream=mode)) as client:
        reply = await client.post({**CALL, "stream": True, "guardrails": ["pii"]})
        if mode == "window":
            assert (reply.status, reply.headers[NAMES]) == (200, "pii;mode=window")
        else:  # nothing was passed on yet
            assert (reply.status, reply.headers["content-type"]) == (400, "application/json")
        error = (reply.events[-1] if mode == "window" else reply.json)["error"]
        assert (error["code"], error["message"]) == ("guardrail_violation", "The answer violates the guardrail 'pii'.")
        assert MAIL not in reply.body.decode()
        [outcome] = client.recorder.outcomes
        assert (outcome.status, outcome.error_code) == ("failed", "guardrail_violation")
        assert outcome.bill.tokens.output > 0


async def test_a_window_that_is_cut_hangs_up_on_the_provider() -> None:
    trickle = Trickle()
    async with world(lambda _: event_stream(trickle)) as client:
        trickle.pieces.put_nowait(sse(delta(f"Ask {MAIL} {'or somebody else ' * 30}")))
        reply = await client.post({**CALL, "stream": True, "guardrails": ["personal-data"]})
        assert reply.events[-1]["error"]["code"] == "guardrail_violation"
        assert trickle.closed.is_set()
        [outcome] = client.recorder.outcomes
        assert (outcome.bill.tokens.estimated, outcome.bill.tokens.output > 50) == (True, True)


async def test_what_the_workspace_always_runs_cannot_be_switched_off() -> None:
    async with guarded(None, Guardrail("pii", "personal", always=True)) as client:
        for guardrails in (None, [], ["secrets"]):
            reply = await client.post({**ASKING, "guardrails": guardrails})
            assert reply.json["error"]["message"] == "The request violates the guardrail 'pii'."
        assert client.requests == []


async def test_nor_can_what_the_operator_always_runs_be_replaced_by_the_workspace() -> None:
    listed = json.dumps([{"name": "pii", "kind": "personal", "always": True}])
    async with guarded(None, Guardrail("pii", "words", words=("acme",)), TIDEGATE_GUARDRAILS=listed) as client:
        assert (await client.post(ASKING)).status == 400
        assert client.requests == []


async def test_an_operators_webhook_is_asked_of_prompt_and_answer() -> None:
    listed = json.dumps(
        [
            {
                "name": "hook",
                "kind": "webhook",
                "url": "http://hook.internal/check",
                "secret": "HOOK_TOKEN",
                "action": "mask",
            }
        ]
    )
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host != "hook.internal":
            return httpx.Response(200, json=completion("Hello."))
        body = json.loads(request.content)
        asked.append((request.headers["authorization"], body["stage"], body["texts"]))
        return httpx.Response(200, json={"verdict": "mask", "texts": [text.upper() for text in body["texts"]]})

    async with world(answer, TIDEGATE_GUARDRAILS=listed, HOOK_TOKEN="hook-token") as client:
        reply = await client.post({**CALL, "guardrails": ["hook"]})
        assert reply.json["choices"][0]["message"]["content"] == "HELLO."
        assert asked == [
            ("Bearer hook-token", "input", [USER[0]["content"]]),
            ("Bearer hook-token", "output", ["Hello."]),
        ]
        assert json.loads(client.requests[1].content)["messages"][0]["content"] == USER[0]["content"].upper()


async def test_a_workspaces_webhook_does_not_reach_the_operators_network() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.7"]

    hook = Guardrail("hook", "webhook", url="https://hook.example")
    async with guarded(None, hook, fetcher=lambda transport: MediaFetcher(transport, resolve=resolve)) as client:
        reply = await client.post({**CALL, "guardrails": ["hook"]})
        assert (reply.status, reply.json["error"]["code"]) == (503, "guardrail_unavailable")
        assert client.requests == []


async def test_bedrock_is_asked_with_the_process_own_credentials() -> None:
    topic = {"topicPolicy": {"topics": [{"name": "money", "type": "DENY", "action": "BLOCKED"}]}}

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url == "https://bedrock-runtime.us-east-1.amazonaws.com/guardrail/abc/version/DRAFT/apply"
        assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        return httpx.Response(200, json={"action": "GUARDRAIL_INTERVENED", "assessments": [topic], "outputs": []})

    credentials = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret"}
    async with guarded(answer, Guardrail("aws", "bedrock", guardrail_id="abc"), **credentials) as client:
        reply = await client.post({**CALL, "guardrails": ["aws"]})
        assert (reply.status, reply.json["error"]["code"]) == (400, "guardrail_violation")


async def test_what_is_kept_has_passed_and_is_for_calls_with_the_same_guardrails() -> None:
    async with world(saying(f"Ask {MAIL}.")) as client:
        said: list[tuple[str, str]] = []
        for guardrails in (["personal-data-mask"], ["personal-data-mask"], None):
            reply = await client.post({**CALL, "caching": True, "guardrails": guardrails})
            said.append((reply.headers["x-tidegate-cache"], reply.json["choices"][0]["message"]["content"]))
        assert said == [("miss", "Ask [EMAIL]."), ("hit", "Ask [EMAIL]."), ("miss", f"Ask {MAIL}.")]


async def test_an_answer_that_violates_is_not_kept() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        wants_stream = json.loads(request.content).get("stream")
        return (streaming if wants_stream else saying)(f"Ask {MAIL}.")(request)

    async with world(answer) as client:
        for stream in (False, True):
            body = {**CALL, "caching": True, "stream": stream, "guardrails": ["personal-data"]}
            for _ in range(2):
                await client.post(body)
        assert len(client.requests) == 4


async def test_a_dry_run_tells_the_verdicts_and_shows_the_masked_request(client: Client) -> None:
    body = {**ASKING, "dry_run": True, "guardrails": ["personal-data-mask", "json-schema"]}
    told = (await client.post(body)).json
    assert told["guardrails"] == [
        {"name": "personal-data-mask", "on": "both", "verdict": "mask"},
        {"name": "json-schema", "on": "output", "verdict": "block"},
    ]
    assert told["error"]["param"] == "guardrails[1]"
    assert "[EMAIL]" in json.dumps(told["plan"]) and MAIL not in json.dumps(told)
    assert (client.requests, [outcome.status for outcome in client.recorder.outcomes]) == ([], ["dry_run"])


QUICK = Guardrail("names", "words", words=("hurricane",), always=True)
SLOW = Guardrail("names", "regex", patterns=("hurricane",), always=True)
SUSPICIOUS = Guardrail("names", "injection", on="input", always=True)
STORM = {**CALL, "messages": [{"role": "user", "content": "A hurricane."}]}
LONG = {**CALL, "messages": [{"role": "user", "content": "A wind. " * 2_000}]}


def reserving(guardrail: Guardrail, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> Any:
    """A gateway whose workspace has that guardrail and limits, and the holds that its calls book."""
    holds: list[Hold] = []
    reserve = MemoryLedger.reserve

    async def noted(ledger: MemoryLedger, reservation: Reservation, replacing: Hold | None = None) -> Any:
        hold, account = await reserve(ledger, reservation, replacing)
        holds.append(hold)
        return hold, account

    monkeypatch.setattr(MemoryLedger, "reserve", noted)
    workspace = replace(WORKSPACE, guardrails=(guardrail,), limits=Limits(**limits))
    return world(workspace=workspace), holds


@pytest.mark.parametrize(
    ("guardrail", "body", "bookings"), [(QUICK, CALL, 1), (QUICK, LONG, 2), (SLOW, CALL, 2), (SUSPICIOUS, CALL, 2)]
)
async def test_a_call_is_booked_before_a_check_that_may_take_long(
    monkeypatch: pytest.MonkeyPatch, guardrail: Guardrail, body: Any, bookings: int
) -> None:
    opened, holds = reserving(guardrail, monkeypatch, requests_per_minute=9, tokens_per_day=1_000_000)
    async with opened as client:
        assert (await client.post(body)).status == 200
        assert len(holds) == bookings
        assert holds[-1].amounts.tokens > 0


@pytest.mark.parametrize("guardrail", [QUICK, SLOW])
async def test_a_call_that_a_guardrail_refuses_counts(monkeypatch: pytest.MonkeyPatch, guardrail: Guardrail) -> None:
    opened, holds = reserving(guardrail, monkeypatch, requests_per_minute=2)
    async with opened as client:
        said = [await client.post(body) for body in (STORM, STORM, CALL, STORM)]
        assert [reply.json["error"]["code"] for reply in said[:2]] == ["guardrail_violation"] * 2
        assert [reply.status for reply in said] == [400, 400, 429, 429]
        assert (len(holds), client.requests) == (2, [])
