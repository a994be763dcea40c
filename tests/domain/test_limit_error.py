"""What a refused call is told: the limit, what it needs, what is left, and whether waiting helps."""

from decimal import Decimal

import pytest

from tidegate.domain.account import AccountScope
from tidegate.domain.limit_error import limit_error
from tidegate.domain.limits import NO_LIMITS, ExceededLimit
from tidegate.errors import QuotaExhausted, RateLimited

SCOPE = AccountScope("workspace", "ws", NO_LIMITS)
NOON = 1_795_953_600.0

CASES = [
    (
        ExceededLimit("usd_per_day", Decimal(50), Decimal("0.5"), NOON, Decimal("0.6400001"), Decimal(50)),
        "This workspace's limit usd_per_day of 50 does not allow this call: it may need 0.640001 USD, and 0.5 USD are"
        " left. The limit resets at 2026-11-29T12:00:00.000Z.",
    ),
    (
        ExceededLimit("tokens_per_day", 900, 100, NOON, 300, 900, 250),
        "This workspace's limit tokens_per_day of 900 does not allow this call: it may need 300 tokens, and 100 tokens"
        " are left. Calls in progress hold 250 tokens, and give back what they do not use. The limit resets at"
        " 2026-11-29T12:00:00.000Z.",
    ),
    (
        ExceededLimit("tokens_per_day", 900, 100, NOON, 300, 900, 150),
        "This workspace's limit tokens_per_day of 900 does not allow this call: it may need 300 tokens, and 100 tokens"
        " are left. The limit resets at 2026-11-29T12:00:00.000Z.",
    ),
    (
        ExceededLimit("words_per_month", 900, 900, NOON, 1000, 900),
        "This workspace's limit words_per_month of 900 can never allow this call, which may need 1000 words. Waiting"
        " until it resets at 2026-11-29T12:00:00.000Z does not help.",
    ),
    (
        ExceededLimit("usd_per_month", Decimal(4), Decimal(1), NOON, Decimal(3), Decimal(1)),
        "This workspace's limit usd_per_month of 4 can never allow this call, which may need 3 USD (1 USD in each of"
        " its shards). Waiting until it resets at 2026-11-29T12:00:00.000Z does not help.",
    ),
    (
        ExceededLimit("tokens_per_minute", 900, 100, NOON, 300, 900),
        "This workspace's limit tokens_per_minute of 900 is reached: this call may need 300 tokens, and 100 tokens are"
        " left in this minute.",
    ),
    (
        ExceededLimit("tokens_per_minute", 900, 100, NOON, 1000, 900),
        "This workspace's limit tokens_per_minute of 900 can never allow this call, which may need 1000 tokens. Waiting"
        " does not help.",
    ),
    (
        ExceededLimit("requests_per_minute", 2, 0, NOON, 1, 2),
        "This workspace's limit requests_per_minute of 2 is reached.",
    ),
    (
        ExceededLimit("parallel_calls", 0, 0, NOON, 1, 0),
        "This workspace's limit parallel_calls of 0 allows no calls. Waiting does not help.",
    ),
]


@pytest.mark.parametrize(("exceeded", "message"), CASES)
def test_a_refusal_says_what_is_needed_what_is_left_and_whether_waiting_helps(
    exceeded: ExceededLimit, message: str
) -> None:
    error = limit_error(SCOPE, exceeded, NOON - 20)
    is_rate, fits = not exceeded.limit.endswith(("_day", "_month")), exceeded.needed <= exceeded.largest
    assert error.message == message
    assert type(error) is (RateLimited if is_rate else QuotaExhausted)
    assert error.retry_after_seconds == (20 if is_rate and fits else None)
    assert error.should_retry is (None if is_rate and fits else False)
    assert (error.remaining, error.largest) == (exceeded.remaining, exceeded.largest)
