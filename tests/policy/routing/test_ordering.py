from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from tests.providers.calls import asking
from tests.providers.calls import call as call_of
from tests.store_worlds import NOON, Clock, workspace
from tidegate import catalog
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.origin import Origin
from tidegate.domain.routes import Route, RouteOrder, RouteTarget
from tidegate.errors import ProviderAuth, ProviderFailed, ProviderModelNotFound, ProviderTimeout, TidegateError
from tidegate.policy.routing.health import DeploymentKey, Health, deployment_key_of
from tidegate.policy.routing.ordering import Ordering
from tidegate.policy.routing.sessions import MAX_SESSIONS, SESSION_SECONDS, Sessions

MODELS = ("openai/gpt-4o", "openai/gpt-4o-mini", "vllm/nobody-knows")


class Scene:
    """A route over three deployments, and what happens to them."""

    def __init__(
        self, by: RouteOrder, weights: tuple[int, ...] = (1, 1, 1), draws: Iterable[float] = (), **fields: Any
    ) -> None:
        self.clock = Clock()
        self.health = Health(self.clock)
        chances = iter(draws)
        sessions = Sessions(self.clock)
        self.balance = Ordering(catalog.load_catalog(), self.health, lambda: next(chances), sessions)
        route = Route("fast", tuple(map(RouteTarget, MODELS, weights)), by, **fields)
        pairs = [(name.split("/"), weight) for name, weight in zip(MODELS, weights, strict=True)]
        deployments = [Deployment(provider, model, "https://x", weight=weight) for (provider, model), weight in pairs]
        self.plan = Resolution(tuple(deployments), route)

    def place(self, n: int) -> DeploymentKey:
        return deployment_key_of(self.plan.deployments[n], self.plan, call().workspace)

    def order(self, asked: Call | None = None) -> str:
        """The numbers of the deployments, in their order."""
        ordered = self.balance.order(self.plan, asked or call()).deployments
        assert len(ordered) == len(self.plan.deployments)
        return "".join(str(self.plan.deployments.index(each)) for each in ordered)

    def fail(self, *numbers: int) -> None:
        assert self.plan.route is not None
        for n in numbers:
            self.health.record_failure(
                self.place(n),
                ProviderAuth("x", upstream_status=401),
                self.plan.route,
                "name",
                waited_seconds=1,
                call_timed_out=False,
            )
            self.clock.now += 1


def call(session_id: str | None = None, **fields: Any) -> Call:
    return replace(call_of(asking(**fields)), started_at=NOON, session_id=session_id)


def test_a_model_that_is_no_route_stays_as_it_is() -> None:
    scene = Scene("order")
    plan = Resolution(scene.plan.deployments[:1])
    assert scene.balance.order(plan, call()) is plan


def test_by_order_is_as_they_are_listed() -> None:
    assert Scene("order").order() == "012"


def test_those_that_cool_down_come_last_and_first_of_them_the_one_that_opens_soonest() -> None:
    scene = Scene("order")
    scene.fail(0)
    assert scene.order() == "120"
    scene.fail(2, 1)
    assert scene.order() == "021"


def test_by_price_is_the_cheapest_for_this_call_and_last_what_has_no_price() -> None:
    assert Scene("price").order() == "102"


def test_by_latency_is_the_fastest_and_first_what_is_not_known() -> None:
    scene = Scene("latency")
    for n, seconds in ((0, 0.9), (1, 0.3), (2, 0.6)):
        scene.health.record_first_event(scene.place(n), seconds, False)
    assert scene.order() == "120"
    scene.clock.now += 200
    scene.health.record_first_event(scene.place(1), 0.3, False)
    scene.health.record_first_event(scene.place(2), 0.3, False)
    scene.clock.now += 101
    assert scene.order() == "012"


def test_what_is_not_known_is_tried_by_one_call_at_a_time() -> None:
    scene = Scene("latency")
    scene.health.record_first_event(scene.place(0), 0.9, False)
    assert [scene.order() for _ in range(4)] == ["120", "201", "012", "012"]


def test_a_stream_goes_by_what_is_known_of_streams() -> None:
    scene = Scene("latency")
    for n in range(3):
        scene.health.record_first_event(scene.place(n), 3.0 - n, False)
        scene.health.record_first_event(scene.place(n), n + 1.0, True)
    assert (scene.order(), scene.order(call(stream=True))) == ("210", "012")


