"""Names that stand for several deployments: who is asked, and what the failures of one teach the next call."""

import asyncio
from typing import Any

import httpx
import pytest
from msgspec.structs import force_setattr, replace

from tests.pipeline.routed import BUSY, CALL, DENIED, MODEL, OK, OTHER, SECOND, Hosts, admit, routed
from tests.world import (
    KEY,
    WORKSPACE,
    Client,
    Trickle,
    delta,
    event_stream,
    sse,
)
from tidegate.domain.call import call_within
from tidegate.domain.limits import Limits
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import VirtualKey
from tidegate.errors import ProviderAuth, ProviderTimeout, StoreUnavailable
from tidegate.gateway import CallHeaders


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", [BUSY, DENIED, (404, {"error": {"message": "what?"}}), (429, {"error": {}})])
async def test_another_deployment_answers_at_once_where_one_fails(failure: Any, stream: bool) -> None:
    hosts = Hosts(first=failure, second=OK)
    async with routed(hosts) as client:
        reply = await client.post({**CALL, "stream": stream, "num_retries": 0})
        assert (reply.status, reply.headers["x-tidegate-attempts"], client.delays) == (200, "2", [])
        assert reply.headers["x-tidegate-model"] == MODEL
        [outcome] = client.recorder.outcomes
        assert (outcome.status, outcome.attempts, len(outcome.failed_attempts)) == ("ok", 2, 1)
    assert hosts.asked == ["first", "second"]


async def test_what_the_caller_did_wrong_is_no_reason_to_ask_another() -> None:
    hosts = Hosts(first=(400, {"error": {"message": "no"}}), second=OK)
    async with routed(hosts) as client:
        assert (await client.post(CALL)).status == 400
    assert hosts.asked == ["first"]


async def test_what_fails_again_and_again_is_asked_last_and_after_a_while_once_more() -> None:
    hosts = Hosts(first=[BUSY, BUSY, OK], second=OK)
    async with routed(hosts, cooldown_failures=2) as client:
        for _ in range(5):
            assert (await client.post(CALL)).status == 200
        assert hosts.asked == ["first", "second", "first", "second", "second", "second", "second"]
        later(client, 31)
        for _ in range(2):
            assert (await client.post(CALL)).status == 200
        assert hosts.asked[7:] == ["first", "first"]


async def test_a_provider_that_wants_patience_gets_it() -> None:
    hosts = Hosts(first=[(429, {"error": {}}, ("retry-after", "40")), OK], second=OK)
    async with routed(hosts) as client:
        for seconds in (0, 39, 2):
            later(client, seconds)
            assert (await client.post(CALL)).status == 200
    assert hosts.asked == ["first", "second", "second", "first"]


async def test_when_all_have_failed_the_one_is_asked_again_that_opens_the_soonest() -> None:
    hosts = Hosts(first=(429, {"error": {}}, ("retry-after", "9")), second=[(429, {}, ("retry-after", "3")), OK])
    async with routed(hosts) as client:
        assert (await client.post(CALL)).status == 200
        assert [round(delay) for delay in client.delays] == [3]
    assert hosts.asked == ["first", "second", "second"]


async def test_when_all_cool_down_they_are_asked_all_the_same() -> None:
    hosts = Hosts(first=DENIED, second=[DENIED, OK])
    async with routed(hosts) as client:
        refused = await client.post(CALL)
        assert (refused.status, refused.json["error"]["code"]) == (502, "provider_auth_error")
        assert (await client.post(CALL)).status == 200
    assert hosts.asked == ["first", "second", "first", "second"]


async def test_a_stream_that_breaks_off_counts_against_its_deployment() -> None:
    def broken() -> httpx.Response:
        return event_stream(sse(delta("Create ")))

    async def breaks() -> httpx.Response:
        return broken()

    hosts = Hosts(first=breaks, second=OK)
    async with routed(hosts, cooldown_failures=2) as client:
        for _ in range(2):
            assert (await client.post({**CALL, "stream": True})).events[-1]["error"]["code"] == "provider_stream_cut"
        assert (await client.post({**CALL, "stream": True})).events[-1] == "[DONE]"
    assert hosts.asked == ["first", "first", "second"]


