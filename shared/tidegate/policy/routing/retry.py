"""When a failed attempt is worth another one, and how long to wait for it.

Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
Retry budget: https://sre.google/sre-book/handling-overload/ ("deciding to retry": a budget for each client)
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from tidegate.errors import ProviderAuth, ProviderModelNotFound, UpstreamError

DEFAULT_RETRIES = 2
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 8.0

LONGEST_RETRY_AFTER_SECONDS = 60.0
"""A provider that asks for more patience than that is left to a fallback, or its answer is the caller's."""

LONGEST_DELAY_BEFORE_FALLBACK_SECONDS = 5.0
"""Who has somebody else to ask waits no longer."""

RETRIES_EARNED_PER_CALL = 0.2
MAX_BUDGET = 20.0

_RETRYABLE_STATUSES = frozenset({408, 409})
"""Beside the classes of errors that are retryable whatever their status: these two say themselves that they pass."""

_UNPAID_CODES = frozenset({"insufficient_quota", "insufficient_balance", "billing_hard_limit_reached"})
"""Codes that come with a 429, and do not pass: nobody has paid."""


class RetryBudget(Struct):
    """What one provider may be asked again: a fifth of its calls, and a few at the start.

    Without it, a provider in trouble would be asked three times as often as one in health.
    """

    left: float = MAX_BUDGET

    def earn(self) -> None:
        """One call was sent."""
        self.left = min(MAX_BUDGET, self.left + RETRIES_EARNED_PER_CALL)

    def spend(self) -> bool:
        """Whether one more retry is affordable; it is then spent."""
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Retries(Struct):
    """The one owner of retries in a process. `draw` gives random numbers from 0 to 1, `sleep` takes seconds."""

    draw: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _budgets: dict[str, RetryBudget] = field(default_factory=dict[str, RetryBudget])

    def budget_of(self, provider: str) -> RetryBudget:
        return self._budgets.setdefault(provider, RetryBudget())

    def delay_seconds(self, error: UpstreamError, provider: str, retry: int, seconds_left: float) -> float | None:
        """Seconds to wait before retry number `retry` (from 0) of the same request; None when none is worth it.

        The provider's own delay is kept to, never shortened; what would take `seconds_left` or longer is not begun.
        """
        if not is_retryable(error):
            return None
        retry_after = error.retry_after_seconds
        backoff = self.draw() * min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**retry)
        seconds = backoff if retry_after is None else retry_after + backoff * 0.1
        if (retry_after is not None and retry_after > LONGEST_RETRY_AFTER_SECONDS) or seconds >= seconds_left:
            return None
        return seconds if self.budget_of(provider).spend() else None


def is_retryable(error: UpstreamError) -> bool:
    """Whether the same request may succeed a moment later. A redirect leads elsewhere for good."""
    status = error.upstream_status or 0
    if error.sent_first_chunk or error.native_code in _UNPAID_CODES or 300 <= status < 400:
        return False
    return error.retryable or error.upstream_status in _RETRYABLE_STATUSES


def is_deployment_fault(error: UpstreamError) -> bool:
    """Whether another deployment of the same model may succeed where this one failed: it is not the request's fault."""
    return (
        error.retryable
        or error.upstream_status in _RETRYABLE_STATUSES
        or isinstance(error, ProviderAuth | ProviderModelNotFound)
    )
