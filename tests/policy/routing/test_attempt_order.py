import pytest

from tidegate.domain.deployment import Deployment
from tidegate.errors import (
    ContextLengthExceeded,
    NotConfigured,
    ProviderAuth,
    ProviderBadRequest,
    ProviderOverloaded,
    ProviderRateLimited,
    QuotaExhausted,
    RateLimited,
    StoreUnavailable,
    TidegateError,
    UnsupportedParameter,
)
from tidegate.policy.routing.attempt_order import AttemptOrder

A, SAME, OTHER = (Deployment(provider, "m", url) for provider, url in (("a", "1"), ("a", "2"), ("b", "3")))


def test_each_has_one_try_before_any_has_two() -> None:
    tries, tried = AttemptOrder(A, (SAME, OTHER)), []
    while tries.is_first_attempt:
        tried.append((tries.deployment, tries.untried))
        tries.fail_over(ProviderOverloaded("x"), at=0)
    assert tried == [(A, (SAME, OTHER)), (SAME, (OTHER,)), (OTHER, ())]


def test_then_it_is_the_turn_of_the_one_that_opens_the_soonest() -> None:
    tries = AttemptOrder(A, (SAME, OTHER))
    soon = ProviderRateLimited("x", retry_after_seconds=5)
    for at, error in enumerate((ProviderRateLimited("x", retry_after_seconds=30), soon, ProviderAuth("x"))):
        tries.fail_over(error, at=at)
    assert (tries.next_retry(), tries.deployment, tries.is_first_attempt) == (soon, SAME, False)


@pytest.mark.parametrize(
    ("error", "following"),
    [
        (ProviderAuth("x"), SAME),
        (NotConfigured("x"), SAME),
        (ContextLengthExceeded("x"), OTHER),
        (UnsupportedParameter("x"), OTHER),
        (QuotaExhausted("x", limit="usd_per_day", maximum=1), OTHER),
        (RateLimited("x", limit="requests_per_minute", maximum=1), None),
        (ProviderBadRequest("x"), None),
        (StoreUnavailable("x"), None),
    ],
)
def test_who_comes_next_is_who_may_do_better(error: TidegateError, following: Deployment | None) -> None:
    tries = AttemptOrder(A, (SAME, OTHER))
    tries.fail_over(error, at=0)
    assert (tries.deployment if tries.is_first_attempt else None) == following


def test_there_is_no_next_one_once_the_time_is_over() -> None:
    tries = AttemptOrder(A, (SAME,))
    tries.fail_over(ProviderOverloaded("x"), at=0, may_move=False)
    assert not tries.is_first_attempt


def test_the_caller_hears_of_the_first_or_of_what_may_pass() -> None:
    tries = AttemptOrder(A, (SAME, OTHER))
    for error in (ProviderAuth("first"), ProviderOverloaded("hopeful"), ProviderOverloaded("late")):
        tries.fail_over(error, at=0)
    assert tries.best_error.message == "hopeful"


def test_of_one_deployment_the_caller_hears_the_last() -> None:
    tries = AttemptOrder(A)
    for message in ("first", "last"):
        tries.fail_over(ProviderOverloaded(message), at=0)
    assert tries.best_error.message == "last"
