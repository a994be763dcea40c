"""Dry runs: what they say is what a real call then does, and they themselves do nothing."""

import json
from base64 import b64encode
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from msgspec import structs
from msgspec.structs import replace

from tests.native_providers import ANTHROPIC, BEDROCK, GEMINI, NATIVES, Native
from tests.world import KEY, STREAM, USER, WORKSPACE, Client, completion, event_stream, new_call, sse, world
from tidegate.chat.request import build_chat_request
from tidegate.domain.limits import Limits
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import Workspace
from tidegate.errors import InvalidRequest, ModelNotFound, StoreUnavailable

A, B, C = "openai/gpt-4.1-mini", "mistral/mistral-small-latest", "openai/gpt-4.1"
CALL = {"model": A, "messages": USER}
PICTURE = "https://media.example/a"
SHOWN = {"TIDEGATE_SHOW_UPSTREAM_URLS": "true"}
MANY = {
    "temperature": 0.5,
    "top_p": 0.9,
    "stop": ["END"],
    "max_tokens": 50,
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "user": "u-1",
}


FAST = {"model": "fast", "messages": USER}
ROUTED = replace(WORKSPACE, routes=(Route("fast", (RouteTarget(A), RouteTarget(B))),))


async def rehearsed(client: Client, body: Any) -> Any:
    gateway = client.app.lifespan_state["gateway"]
    call = await new_call(gateway, body)
    return json.loads(json.dumps(await gateway.dry_run(call)))


def only(reply: Any) -> Any:
    [entry] = reply["plan"]
    return entry


def limited(**limits: Any) -> Workspace:
    return replace(WORKSPACE, limits=Limits(**limits))


def _of_route(entry: Any) -> tuple[Any, ...]:
    return tuple(entry[name] for name in ("path", "deployment", "model", "route", "cools_until"))


def errors(reply: Any) -> list[str | None]:
    return [entry["error"] and entry["error"]["code"] for entry in reply["plan"]]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("native", NATIVES, ids=lambda native: native.name)
async def test_the_request_that_is_shown_is_the_one_that_is_sent(native: Native, stream: bool) -> None:
    async with world(native_or_stream(native, stream), **native.env, **SHOWN) as client:
        body = {"model": native.id, "messages": [{"role": "system", "content": "Be brief."}, *USER], **MANY}
        body["stream"] = stream
        shown = only(await rehearsed(client, body))["request"]
        assert client.requests == []
        assert (await client.post(body)).status == 200
        [sent] = client.requests
        assert shown["url"] == str(sent.url)
        assert shown["method"] == sent.method
        assert shown["body"] == json.loads(sent.content)
        name, value = native.auth
        assert shown["headers"].pop(name).endswith(">")
        assert shown["headers"].items() <= dict(sent.headers).items()
        assert value not in json.dumps(shown)


def native_or_stream(native: Native, stream: bool) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: native.stream(*native.pieces) if stream else httpx.Response(200, json=native.plain)


@pytest.mark.parametrize("model", [A, B])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_the_same_is_true_of_openais_dialect(model: str, stream: bool) -> None:
    reply = event_stream(sse(*STREAM)) if stream else httpx.Response(200, json=completion())
    async with world(lambda _: reply, **SHOWN) as client:
        body = {"model": model, "messages": USER, **MANY, "stream": stream}
        shown = only(await rehearsed(client, body))["request"]
        assert (await client.post(body)).status == 200
        [sent] = client.requests
        assert (shown["url"], shown["body"]) == (str(sent.url), json.loads(sent.content))
        assert shown["headers"]["authorization"] == f"Bearer <{model.partition('/')[0].upper()}_API_KEY>"


async def test_a_signature_is_named_and_not_made() -> None:
    aws = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    async with world(**aws) as client:
        shown = only(await rehearsed(client, {"model": BEDROCK.id, "messages": USER}))["request"]
        signed = "<AWS Signature Version 4 for bedrock in eu-central-1>"
        assert shown["headers"] == {"content-type": "application/json", "authorization": signed}