def test_by_weight_is_by_lot_in_shares_of_the_weights() -> None:
    chance = Random(6)
    scene = Scene("weight", (6, 3, 1), iter(chance.random, None))
    firsts = Counter(scene.order()[0] for _ in range(10_000))
    assert [round(firsts[n] / 1000) for n in "012"] == [6, 3, 1]


def test_no_weight_is_last_and_no_chance_is_too_small() -> None:
    assert Scene("weight", (0, 1, 0), [0.999, 0.0, 0.5]).order() == "102"
    assert Scene("weight", (1, 1, 1), [0.0, 0.0, 0.0]).order() == "012"


def test_one_call_at_a_time_tries_what_has_cooled_down() -> None:
    scene = Scene("order")
    scene.fail(0)
    scene.clock.now += 30
    assert [scene.order(), scene.order()] == ["012", "120"]
    scene.clock.now += 30
    assert scene.order() == "012"  # of the first one nothing was heard
    scene.health.record_success(scene.place(0))
    assert [scene.order(), scene.order()] == ["012", "012"]


def test_a_session_stays_where_it_is() -> None:
    scene = Scene("weight", sticky=True)
    orders = [scene.order(call(f"session {n % 100}")) for n in range(300)]
    assert orders[:100] == orders[100:200] == orders[200:]
    assert {order[0] for order in orders} == {"0", "1", "2"}


def test_sessions_are_shared_out_by_weight() -> None:
    scene = Scene("weight", (6, 3, 1), sticky=True)
    firsts = Counter(scene.order(call(f"session {n}"))[0] for n in range(2_000))
    assert [round(firsts[n] / 200) for n in "012"] == [6, 3, 1]


def of_agent(session_id: str, dialect: str = "messages") -> Call:
    made = call(session_id)
    return replace(made, request=replace(made.request, origin=Origin(dialect, {})))


@pytest.mark.parametrize("by", ["latency", "price"])
def test_an_agents_session_stays_with_what_has_answered_it_while_it_answers(by: RouteOrder) -> None:
    scene = Scene(by)
    for n, seconds in ((0, 0.9), (1, 0.3), (2, 0.6)):
        scene.health.record_first_event(scene.place(n), seconds, False)
    usual = scene.order(of_agent("new"))
    scene.balance.record_success(scene.plan.deployments[2], scene.plan, of_agent("s"))
    scene.balance.record_success(scene.plan.deployments[2], scene.plan, call("person"))
    assert scene.order(of_agent("s")) == "2" + usual.replace("2", "")
    assert scene.order(of_agent("new")) == scene.order(call("person")) == usual
    scene.fail(2)
    scene.clock.now -= 1
    assert scene.order(of_agent("s"))[2] == "2"


@pytest.mark.parametrize("by", ["order", "weight"])
def test_a_fixed_order_remembers_no_session(by: RouteOrder) -> None:
    scene, session = Scene(by), of_agent("s")
    usual = scene.order(session)
    scene.balance.record_success(scene.plan.deployments[int(usual[2])], scene.plan, session)
    assert scene.order(session) == usual


def test_sessions_are_forgotten_after_an_hour_and_beyond_a_number() -> None:
    clock, route = Clock(), Route("r", (), "price")
    sessions = Sessions(clock)
    for n in range(MAX_SESSIONS + 1):
        sessions.remember(route, call(f"s{n}"), "d")
    found = [sessions.find_deployment_id(route, call(name)) for name in ("s0", "s1", f"s{MAX_SESSIONS}")]
    assert found == [None, "d", "d"]
    clock.now += SESSION_SECONDS
    assert sessions.find_deployment_id(route, call("s1")) is None


def test_only_the_sessions_of_what_cools_down_move() -> None:
    scene = Scene("weight", sticky=True)
    sessions = [call(f"session {n}") for n in range(100)]
    before = [scene.order(session) for session in sessions]
    scene.fail(1)
    assert [scene.order(session) for session in sessions] == [order.replace("1", "") + "1" for order in before]


def test_another_workspaces_session_is_another_one() -> None:
    scene, other = Scene("weight", sticky=True), call().workspace
    sessions = [call(f"session {n}") for n in range(50)]
    elsewhere = [replace(each, workspace=replace(other, id="ws_other")) for each in sessions]
    assert [scene.order(each) for each in sessions] != [scene.order(each) for each in elsewhere]


