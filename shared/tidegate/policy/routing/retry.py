"""Decides whether to retry a failed attempt, and after which delay; limits the retries of each provider.

Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
Retry budget: https://sre.google/sre-book/handling-overload/ ("deciding to retry": a budget for each client)
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

from msgspec import Struct, field

from tidegate.errors import ProviderAuth, ProviderModelNotFound, TidegateError, UpstreamError

DEFAULT_RETRIES = 2
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 8.0

LONGEST_RETRY_AFTER_SECONDS = 5.0
"""A provider that asks for a longer delay is not retried: a fallback answers, or the caller gets its error.

To wait is the caller's choice: it knows what else it could do, and a stream that waits is begun with the status 200.
"""

LONGEST_DELAY_BEFORE_FALLBACK_SECONDS = 5.0
"""The longest delay before a retry if there is another model to fall back to."""

RETRIES_EARNED_PER_CALL = 0.2
MAX_BUDGET = 20.0

_RETRYABLE_STATUSES = frozenset({408, 409})
"""Statuses of temporary conflicts and timeouts, retried in addition to the error classes that are `retryable`."""

_UNPAID_CODES = frozenset({"insufficient_quota", "insufficient_balance", "billing_hard_limit_reached"})
"""Codes of a 429 for an account without credit, which a retry does not help."""


_UNREADABLE = "invalid_encrypted_content"


class RetryBudget(Struct):
    """Limits the retries of one provider to a fifth of its calls, and `MAX_BUDGET` more to begin with.

    Without it, a provider that fails would get three times as many requests as one that works.
    """

    left: float = MAX_BUDGET

    def earn(self) -> None:
        """Add the share of a retry that one request earns."""
        left = self.left + RETRIES_EARNED_PER_CALL
        self.left = left if left < MAX_BUDGET else MAX_BUDGET

    def spend(self) -> bool:
        """Take one retry from the budget; False if it is empty."""
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Retries(Struct):
    """Decides on the retries of one process. `draw` returns random numbers from 0 to 1, `sleep` takes seconds."""

    draw: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _budgets: dict[str, RetryBudget] = field(default_factory=dict[str, RetryBudget])

    def earn(self, provider: str) -> None:
        """Add to the provider's budget the share of a retry that one request earns."""
        budget = self._budgets.get(provider)
        if budget is not None and budget.left < MAX_BUDGET:  # a new one is full
            budget.earn()

    def delay_seconds(self, error: UpstreamError, provider: str, retry: int, seconds_left: float) -> float | None:
        """Return the seconds to wait before retry number `retry` (from 0), or None not to retry: the error does not
        pass, the delay is too long for `seconds_left` or the caller, or the provider's retry budget is empty.

        A delay that the provider asks for is never shortened.
        """
        if not is_retryable(error):
            return None
        retry_after = error.retry_after_seconds
        backoff = self.draw() * min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**retry)
        seconds = backoff if retry_after is None else retry_after + backoff * 0.1
        if (retry_after is not None and retry_after > LONGEST_RETRY_AFTER_SECONDS) or seconds >= seconds_left:
            return None
        return seconds if self._budget_of(provider).spend() else None

    def _budget_of(self, provider: str) -> RetryBudget:
        budget = self._budgets.get(provider)
        if budget is None:
            budget = self._budgets[provider] = RetryBudget()
        return budget


def is_retryable(error: UpstreamError) -> bool:
    """True if the request may succeed a moment later. A redirect does not change by itself."""
    status = error.upstream_status or 0
    if error.sent_first_chunk or error.native_code in _UNPAID_CODES or 300 <= status < 400:
        return False
    return error.retryable or error.upstream_status in _RETRYABLE_STATUSES


def as_final_error(error: TidegateError, retries_made: int, num_retries: int | None) -> TidegateError:
    """Return the error that ends a call. Clients are told not to repeat what the gateway has tried, or what lasts.

    A retry is left to the caller if it switched off the gateway's (`num_retries`), or if the provider names a delay
    that the gateway did not wait. Stock SDKs would otherwise multiply the gateway's retries by theirs.
    """
    if isinstance(error, UpstreamError):
        is_callers = is_retryable(error) and (num_retries == 0 or error.retry_after_seconds is not None)
        error.should_retry = None if is_callers and not retries_made else False
    return error


def is_deployment_fault(error: UpstreamError) -> bool:
    """True if another deployment of the model may succeed: the error is not the request's fault."""
    is_temporary = error.retryable or error.upstream_status in _RETRYABLE_STATUSES
    return is_temporary or isinstance(error, ProviderAuth | ProviderModelNotFound) or cannot_read_reasoning(error)


def cannot_read_reasoning(error: UpstreamError) -> bool:
    """True if another account has encrypted reasoning that is in the request. That account's deployment can read it.

    Source: https://platform.openai.com/docs/guides/reasoning (encrypted reasoning); the code is in OpenAI's replies.
    """
    return error.native_code == _UNREADABLE and not error.sent_first_chunk