async def test_a_dry_run_asks_nobody_and_costs_nothing_but_counts_as_a_call() -> None:
    async with world(workspace=limited(tokens_per_month=10_000, requests_per_minute=2)) as client:
        dry = {**CALL, "stream": True, "max_tokens": 100, "dry_run": True}
        for _ in range(2):
            assert (await client.post(dry)).json["asked_first"] == A
        refused = await client.post(dry)
        assert (refused.status, refused.json["error"]["code"]) == (429, "rate_limit_exceeded")
        assert client.requests == []
        assert [outcome.status for outcome in client.recorder.outcomes] == ["dry_run", "dry_run", "failed"]
        [account] = client.recorder.ledger.accounts.values()
        assert (account.minute_calls, account.holds, set(account.booked.values())) == (2, {}, {0})


async def test_every_field_is_told_where_it_leads() -> None:
    async with world(**ANTHROPIC.env, **GEMINI.env) as client:
        messages = [{"role": "system", "content": "Be brief."}, *USER]
        anthropic = only(await rehearsed(client, {"model": ANTHROPIC.id, "messages": messages, **MANY}))
        assert anthropic["mapped"] == {
            "model": ["body.model"],
            "messages": ["body.messages", "body.system"],
            "temperature": ["body.temperature", "body.top_p"],  # which Anthropic takes only in its absence
            "stop": ["body.stop_sequences"],
            "max_tokens": ["body.max_tokens"],
            "tools": ["body.tools", "body.tool_choice.type", "body.tool_choice.name"],
            "tool_choice": ["body.tool_choice.type", "body.tool_choice.name"],
            "user": ["body.metadata.user_id"],
        }
        assert anthropic["ignored"] == ["top_p"]
        gemini = only(await rehearsed(client, {"model": GEMINI.id, "messages": messages, "stream": True, **MANY}))
        assert gemini["mapped"]["model"] == ["url"]
        assert gemini["mapped"]["stream"] == ["url"]
        assert gemini["mapped"]["messages"] == ["body.systemInstruction", "body.contents"]
        assert gemini["mapped"]["stop"] == ["body.generationConfig.stopSequences"]


async def test_a_field_that_asks_for_nothing_leads_nowhere_and_gateway_fields_are_not_told() -> None:
    async with world(**ANTHROPIC.env) as client:
        entry = only(await rehearsed(client, {"model": ANTHROPIC.id, "messages": USER, "n": 1, "num_retries": 0}))
        assert entry["mapped"] == {"model": ["body.model"], "messages": ["body.messages"], "n": []}


async def test_every_field_that_is_refused_is_named_and_not_only_the_first() -> None:
    async with world(**ANTHROPIC.env) as client:
        body = {
            "model": ANTHROPIC.id,
            "messages": USER,
            "n": 2,
            "stop": [],
            "logprobs": True,
            "require_parameters": True,
        }
        reply = await rehearsed(client, body)
        entry = only(reply)
        assert set(entry["refused"]) == {"n", "logprobs"}
        assert entry["request"] is None
        assert (entry["allowed"], reply["asked_first"]) == (False, None)
        real = await client.post(body)
        assert {"status": real.status, **real.json["error"]} == entry["error"] == reply["error"]


async def test_every_model_that_may_answer_has_its_turn(client: Client) -> None:
    body = {**CALL, "fallbacks": [{"model": B, "max_tokens": 7}], "models": [C]}
    reply = await rehearsed(client, body)
    assert [(entry["path"], entry["when"], entry["model"]) for entry in reply["plan"]] == [
        ("model", "at once", A),
        ("fallbacks[0]", "after a failure", B),
        ("models[0]", "after a failure", C),
    ]
    assert [entry["max_output_tokens"] for entry in reply["plan"]] == [32768, 7, 32768]
    assert reply["plan"][1]["request"]["body"]["max_tokens"] == 7
    assert reply["num_retries"] == 2
    assert (await rehearsed(client, {**CALL, "num_retries": 0}))["num_retries"] == 0


async def test_a_bigger_model_is_there_for_prompts_that_may_be_too_long(client: Client) -> None:
    reply = await rehearsed(client, {**CALL, "context_window_fallback_dict": {A: C}})
    assert [(entry["path"], entry["when"], entry["model"]) for entry in reply["plan"]] == [
        ("model", "at once", A),
        (f"context_window_fallback_dict.{A}", "when the context is too long", C),
    ]
    small = "openai/gpt-4"
    long = {"model": small, "messages": [{"role": "user", "content": "word " * 40_000}]}
    reply = await rehearsed(client, {**long, "context_window_fallback_dict": {small: C}})
    assert (only(reply)["path"], only(reply)["when"]) == (f"context_window_fallback_dict.{small}", "at once")
    assert reply["asked_first"] == C