@pytest.mark.parametrize(
    ("fields", "session_id", "session"),
    [
        ({"prompt_cache_key": "key", "user": "user"}, "id", b"named:key"),
        ({"user": "user"}, "id", b"named:id"),
        ({"user": "user"}, None, b"named:user"),
        ({"prompt_cache_key": 7, "user": "\udfff"}, None, b"named:\xed\xbf\xbf"),
    ],
)
def test_a_session_is_known_by_its_name(fields: dict[str, Any], session_id: str | None, session: bytes) -> None:
    assert call(**fields).request.session_key(session_id) == session


def test_or_else_by_how_it_began() -> None:
    system, ask = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}
    turns = [system, ask, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Bye"}]
    first, later, other = (
        call(messages=messages).request.session_key(None) for messages in (turns[:2], turns, [system, turns[3]])
    )
    assert (first == later, first == other) == (True, False)
    assert call(messages=[system]).request.session_key(None).startswith(b"began:")


def test_a_failure_that_is_none_of_a_routes_changes_no_order() -> None:
    scene = Scene("order")
    assert scene.plan.route is not None
    for _ in range(2):
        scene.health.record_failure(
            scene.place(0), ProviderFailed("x"), scene.plan.route, "name", waited_seconds=1, call_timed_out=False
        )
    assert scene.order() == "012"


def own_timeout(**fields: Any) -> tuple[Call, TidegateError, bool]:
    return replace(call(**fields), has_own_timeout=True), ProviderTimeout("x"), True


CALLERS_DOING = {
    "a timeout of the call's own": own_timeout(),
    "an attempt's share of the time": (call(fallbacks=["openai/gpt-4.1"]), ProviderTimeout("x"), True),
    "a share, as OpenRouter's clients name fallbacks": (call(models=["openai/gpt-4.1"]), ProviderTimeout("x"), True),
    "a refusal of this request": (call(), ProviderAuth("x", upstream_status=403), False),
    "a model that this request does not find": (call(), ProviderModelNotFound("x"), False),
}
PROVIDERS_DOING = {
    "the operator's time is over": (call(), ProviderTimeout("x"), True),
    "the provider's timeout": (*own_timeout()[:2], False),
    "a broken answer": (replace(call(), has_own_timeout=True), ProviderFailed("x"), True),
    "a refused key": (call(), ProviderAuth("x", upstream_status=401), False),
}


def fail_often(scene: Scene, failing: Call, error: TidegateError, timed_out: bool) -> None:
    for _ in range(3):
        deployment = scene.plan.deployments[0]
        scene.balance.record_failure(
            deployment, scene.plan, failing, error, waited_seconds=12, call_timed_out=timed_out
        )


@pytest.mark.parametrize("failure", CALLERS_DOING.values(), ids=CALLERS_DOING)
def test_what_a_caller_may_bring_about_counts_for_its_workspace_alone(
    failure: tuple[Call, TidegateError, bool],
) -> None:
    scene, neighbour = Scene("order"), replace(call(), workspace=workspace("ws_neighbour"))
    fail_often(scene, *failure)
    assert (scene.order(failure[0]), scene.order(neighbour)) == ("120", "012")
    assert scene.health.pending_announcements == []
    hedge = scene.plan.deployments[0]
    assert scene.balance.is_healthy(hedge, scene.plan, neighbour)
    assert not scene.balance.is_healthy(hedge, scene.plan, failure[0])
    scene.clock.now += 31
    assert [scene.order(failure[0]), scene.order(failure[0])] == ["012", "120"]  # the second call waits for the trial
    scene.balance.record_success(hedge, scene.plan, failure[0])
    assert scene.order(failure[0]) == "012"


@pytest.mark.parametrize("failure", PROVIDERS_DOING.values(), ids=PROVIDERS_DOING)
def test_what_the_provider_did_counts_for_all(failure: tuple[Call, TidegateError, bool]) -> None:
    scene, neighbour = Scene("order"), replace(call(), workspace=workspace("ws_neighbour"))
    fail_often(scene, *failure)
    assert (scene.order(failure[0]), scene.order(neighbour)) == ("120", "120")
    assert len(scene.health.pending_announcements) == 1