async def test_a_client_that_leaves_a_stream_counts_against_nobody() -> None:
    trickle = Trickle()

    async def slowly() -> httpx.Response:
        return event_stream(trickle)

    hosts = Hosts(first=[slowly, OK], second=OK)
    async with routed(hosts, cooldown_failures=1) as client:
        gateway = client.app.lifespan_state["gateway"]
        trickle.pieces.put_nowait(sse(delta("Create ")))
        call = await admit(gateway, {**CALL, "stream": True})
        async with gateway.answer(call) as answer:
            await anext(answer.batches)
            await answer.batches.aclose()
        assert client.recorder.outcomes[-1].status == "cancelled"
        assert (await client.post(CALL)).status == 200
    assert hosts.asked == ["first", "first"]


async def test_cooldowns_are_told_once_and_a_store_that_is_down_changes_nothing() -> None:
    hosts = Hosts(first=BUSY, second=OK)
    told: list[float] = []

    class Down:
        async def tell(self, home: str | None, deployment_id: str, until: float, name: str = "") -> None:
            told.append(until)
            raise StoreUnavailable("down")

    async with routed(hosts, cooldown_failures=1) as client:
        force_setattr(client.app.lifespan_state["gateway"], "cooldowns", Down())
        for _ in range(3):
            assert (await client.post(CALL)).status == 200
        assert len(told) == 1
    assert hosts.asked == ["first", "second", "second", "second"]


async def test_cooldowns_are_told_also_where_a_fallback_answers() -> None:
    hosts = Hosts(first=DENIED, second=DENIED, mistral=OK)
    told: list[str | None] = []

    class Hearing:
        async def tell(self, home: str | None, deployment_id: str, until: float, name: str = "") -> None:
            told.append(home)

    async with routed(hosts) as client:
        force_setattr(client.app.lifespan_state["gateway"], "cooldowns", Hearing())
        assert (await client.post({**CALL, "fallbacks": [OTHER]})).status == 200
        assert told == [None, None]


async def test_a_store_that_took_no_record_is_not_told() -> None:
    hosts = Hosts(first=DENIED, second=OK)

    class Never:
        async def tell(self, home: str | None, deployment_id: str, until: float, name: str = "") -> None:
            raise AssertionError

    async with routed(hosts) as client:
        force_setattr(client.app.lifespan_state["gateway"], "cooldowns", Never())
        client.recorder.unavailable = True
        for _ in range(2):
            assert (await client.post(CALL)).status == 200
    assert hosts.asked == ["first", "second", "second"]


async def test_what_another_process_told_is_heeded() -> None:
    hosts = Hosts(first=OK, second=OK)
    async with routed(hosts) as client:
        gateway = client.app.lifespan_state["gateway"]
        call = await admit(gateway, CALL)
        resolution = gateway.router.resolve("fast")
        deployment, refused = resolution.deployments[0], ProviderAuth("x", upstream_status=401)
        gateway.balancer.record_failure(deployment, resolution, call, refused, waited_seconds=0, call_timed_out=False)
        [cooldown] = gateway.balancer.take_announcements()
        gateway.balancer.record_end(deployment, resolution, call, "ok", None)
        await client.post(CALL)
        key = cooldown.deployment_key
        gateway.balancer.merge_remote(key.workspace_id, {key.id: cooldown.ends_at})
        await client.post(CALL)
    assert hosts.asked == ["first", "second"]


@pytest.mark.parametrize(
    ("models", "asked"),
    [(("fast",), ["first"]), (("mistral/*",), ["mistral"]), (("openai/*", "mistral/*"), ["first"])],
)
async def test_patterns_allow_a_route_by_its_name_or_its_models(models: tuple[str, ...], asked: list[str]) -> None:
    hosts = Hosts(first=OK, mistral=OK)
    for limited in ({"workspace": replace(WORKSPACE, limits=Limits(models=models))}, {"key": limited_key(models)}):
        hosts.asked.clear()
        async with routed(hosts, {"model": MODEL}, {"model": OTHER}, **limited) as client:
            assert (await client.post(CALL)).status == 200
        assert hosts.asked == asked


