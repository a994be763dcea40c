"""Every plan gives the same: a call through the plan that decides nothing, and through its own.

Compared are the reply's bytes, what the provider was sent, the record, the hold and the log line. All providers, and
all that is decided elsewhere, are compared in `test_all_plans.py`.
"""

import itertools
import json
import logging
from base64 import b64decode
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.providers.calls import CASES
from tests.providers.recorded import Exchange, all_needed, exchanges
from tests.world import KEY, USER, WORKSPACE, Handler, Reply, answers, completion, delta, streams, world
from tidegate.domain.account import AccountScope
from tidegate.domain.guardrails import Guardrail
from tidegate.domain.limits import Limits
from tidegate.domain.record import call_record
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import Workspace
from tidegate.pipeline.plan import MAX_PLANS, Plan

PROVIDERS = ("anthropic", "gemini", "mistral", "openai")
ENVIRONMENT = {f"{name.upper()}_API_KEY": "provider-secret-3" for name in PROVIDERS}
FOLDERS = sorted(path.parent for name in PROVIDERS for path in (CASES / name).glob("*/request.json"))
CALL = {"model": "openai/gpt-4o", "messages": USER}
LIMITED = Limits(usd_per_month=Decimal(100), tokens_per_day=1_000_000, requests_per_minute=1_000)
NOON = 1_795_780_800.0


ACCOUNT = AccountScope("workspace", WORKSPACE.id, LIMITED)


async def outcome_of(
    provider: Handler, body: Any, caplog: pytest.LogCaptureFixture, *, general: bool, **fields: Any
) -> dict[str, Any]:
    """All that two equal calls leave behind. Their clock stands still."""
    caplog.set_level(logging.INFO, "tidegate")
    caplog.clear()
    change, numbers = Plan.general if general else None, itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.gateway.ulid", partial(_next_id, numbers))
        return await _outcome(provider, body, caplog, change, **fields)


async def _outcome(
    provider: Handler, body: Any, caplog: pytest.LogCaptureFixture, change: Callable[[Plan], Plan] | None, **fields: Any
) -> dict[str, Any]:
    async with world(provider, change_plan=change, **ENVIRONMENT, **fields) as client:
        state = client.app.lifespan_state
        client.app.lifespan_state = {**state, "gateway": replace(state["gateway"], clock=lambda: NOON)}
        reply = await client.post(body)
        again = await client.post(body)  # the plan is there already
        return {
            "replies": [_reply(each) for each in (reply, again)],
            "sent": [(str(sent.url), dict(sent.headers), sent.content) for sent in client.requests],
            "records": [call_record(outcome) for outcome in client.recorder.outcomes],
            "holds": [outcome.hold and outcome.hold.amounts for outcome in client.recorder.outcomes],
            "events": [[event.kind for event in outcome.events] for outcome in client.recorder.outcomes],
            "lines": [(line.message, vars(line)["fields"]) for line in caplog.records if _is_line(line)],
            "account": repr(await client.recorder.ledger.account(ACCOUNT)),
        }


def _next_id(numbers: "itertools.count[int]", now: float) -> str:
    return f"{next(numbers):026}"


def _is_line(line: Any) -> bool:
    return "fields" in vars(line)


def _reply(reply: Reply) -> Any:
    headers = {name: value for name, value in reply.headers.items() if name != "x-tidegate-overhead-ms"}
    return reply.status, headers, reply.body


