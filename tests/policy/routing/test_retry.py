"""Which failures are tried again, when, and how often at most."""

import pytest

from tidegate.errors import (
    ContextLengthExceeded,
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
    UpstreamError,
)
from tidegate.policy.routing.retry import MAX_BUDGET, Retries, is_retryable


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ProviderRateLimited("x"), True),
        (ProviderOverloaded("x"), True),
        (ProviderTimeout("x"), True),
        (ProviderFailed("x"), True),
        (ProviderUnreachable("x"), True),
        (ProviderMalformed("x"), True),
        (StreamCut("x"), True),
        (ProviderBadRequest("x", upstream_status=408), True),
        (ProviderBadRequest("x", upstream_status=409), True),
        (ProviderBadRequest("x", upstream_status=400), False),
        (ProviderFailed("x", upstream_status=500), True),
        (ProviderFailed("x", upstream_status=307), False),
        (ContextLengthExceeded("x"), False),
        (ProviderModelNotFound("x"), False),
        (ProviderAuth("x"), False),
    ],
)
def test_what_may_help_is_tried_again(error: UpstreamError, retryable: bool) -> None:
    assert is_retryable(error) is retryable


def test_nothing_is_tried_again_once_the_caller_has_seen_something() -> None:
    error = ProviderFailed("x")
    error.sent_first_chunk = True
    assert not is_retryable(error)


def test_waits_grow_with_full_jitter() -> None:
    longest = [Retries(lambda: 1.0).delay_seconds(ProviderFailed("x"), "p", retry, 100) for retry in range(6)]
    assert longest == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert Retries(lambda: 0.0).delay_seconds(ProviderFailed("x"), "p", 3, 100) == 0.0


def test_the_providers_own_delay_is_never_shortened() -> None:
    error = ProviderRateLimited("x", retry_after_seconds=4)
    assert Retries(lambda: 0.0).delay_seconds(error, "p", 0, 100) == 4
    assert Retries(lambda: 1.0).delay_seconds(error, "p", 0, 100) == pytest.approx(4.05)


@pytest.mark.parametrize(("after", "left"), [(4, 3), (5.5, 1000), (None, 0)])
def test_nothing_waits_beyond_the_deadline_or_for_too_long(after: float | None, left: float) -> None:
    error = ProviderRateLimited("x", retry_after_seconds=after)
    assert Retries(lambda: 0.5).delay_seconds(error, "p", 0, left) is None


def test_a_provider_in_trouble_is_not_stormed() -> None:
    retries = Retries(lambda: 0.0)
    error = ProviderFailed("x")
    allowed = sum(retries.delay_seconds(error, "p", 0, 100) is not None for _ in range(100))
    assert allowed == MAX_BUDGET
    assert retries.delay_seconds(error, "other", 0, 100) is not None
    for _ in range(5):
        retries.earn("p")
    assert retries.delay_seconds(error, "p", 0, 100) is not None
    assert retries.delay_seconds(error, "p", 0, 100) is None


@pytest.mark.parametrize("retries_before", [0, 1])
def test_no_number_of_calls_earns_more_retries_than_a_provider_begins_with(retries_before: int) -> None:
    retries, error = Retries(lambda: 0.0), ProviderFailed("x")
    for _ in range(retries_before):
        assert retries.delay_seconds(error, "p", 0, 100) is not None
    for _ in range(1_000):
        retries.earn("p")
    assert sum(retries.delay_seconds(error, "p", 0, 100) is not None for _ in range(100)) == MAX_BUDGET
