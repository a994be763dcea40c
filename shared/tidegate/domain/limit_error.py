"""The error for a call that exceeds a limit."""

from decimal import Decimal

from tidegate.domain.account import AccountScope, ExceededLimit
from tidegate.domain.record import iso_time, plain_decimal
from tidegate.errors import LimitReached, QuotaExhausted, RateLimited


def limit_error(scope: AccountScope, exceeded: ExceededLimit, now: float) -> LimitReached:
    """Return the error that names the exceeded limit, its owner, and when it resets."""
    limit = plain_decimal(exceeded.maximum) if isinstance(exceeded.maximum, Decimal) else str(exceeded.maximum)
    description = f"This {scope.kind}'s limit {exceeded.limit} of {limit}"
    if exceeded.limit == "parallel_calls" or exceeded.limit.endswith("_per_minute"):
        seconds = max(1.0, exceeded.resets_at - now)
        message = f"{description} is reached."
        return RateLimited(
            message,
            limit=exceeded.limit,
            maximum=exceeded.maximum,
            remaining=exceeded.remaining,
            retry_after_seconds=seconds,
        )
    message = f"{description} does not allow this call. It resets at {iso_time(exceeded.resets_at)}."
    return QuotaExhausted(message, limit=exceeded.limit, maximum=exceeded.maximum, remaining=exceeded.remaining)