async def check(provider: Handler, body: Any, caplog: pytest.LogCaptureFixture, **fields: Any) -> dict[str, Any]:
    general = await outcome_of(provider, body, caplog, general=True, **fields)
    lean = await outcome_of(provider, body, caplog, general=False, **fields)
    for name in general:
        assert lean[name] == general[name], name
    assert len(lean["lines"]) == len(lean["records"])
    return lean


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")
async def test_every_case_of_the_providers(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    await check(_answer_of(folder), json.loads((folder / "request.json").read_text()), caplog)


def _answer_of(folder: Path) -> Handler:
    head: dict[str, Any] = json.loads((folder / "head.json").read_text()) if (folder / "head.json").exists() else {}
    found = next((path for path in sorted(folder.glob("upstream.*")) if path.suffix != ".eventstream"), None)
    content = b"" if found is None else found.read_bytes()
    kind = "text/event-stream" if found is not None and found.suffix == ".sse" else "application/json"
    headers = {"content-type": kind, **head.get("headers", {})}
    return lambda _: httpx.Response(head.get("status", 200), content=content, headers=headers)


@all_needed
@pytest.mark.parametrize("provider", ["openai", "mistral"])
async def test_every_recorded_reply(provider: str, caplog: pytest.LogCaptureFixture) -> None:
    recorded = [one for one in exchanges(provider) if one.endpoint == "chat/completions" and one.kind != "bytes"]
    for one in recorded[:: max(1, len(recorded) // 60)]:
        await check(_recorded_answer(one), {**CALL, "stream": one.streams}, caplog)


def _recorded_answer(one: Exchange) -> Handler:
    if one.kind == "eventstream_b64":
        content = b64decode(one.body)
    else:
        content = one.body.encode() if isinstance(one.body, str) else json.dumps(one.body).encode()
    kind = "text/event-stream" if one.streams else "application/json"
    return lambda _: httpx.Response(one.status, content=content, headers={"content-type": kind})


VALUES: dict[str, Any] = {
    "stream": st.booleans(),
    "temperature": st.floats(0, 2),
    "max_tokens": st.integers(1, 4_000),
    "stop": st.lists(st.text(max_size=5), max_size=3),
    "cache": st.just({"ttl": 60}),
    "guardrails": st.lists(st.sampled_from(["pii", "nobody"]), max_size=1),
    "fallbacks": st.lists(st.sampled_from(["mistral/mistral-small-latest", "openai/gpt-4.1"]), max_size=1),
    "num_retries": st.integers(0, 1),
    "timeout": st.floats(1, 50),
    "require_parameters": st.booleans(),
    "tools": st.just([{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]),
    "logprobs": st.booleans(),
    "unknown_field": st.integers(),
}
MODELS = ("openai/gpt-4o", "gpt-4o", "fast", "openai/unknown", "nobody/x", "anthropic/claude-sonnet-4-5")
WORKSPACES = (
    WORKSPACE,
    Workspace("ws_test", "Test", limits=LIMITED),
    Workspace("ws_test", "Test", cache_ttl_seconds=60, words_method="unicode", charge_input_words=True),
    Workspace("ws_test", "Test", guardrails=(Guardrail("always", "regex", patterns=("smarter",), always=True),)),
    Workspace("ws_test", "Test", routes=(Route("fast", (RouteTarget("openai/gpt-4o"), RouteTarget("openai/o3"))),)),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.fixed_dictionaries({}, optional=VALUES),
    model=st.sampled_from(MODELS),
    workspace=st.sampled_from(WORKSPACES),
    status=st.sampled_from([200, 200, 429, 503, 400]),
)
async def test_requests_that_nobody_chose(
    changes: dict[str, Any], model: str, workspace: Workspace, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    provider = (
        streams(delta(""), delta("smarter."), delta(finish="stop"), "[DONE]")
        if changes.get("stream") and status == 200
        else answers(completion(), status)
    )
    await check(provider, {**CALL, "model": model, **changes}, caplog, workspace=workspace)


async def test_a_changed_workspace_has_a_plan_of_its_own() -> None:
    plans = list[Plan]()

    def record(plan: Plan) -> Plan:
        plans.append(plan)
        return plan

    async with world(change_plan=record) as client:
        for _ in range(3):
            assert (await client.post(CALL)).status == 200
        assert len(plans) == 1
        assert (await client.post({**CALL, "model": "openai/gpt-4.1"})).status == 200
        assert [plan.target and plan.target.deployment.model for plan in plans] == ["gpt-4o", "gpt-4.1"]


async def test_plans_of_names_that_nobody_knows_take_no_more_memory_than_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert MAX_PLANS > 3
    monkeypatch.setattr("tidegate.pipeline.plan.MAX_PLANS", 3)
    async with world() as client:
        for number in range(8):
            assert (await client.post({**CALL, "model": f"nobody/{number}"})).status == 404
        assert (await client.post(CALL)).status == 200
        assert client.app.lifespan_state["gateway"].plans.size <= 3
    assert KEY.limits == Limits()