async def test_deployments_of_a_route_are_told_one_by_one() -> None:
    async with world(workspace=ROUTED) as client:
        told = [_of_route(entry) for entry in (await rehearsed(client, FAST))["plan"]]
        route = {"name": "fast", "by": "order", "timeout_seconds": None, "hedge_after_seconds": None}
        assert told == [("model", "fast#1", A, route, None), ("model", "fast#2", B, route, None)]


async def test_what_cools_down_is_last_and_is_told_so() -> None:
    busy = httpx.Response(401, json={"error": {"message": "who?"}})
    ok = httpx.Response(200, json=completion())
    async with world(lambda request: busy if "openai" in request.url.host else ok, workspace=ROUTED) as client:
        assert (await client.post(FAST)).status == 200
        reply = await rehearsed(client, FAST)
        assert [entry["model"] for entry in reply["plan"]] == [B, A]
        assert [entry["cools_until"] is None for entry in reply["plan"]] == [True, False]
        assert reply["asked_first"] == B


async def test_a_dry_run_is_no_trial_of_what_nobody_knows() -> None:
    async with world(workspace=replace(WORKSPACE, routes=(structs.replace(ROUTED.routes[0], by="latency"),))) as client:
        first = [(await rehearsed(client, FAST))["asked_first"] for _ in range(3)]
        assert first == [A] * 3


async def test_a_deployment_that_a_key_may_not_use_is_passed_over() -> None:
    async with world(workspace=replace(ROUTED, limits=Limits(providers=("mistral",)))) as client:
        reply = await rehearsed(client, FAST)
        assert errors(reply) == ["model_not_allowed", None]
        assert reply["asked_first"] == B == (await client.post(FAST)).json["model"]


async def test_who_may_not_be_asked_is_told_as_a_real_call_would_be() -> None:
    async with world(workspace=limited(providers=("openai", "cohere"))) as client:
        reply = await rehearsed(client, {**CALL, "fallbacks": [B, "cohere/command-a-03-2025"]})
        assert errors(reply) == [None, "model_not_allowed", "provider_not_configured"]
        assert [entry["allowed"] for entry in reply["plan"]] == [True, False, False]
        assert reply["plan"][1]["request"] is None
        for model in (B, "cohere/command-a-03-2025"):
            alone = await rehearsed(client, {"model": model, "messages": USER, "fallbacks": [A]})
            real = await client.post({"model": model, "messages": USER, "fallbacks": [A]})
            asked = alone["asked_first"]
            assert (asked is not None) == (real.status == 200)
            if asked is None:
                assert alone["error"] == {"status": real.status, **real.json["error"]}


async def test_a_provider_without_a_key_is_no_failure_of_the_dry_run(client: Client) -> None:
    reply = await rehearsed(client, {"model": "cohere/command-a-03-2025", "messages": USER})
    assert errors(reply) == ["provider_not_configured"]
    assert reply["error"]["status"] == 503


async def test_a_target_whose_key_nobody_has_set_is_told_and_passed_over() -> None:
    targets = [{"model": A, "key": "NOBODY_SET_THIS"}, {"model": B}]
    async with world(TIDEGATE_ROUTES=json.dumps([{"name": "fast", "targets": targets}])) as client:
        reply = await rehearsed(client, FAST)
        assert errors(reply) == ["provider_not_configured", None]
        assert reply["plan"][0]["request"]["headers"]["authorization"] == "Bearer <NOBODY_SET_THIS>"
        assert reply["asked_first"] == B == (await client.post(FAST)).json["model"]


async def test_signatures_of_earlier_turns_are_in_the_request_as_in_a_real_call() -> None:
    async with world(ANTHROPIC.answer, **ANTHROPIC.env) as client:
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        details = [{"type": "reasoning.text", "text": "Hm.", "signature": "c2lnbmVk", "index": 0}]
        gateway = client.app.lifespan_state["gateway"]
        turns = [
            *USER,
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        ]
        body = {"model": ANTHROPIC.id, "messages": turns, "tools": MANY["tools"], "reasoning_effort": "high"}
        [turn] = build_chat_request(body).reasoning_turns().values()
        await gateway.open_signatures().keep("ws_test", turn, details)
        shown = only(await rehearsed(client, body))["request"]
        assert "c2lnbmVk" in json.dumps(shown["body"])
        await client.post(body)
        assert json.loads(client.requests[0].content) == shown["body"]