async def test_a_route_of_which_nothing_is_allowed_is_not_allowed() -> None:
    hosts, models = Hosts(), ("groq/*",)
    for limited in ({"workspace": replace(WORKSPACE, limits=Limits(models=models))}, {"key": limited_key(models)}):
        async with routed(hosts, **limited) as client:
            refused = await client.post(CALL)
        assert (refused.status, refused.json["error"]["code"]) == (403, "model_not_allowed")
    assert hosts.asked == []


async def test_a_workspace_allows_itself_nothing_by_the_name_of_its_own_route() -> None:
    hosts = Hosts(first=OK)
    own = replace(WORKSPACE, routes=(Route(OTHER, (RouteTarget(MODEL),)),))
    async with routed(hosts, workspace=replace(own, limits=Limits(models=("mistral/*",)))) as client:
        assert (await client.post({**CALL, "model": OTHER})).status == 403
    async with routed(hosts, workspace=own, key=limited_key(("mistral/*",))) as client:
        assert (await client.post({**CALL, "model": OTHER})).status == 200
    assert hosts.asked == ["first"]


async def test_a_route_may_be_a_fallback() -> None:
    hosts = Hosts(mistral=BUSY, first=BUSY, second=OK)
    async with routed(hosts) as client:
        reply = await client.post({**CALL, "model": OTHER, "fallbacks": ["fast"], "num_retries": 0})
        assert (reply.status, reply.headers["x-tidegate-deployment"]) == (200, "fast#2")
    assert hosts.asked == ["mistral", "first", "second"]


async def test_a_route_names_its_fallbacks_unless_the_call_does() -> None:
    hosts = Hosts(first=BUSY, second=BUSY, mistral=OK)
    async with routed(hosts, fallbacks=[OTHER]) as client:
        assert (await client.post({**CALL, "num_retries": 0})).headers["x-tidegate-model"] == OTHER
        assert (await client.post({**CALL, "num_retries": 0, "fallbacks": []})).status == 503


async def test_each_workspace_has_its_own_routes() -> None:
    hosts = Hosts(first=OK, mistral=OK)
    key = replace(KEY, workspace_ids=("ws_test", "ws_other"))
    own = (Route("fast", (RouteTarget(OTHER),)), Route("mine", (RouteTarget(OTHER),)))
    async with routed(hosts, workspace=replace(WORKSPACE, routes=own), key=key) as client:
        assert (await client.post(CALL)).headers["x-tidegate-model"] == OTHER
        refused = await client.post({**CALL, "model": "mine"}, headers={"x-workspace-id": "ws_other"})
        assert refused.status == 404


async def test_a_target_that_cannot_be_translated_for_leaves_it_to_the_next_one() -> None:
    hosts = Hosts(first=OK, mistral=OK)
    async with routed(hosts, {"model": OTHER}, {"model": MODEL}) as client:
        strict = {**CALL, "require_parameters": True, "logit_bias": {"50256": -100}}
        assert (await client.post(strict)).headers["x-tidegate-model"] == MODEL


async def test_a_target_without_its_key_is_passed_over_and_then_asked_last() -> None:
    hosts = Hosts(second=OK)
    async with routed(hosts, {"model": MODEL, "key": "NOBODY_SET_THIS"}, SECOND) as client:
        for attempts in ("2", "1"):
            assert (await client.post(CALL)).headers["x-tidegate-attempts"] == attempts
        codes = [[each.error_code for each in outcome.failed_attempts] for outcome in client.recorder.outcomes]
        assert codes == [["provider_not_configured"], []]


