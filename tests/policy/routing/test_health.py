import pytest
from msgspec.structs import replace

from tests.store_worlds import NOON, Clock, workspace
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.routes import Route, RouteTarget
from tidegate.domain.workspace import WorkspaceCredential
from tidegate.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    NotConfigured,
    ProviderAuth,
    ProviderBadRequest,
    ProviderFailed,
    ProviderMalformed,
    ProviderModelNotFound,
    ProviderOverloaded,
    ProviderRateLimited,
    ProviderTimeout,
    ProviderUnreachable,
    StreamCut,
    TidegateError,
)
from tidegate.policy.routing.health import MAX_DEPLOYMENTS, Cooldown, DeploymentKey, Health, deployment_key_of

ROUTE = Route(
    "fast", (RouteTarget("openai/gpt-4o"), RouteTarget("azure/gpt-4o")), cooldown_failures=2, cooldown_seconds=30
)
DENIED = ProviderAuth("x", upstream_status=401)
HERE, THERE = DeploymentKey(None, "here"), DeploymentKey(None, "there")


class Patient:
    """Health, with a clock of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.health = Health(self.clock)

    def fail(self, error: TidegateError, times: int = 1, *, waited: float = 0.1, is_over: bool = False) -> float | None:
        """Seconds until it opens again."""
        for _ in range(times):
            self.health.record_failure(HERE, error, ROUTE, "a/m(fast#1)", waited_seconds=waited, call_timed_out=is_over)
        until = self.health.cooldown_ends_at(HERE)
        return None if until is None else until - self.clock.now


@pytest.mark.parametrize(
    "error", [ProviderFailed, ProviderUnreachable, ProviderMalformed, StreamCut, ProviderTimeout, ProviderOverloaded]
)
def test_failures_in_a_row_cool_a_deployment_down(error: type[TidegateError]) -> None:
    patient = Patient()
    assert patient.fail(error("x")) is None
    assert patient.fail(error("x")) == 30
    assert patient.health.pending_announcements == [Cooldown(HERE, NOON + 30, "a/m(fast#1)")]
    assert patient.health.cooldown_ends_at(THERE) is None


def test_an_answer_in_between_begins_the_row_anew() -> None:
    patient = Patient()
    patient.fail(ProviderFailed("x"))
    patient.health.record_success(HERE)
    assert patient.fail(ProviderFailed("x")) is None


@pytest.mark.parametrize("error", [DENIED, NotConfigured("x")])
def test_what_does_not_pass_by_itself_is_enough_once(error: TidegateError) -> None:
    assert Patient().fail(error) == 30


@pytest.mark.parametrize("error", [ProviderAuth("x", upstream_status=403), ProviderModelNotFound("x")])
def test_refusals_that_a_caller_might_bring_about_count_as_any_failure(error: TidegateError) -> None:
    patient = Patient()
    assert (patient.fail(error), patient.fail(error)) == (None, 30)


@pytest.mark.parametrize(("after", "seconds"), [(1, 30), (45.5, 45.5), (86_400, 3_600)])
def test_a_provider_is_left_alone_as_long_as_it_wants(after: float, seconds: float) -> None:
    assert Patient().fail(ProviderRateLimited("x", retry_after_seconds=after)) == seconds


def test_and_no_longer_however_often_it_says_so() -> None:
    patient = Patient()
    for _ in range(4):
        assert patient.fail(ProviderRateLimited("x", retry_after_seconds=40)) == 40
        patient.clock.now += 40


def test_a_rate_limit_that_does_not_say_how_long_counts_as_one_failure() -> None:
    patient = Patient()
    assert (patient.fail(ProviderRateLimited("x")), patient.fail(ProviderRateLimited("x"))) == (None, 30)


@pytest.mark.parametrize("error", [ProviderBadRequest, ContextLengthExceeded, InvalidRequest])
def test_what_the_caller_did_wrong_counts_against_nobody(error: type[TidegateError]) -> None:
    assert Patient().fail(error("x"), times=9) is None


def test_an_impatient_caller_cools_nothing_down() -> None:
    assert Patient().fail(ProviderTimeout("x"), times=9, waited=0.01, is_over=True) is None
    assert Patient().fail(ProviderTimeout("x"), times=2, waited=10, is_over=True) == 30
    assert Patient().fail(ProviderUnreachable("x"), times=2, waited=0.01, is_over=True) == 30


def test_it_is_on_trial_until_it_answers() -> None:
    patient = Patient()
    patient.fail(ProviderFailed("x"), times=2)
    patient.clock.now += 30
    assert (patient.health.cooldown_ends_at(HERE), patient.health.is_half_open(HERE)) == (None, True)
    patient.health.record_success(HERE)
    assert not patient.health.is_half_open(HERE)


def test_who_fails_on_trial_cools_down_twice_as_long_up_to_ten_minutes() -> None:
    patient, seconds = Patient(), []
    patient.fail(ProviderFailed("x"), times=2)
    for _ in range(6):
        patient.clock.now += 3600
        seconds.append(patient.fail(ProviderFailed("x")))
    assert seconds == [60, 120, 240, 480, 600, 600]
    assert len(patient.health.pending_announcements) == 7


def test_what_is_asked_while_it_cools_down_tells_nothing_new() -> None:
    patient = Patient()
    assert patient.fail(ProviderFailed("x"), times=9) == 30
    assert len(patient.health.pending_announcements) == 1


def test_an_answer_ends_a_cooldown() -> None:
    patient = Patient()
    patient.fail(DENIED)
    patient.health.record_success(HERE)
    assert (patient.health.cooldown_ends_at(HERE), patient.health.is_half_open(HERE)) == (None, False)


def test_a_claim_ends_with_the_answer_or_after_a_while() -> None:
    patient = Patient()
    patient.health.start_trial(HERE)
    assert patient.health.has_trial_running(HERE)
    patient.clock.now += 30
    assert not patient.health.has_trial_running(HERE)
    for end in (lambda: patient.health.record_success(HERE), lambda: patient.fail(InvalidRequest("x"))):
        patient.health.start_trial(HERE)
        end()
        assert not patient.health.has_trial_running(HERE)


def test_speeds_are_averaged_and_the_later_ones_count_more() -> None:
    patient = Patient()
    assert patient.health.first_event_seconds(HERE, True) is None
    patient.health.record_first_event(HERE, 1.0, True)
    patient.health.record_first_event(HERE, 2.0, True)
    assert patient.health.first_event_seconds(HERE, True) == pytest.approx(1.3)
    patient.clock.now += 60
    patient.health.record_first_event(HERE, 3.0, True)
    assert patient.health.first_event_seconds(HERE, True) == pytest.approx(1.3 + 0.632 * 1.7, abs=1e-3)


def test_streams_and_whole_answers_have_speeds_of_their_own() -> None:
    patient = Patient()
    patient.health.record_first_event(HERE, 1.0, True)
    patient.health.record_first_event(HERE, 9.0, False)
    assert (patient.health.first_event_seconds(HERE, True), patient.health.first_event_seconds(HERE, False)) == (
        1.0,
        9.0,
    )


def test_a_speed_is_forgotten_after_five_minutes() -> None:
    patient = Patient()
    patient.health.record_first_event(HERE, 1.0, True)
    patient.clock.now += 301
    assert patient.health.first_event_seconds(HERE, True) is None


def test_what_other_processes_say_is_believed_as_long_as_it_lasts() -> None:
    patient = Patient()
    patient.health.merge_remote(None, {"here": NOON + 20, "there": NOON - 1})
    assert (patient.health.cooldown_ends_at(HERE), patient.health.is_half_open(THERE)) == (NOON + 20, False)
    assert patient.health.pending_announcements == []
    patient.clock.now += 20
    assert (patient.health.cooldown_ends_at(HERE), patient.health.is_half_open(HERE)) == (None, True)


def test_nobody_says_that_for_ever() -> None:
    patient = Patient()
    patient.health.merge_remote(None, {"here": NOON * 1000})
    assert patient.health.cooldown_ends_at(HERE) == NOON + 3_600


def test_what_is_remembered_is_bounded() -> None:
    patient = Patient()
    patient.fail(DENIED)
    for n in range(MAX_DEPLOYMENTS):
        patient.health.start_trial(DeploymentKey("ws", str(n)))
    assert patient.health.cooldown_ends_at(HERE) is None


def test_a_workspaces_own_keys_and_routes_are_places_of_their_own() -> None:
    deployment = Deployment("openai", "gpt-4o", "https://openai.test/v1", "OPENAI_API_KEY")
    ours, own = Resolution((deployment,), ROUTE), Resolution((deployment,), ROUTE, is_workspace_route=True)
    owner = replace(workspace(), credentials=(WorkspaceCredential("OPENAI_API_KEY", 0),))
    homes = [
        deployment_key_of(deployment, *each).workspace_id
        for each in ((ours, workspace()), (own, workspace()), (ours, owner))
    ]
    assert homes == [None, "ws_one", "ws_one"]


def test_two_labels_are_one_place_and_two_keys_are_two() -> None:
    deployment = Deployment("openai", "gpt-4o", "https://openai.test/v1", "OPENAI_API_KEY")
    plan = Resolution((deployment,), ROUTE)
    others = (replace(deployment, label="fast#2", weight=5), replace(deployment, secret="OTHER_KEY"))
    places = [deployment_key_of(each, plan, workspace()) for each in (deployment, *others)]
    assert (places[0] == places[1], places[0] == places[2]) == (True, False)