async def test_what_nobody_serves_and_what_loops_is_an_error_as_always(client: Client) -> None:
    with pytest.raises(ModelNotFound):
        await rehearsed(client, {"model": "nobody", "messages": USER})
    with pytest.raises(InvalidRequest) as caught:
        await rehearsed(client, {**CALL, "fallbacks": [A]})
    assert caught.value.param == "fallbacks[0]"


async def test_estimate_and_largest_cost_are_what_would_be_held(client: Client) -> None:
    reply = await rehearsed(client, {**CALL, "max_tokens": 100})
    estimate = reply["estimate"]
    assert set(estimate) == {"prompt_tokens", "with_margin", "max_output_tokens", "words"}
    assert (estimate["max_output_tokens"], estimate["words"]) == (100, 75)
    assert estimate["with_margin"] > estimate["prompt_tokens"] > 0
    most = estimate["with_margin"] * 0.4e-6 + 100 * 1.6e-6
    assert only(reply)["largest_cost_usd"] == pytest.approx(most)
    unpriced = await rehearsed(client, {"model": "openai/nobody-knows-it", "messages": USER})
    assert (only(unpriced)["largest_cost_usd"], only(unpriced)["max_output_tokens"]) == (None, 8192)


async def test_a_budget_without_room_is_told_before_it_is_met() -> None:
    async with world(workspace=limited(tokens_per_month=450)) as client:
        body = {**CALL, "max_tokens": 200}
        assert errors(await rehearsed(client, body)) == [None]
        assert (await client.post({**CALL, "max_tokens": 10})).status == 200
        reply = await rehearsed(client, {**body, "max_tokens": 290})
        assert errors(reply) == ["insufficient_quota"]
        assert "tokens_per_month of 450" in reply["error"]["message"]
        assert only(reply)["request"]["body"]["max_tokens"] == 290
        real = await client.post({**body, "max_tokens": 290})
        assert {"status": real.status, **real.json["error"]} == reply["error"]


async def test_a_key_has_limits_too_and_unpriced_models_are_told() -> None:
    async with world(key=replace(KEY, limits=Limits(usd_per_day=Decimal("0.000001")))) as client:
        assert errors(await rehearsed(client, CALL)) == ["insufficient_quota"]
        assert errors(await rehearsed(client, {"model": "openai/nobody-knows-it", "messages": USER})) == [
            "model_unpriced"
        ]


async def test_a_call_that_would_be_shortened_is_shown_so() -> None:
    async with world(workspace=replace(limited(tokens_per_month=1_000), lowers_max_tokens=True)) as client:
        entry = only(await rehearsed(client, {**CALL, "max_tokens": 5_000}))
        most = entry["max_output_tokens"]
        assert entry["allowed"] and 16 < most < 1_000
        assert entry["request"]["body"]["max_tokens"] == most
        real = await client.post({**CALL, "max_tokens": 5_000})
        assert real.headers["x-tidegate-max-tokens"] == str(most)


async def test_what_the_cache_would_do_is_told_and_not_done() -> None:
    async with world(workspace=replace(WORKSPACE, cache_ttl_seconds=60)) as client:
        assert (await rehearsed(client, CALL))["cache"] == {
            "looked_up": True,
            "max_age_seconds": None,
            "keep_seconds": 60,
            "namespace": None,
        }
        asked = {"ttl": 5, "s-maxage": 9, "no-cache": True, "namespace": "mine"}
        assert (await rehearsed(client, {**CALL, "cache": asked}))["cache"] == {
            "looked_up": False,
            "max_age_seconds": 9,
            "keep_seconds": 5,
            "namespace": "mine",
        }
        assert (await rehearsed(client, {**CALL, "caching": False}))["cache"] is None
        assert (await client.post(CALL)).headers["x-tidegate-cache"] == "miss"


async def test_a_ledger_that_does_not_answer_is_told() -> None:
    class Down:
        async def account(self, scope: object, first_day: int = 1) -> None:
            raise StoreUnavailable("The store does not answer.")

    async with world(workspace=limited(tokens_per_month=1_000)) as client:
        state = client.app.lifespan_state
        state["gateway"] = replace(state["gateway"], ledger=Down())
        reply = await rehearsed(client, {**CALL, "fallbacks": [B]})
        assert errors(reply) == ["store_unavailable", "store_unavailable"]
        assert (reply["asked_first"], reply["error"]["status"]) == (None, 503)