@pytest.mark.jumping_clock
async def test_a_route_may_give_its_calls_less_time() -> None:
    async def never() -> httpx.Response:
        await asyncio.sleep(10**6)
        raise AssertionError

    hosts = Hosts(first=never, second=never, mistral=OK)

    async def scenario(client: Client) -> None:
        gateway = client.app.lifespan_state["gateway"]
        call = await admit(gateway, {**CALL, "fallbacks": [OTHER]})
        force_setattr(gateway, "clock", lambda: call.started_at + asyncio.get_running_loop().time())
        began = asyncio.get_running_loop().time()
        async with gateway.answer(call) as answer:
            assert answer.deployment.model_id == OTHER
        assert asyncio.get_running_loop().time() - began <= 31

    async with routed(hosts, timeout_seconds=30) as client:
        await scenario(client)


@pytest.mark.jumping_clock
@pytest.mark.parametrize("stream", [False, True])
async def test_timeouts_of_a_callers_making_do_not_reorder_another_workspaces_route(stream: bool) -> None:
    async def never() -> httpx.Response:
        await asyncio.sleep(10**6)
        raise AssertionError

    async with routed(Hosts(first=never, second=never)) as client:
        gateway = client.app.lifespan_state["gateway"]
        begin = gateway.clock()
        force_setattr(gateway, "clock", lambda: begin + asyncio.get_running_loop().time())
        body = {**CALL, "stream": stream, "timeout": 24, "num_retries": 0}
        for _ in range(4):
            call = await admit(gateway, body)
            with pytest.raises(ProviderTimeout):
                async with gateway.answer(call):
                    pass
        cooling: list[bool] = []
        for id in ("ws_test", "ws_neighbour"):
            caller = replace(await admit(gateway, body), workspace=replace(WORKSPACE, id=id))
            order = gateway.balancer.peek_order(gateway.router.resolve("fast"), caller)
            ends = [gateway.balancer.cooldown_ends_at(each, order, caller.workspace) for each in order.deployments]
            cooling.append(any(ends))
        assert cooling == [True, False]


@pytest.mark.parametrize(
    ("body", "workspace_seconds", "header_seconds", "expected"),
    [
        ({}, None, None, False),
        ({"timeout": 24}, None, None, True),
        ({"timeout": 10_000}, None, None, False),
        ({}, 24.0, None, True),
        ({}, None, 24.0, True),
    ],
)
async def test_a_call_knows_whether_its_deadline_is_the_operators(
    body: dict[str, Any], workspace_seconds: float | None, header_seconds: float | None, expected: bool
) -> None:
    async with routed(Hosts()) as client:
        gateway = client.app.lifespan_state["gateway"]
        call = await admit(gateway, {**CALL, **body})
        deadline = None if header_seconds is None else str(call.started_at + header_seconds)
        headers = CallHeaders(request_deadline=deadline, deadline=call.started_at + 500)
        tenant = replace(WORKSPACE, timeout_seconds=workspace_seconds)
        call = gateway.new_call(
            call.principal,
            tenant,
            call.surface,
            call.operation,
            call.request,
            started_at=call.started_at,
            headers=headers,
        )
        assert call.has_own_timeout == expected
        assert not call_within(call, call.started_at + 5).has_own_timeout
        assert call_within(call, call.started_at + 400).has_own_timeout == expected


async def test_a_session_stays_with_its_deployment_which_the_reply_names() -> None:
    hosts = Hosts(first=OK, second=OK)
    async with routed(hosts, by="weight", sticky=True) as client:
        labels = []
        for n in range(60):
            headers = {"x-session-id": f"session {n % 20}"}
            reply = await client.post({**CALL, "messages": [{"role": "user", "content": f"turn {n}"}]}, headers=headers)
            labels.append(reply.headers["x-tidegate-deployment"])
        assert labels[:20] == labels[20:40] == labels[40:]
        assert {*labels} == {"fast#1", "fast#2"}
        assert "x-tidegate-deployment" not in (await client.post({**CALL, "model": MODEL})).headers


def later(client: Client, seconds: float) -> None:
    """So much time passes for the gateway's knowledge of its deployments."""
    health = client.app.lifespan_state["gateway"].balancer._load_ordering().health
    before = health.clock
    health.clock = lambda: before() + seconds


def limited_key(models: tuple[str, ...]) -> VirtualKey:
    return replace(KEY, limits=Limits(models=models))
