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
from tidegate.policy.routing.attempt_order import Tries

A, SAME, OTHER = (Deployment(provider, "m", url) for provider, url in (("a", "1"), ("a", "2"), ("b", "3")))


def test_each_has_one_try_before_any_has_two() -> None:
    tries, tried = Tries((A, SAME, OTHER)), []
    while tries.is_fresh:
        tried.append((tries.deployment, tries.has_more))
        tries.failed(ProviderOverloaded("x"), at=0)
    assert tried == [(A, True), (SAME, True), (OTHER, False)]


def test_then_it_is_the_turn_of_the_one_that_opens_the_soonest() -> None:
    tries = Tries((A, SAME, OTHER))
    soon = ProviderRateLimited("x", retry_after_seconds=5)
    for at, error in enumerate((ProviderRateLimited("x", retry_after_seconds=30), soon, ProviderAuth("x"))):
        tries.failed(error, at=at)
    assert (tries.soonest(), tries.deployment, tries.is_fresh) == (soon, SAME, False)


@pytest.mark.parametrize(
    ("error", "following"),
    [
        (ProviderAuth("x"), SAME),
        (NotConfigured("x"), SAME),
        (ContextLengthExceeded("x"), OTHER),
        (UnsupportedParameter("x"), OTHER),
        (QuotaExhausted("x", limit="usd_per_day", most=1), OTHER),
        (RateLimited("x", limit="requests_per_minute", most=1), None),
        (ProviderBadRequest("x"), None),
        (StoreUnavailable("x"), None),
    ],
)
def test_who_comes_next_is_who_may_do_better(error: TidegateError, following: Deployment | None) -> None:
    tries = Tries((A, SAME, OTHER))
    tries.failed(error, at=0)
    assert (tries.deployment if tries.is_fresh else None) == following


def test_there_is_no_next_one_once_the_time_is_over() -> None:
    tries = Tries((A, SAME))
    tries.failed(ProviderOverloaded("x"), at=0, may_move=False)
    assert not tries.is_fresh


def test_the_caller_hears_of_the_first_or_of_what_may_pass() -> None:
    tries = Tries((A, SAME, OTHER))
    for error in (ProviderAuth("first"), ProviderOverloaded("hopeful"), ProviderOverloaded("late")):
        tries.failed(error, at=0)
    assert tries.told.message == "hopeful"


def test_of_one_deployment_the_caller_hears_the_last() -> None:
    tries = Tries((A,))
    for message in ("first", "last"):
        tries.failed(ProviderOverloaded(message), at=0)
    assert tries.told.message == "last"