@pytest.mark.parametrize(
    ("url", "kind"),
    [(PICTURE, "image/png"), (f"{PICTURE}.jpg", "image/jpeg"), (f"{PICTURE}.pdf", "application/pdf")],
)
async def test_media_are_not_fetched_and_words_stand_in_their_place(url: str, kind: str) -> None:
    async with world(**GEMINI.env) as client:
        parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
        entry = only(await rehearsed(client, {"model": GEMINI.id, "messages": [{"role": "user", "content": parts}]}))
        words = "<the bytes of messages[0].content[1].image_url.url>"
        sent = entry["request"]["body"]["contents"][0]["parts"][1]
        assert sent == {"inlineData": {"mimeType": kind, "data": words}}
        assert client.requests == []


@pytest.mark.parametrize("model", [*(native.id for native in NATIVES), A, B])
async def test_whatever_stands_behind_a_url_nobody_fetches_it(model: str) -> None:
    url = f"{PICTURE}.txt"
    parts: list[Any] = [
        {"type": "image_url", "image_url": {"url": PICTURE}},
        {"type": "video_url", "video_url": {"url": PICTURE}},
        {"type": "file", "file": {"file_data": PICTURE, "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": url}},
        {"type": "document", "source": {"type": "url", "url": url}},
    ]
    env: dict[str, str] = {}
    for native in NATIVES:
        env |= native.env
    async with world(**env) as client:
        for part in parts:
            entry = only(await rehearsed(client, {"model": model, "messages": [{"role": "user", "content": [part]}]}))
            assert entry["allowed"] or set(entry["refused"]) == {entry["error"]["param"]}
            text = json.dumps(entry["request"])
            assert "medium 0" not in text
            assert b64encode(b"medium 0").decode()[:8] not in text
        assert client.requests == []


async def test_of_many_long_requests_the_first_are_shown(client: Client) -> None:
    names = [f"openai/nobody-knows-{i}" for i in range(3)]
    body = {"model": A, "messages": [{"role": "user", "content": "word " * 50_000}], "fallbacks": names}
    plan = (await rehearsed(client, body))["plan"]
    assert [entry["omitted"] for entry in plan] == [False] * 2 + [True] * 2
    assert [entry["request"] is None for entry in plan] == [False] * 2 + [True] * 2
    assert all(entry["allowed"] for entry in plan)


async def test_a_request_of_any_length_is_shown(client: Client) -> None:
    body = {"model": A, "messages": [{"role": "user", "content": "word " * 1_000_000}]}
    assert only(await rehearsed(client, body))["request"]["body"]["messages"] == body["messages"]


async def test_no_name_and_no_password_of_a_base_url_is_shown() -> None:
    async with world(OPENAI_BASE_URL="https://name:word@proxy.example/v1", **SHOWN) as client:
        shown = only(await rehearsed(client, CALL))["request"]
        assert shown["url"] == "https://proxy.example/v1/chat/completions"


@pytest.mark.parametrize(
    ("env", "model", "url"),
    [
        ({"OPENAI_BASE_URL": "https://name:word@proxy.example/acct-17/v1/"}, A, "***/chat/completions"),
        ({}, A, "***/chat/completions"),
        (
            {"GEMINI_BASE_URL": "http://10.0.0.7:8080", "GEMINI_API_KEY": "x"},
            "gemini/gemini-2.5-flash",
            "***/v1beta/models/gemini-2.5-flash:generateContent",
        ),
        (
            {"AZURE_OPENAI_BASE_URL": "https://acct.example/openai?api-version=1", "AZURE_OPENAI_API_KEY": "x"},
            "azure/one",
            "***",
        ),
    ],
)
async def test_the_address_of_a_provider_is_not_shown(env: dict[str, str], model: str, url: str) -> None:
    async with world(**env) as client:
        reply = await rehearsed(client, {**CALL, "model": model})
        assert only(reply)["request"]["url"] == url
        assert not any(part in json.dumps(reply) for part in ("example", "10.0.0.7", "acct", "api.openai.com"))
