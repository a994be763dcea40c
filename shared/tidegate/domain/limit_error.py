"""Which limit a call exceeds, and the error that says so. With DynamoDB, a process loads it when a limit is reached."""

from decimal import ROUND_DOWN, ROUND_UP, Decimal

from tidegate.domain.account import (
    Account,
    AccountScope,
    BudgetShare,
    Hold,
    minute_usage,
    parallel_calls,
    used_amount,
)
from tidegate.domain.limits import ExceededLimit, Number, booking_names, minute_of, period_at
from tidegate.domain.money import exact_money
from tidegate.domain.record import iso_time, plain_decimal
from tidegate.errors import LimitReached, QuotaExhausted, RateLimited

_SHOWN_USD = Decimal("0.000001")


@exact_money
def limit_error(scope: AccountScope, exceeded: ExceededLimit, now: float) -> LimitReached:
    """Return the error that names the exceeded limit and its owner, what the call needs, and whether waiting helps.

    A call that is larger than the whole limit has no `retry_after_seconds`, and clients are told not to retry.
    """
    is_rate = exceeded.limit == "parallel_calls" or exceeded.limit.endswith("_per_minute")
    is_too_large = exceeded.needed > exceeded.largest
    error = (RateLimited if is_rate else QuotaExhausted)(
        _message(scope, exceeded, is_rate=is_rate, is_too_large=is_too_large),
        limit=exceeded.limit,
        maximum=exceeded.maximum,
        remaining=exceeded.remaining,
        largest=exceeded.largest,
        retry_after_seconds=max(1.0, exceeded.resets_at - now) if is_rate and not is_too_large else None,
    )
    if is_too_large:
        error.should_retry = False
    return error


def exceeded_limit(
    account: Account, scope: AccountScope, hold: Hold, replaced: Hold | None = None
) -> ExceededLimit | None:
    """The first limit of the account that does not allow the hold; None if all do, as `fit_hold` finds out sooner.

    `replaced`: see `fit_hold`.
    """
    exceeded = None
    if not hold.is_batch:
        if replaced is None:
            exceeded = _exceeded_rate(account, scope, hold)
        else:
            exceeded = _exceeded_tokens(account, scope, hold, replaced)
    return exceeded or _exceeded_budget(account, scope, hold, replaced)


def _exceeded_rate(account: Account, scope: AccountScope, hold: Hold) -> ExceededLimit | None:
    """The first limit per minute, or else of parallel calls, that does not allow a call which is not counted yet."""
    minute = max(minute_of(hold.at), account.minute)
    calls, tokens = minute_usage(account, minute)
    for unit, limit, share in scope.rates:
        used, needed = (calls, 1) if unit == "requests" else (tokens, hold.amounts.tokens)
        if used + needed > share:
            largest = scope.largest_share(limit)
            name, remaining = f"{unit}_per_minute", max(0, share - used)
            return ExceededLimit(name, limit, remaining, (minute + 1) * 60.0, needed, largest)
    parallel = scope.parallel_calls
    if parallel is None or parallel_calls(account) < parallel:
        return None
    limit = scope.limits.parallel_calls or 0
    return ExceededLimit("parallel_calls", limit, 0, hold.at + 1, 1, scope.largest_share(limit))


def _exceeded_tokens(account: Account, scope: AccountScope, hold: Hold, replaced: Hold) -> ExceededLimit | None:
    """The tokens of the hold's minute if they do not allow the hold in place of `replaced`, which needs fewer."""
    limit, needed = scope.limits.tokens_per_minute, hold.amounts.tokens
    if limit is None or account.minute != minute_of(hold.at) or needed <= replaced.amounts.tokens:
        return None
    used, share = minute_usage(account, account.minute)[1] - replaced.amounts.tokens, scope.share(limit)
    if used + needed <= share:
        return None
    next_minute, largest = (account.minute + 1) * 60.0, scope.largest_share(limit)
    return ExceededLimit("tokens_per_minute", limit, max(0, share - used), next_minute, needed, largest)


@exact_money
def _exceeded_budget(account: Account, scope: AccountScope, hold: Hold, replaced: Hold | None) -> ExceededLimit | None:
    """The first budget that does not allow the hold. In place of `replaced`, only what grows must fit."""
    booked, names = account.booked, booking_names(hold.at, hold.first_day)
    needed, own = hold.amounts.by_unit(), None if replaced is None else replaced.amounts.by_unit()
    for budget in scope.budgets:
        amount, available = needed[budget.unit], budget.share - booked.get(names[budget.place], 0)
        if own is not None:
            available += own[budget.unit]
        if amount > available and (own is None or amount > own[budget.unit]):
            return _explain_budget(account, scope, budget, hold, available)
    return None


def _explain_budget(
    account: Account, scope: AccountScope, budget: BudgetShare, hold: Hold, available: Number
) -> ExceededLimit:
    """The budget that does not allow the hold, and what it has `available` for the call."""
    needed, largest = hold.amounts.of(budget.unit), scope.largest_share(budget.maximum)
    held = budget.share - available - used_amount(account, budget.unit, budget.span, hold.at, hold.first_day)
    ends_at = period_at(budget.span, hold.at, hold.first_day).ends_at
    return ExceededLimit(budget.name, budget.maximum, max(0, available), ends_at, needed, largest, held)


def _message(scope: AccountScope, exceeded: ExceededLimit, *, is_rate: bool, is_too_large: bool) -> str:
    unit = exceeded.limit.partition("_per_")[0]
    limit = f"This {scope.kind}'s limit {exceeded.limit} of {_amount(exceeded.maximum)}"
    has_amount = unit in ("tokens", "words", "usd")
    if is_too_large:
        if not has_amount:
            return f"{limit} allows no calls. Waiting does not help."
        needed, largest = _with_unit(exceeded.needed, unit, up=True), _with_unit(exceeded.largest, unit)
        part = "" if exceeded.largest == exceeded.maximum else f" ({largest} in each of its shards)"
        until = "" if is_rate else f" until it resets at {iso_time(exceeded.resets_at)}"
        return f"{limit} can never allow this call, which may need {needed}{part}. Waiting{until} does not help."
    if not has_amount:
        return f"{limit} is reached."
    needed, remaining = _with_unit(exceeded.needed, unit, up=True), _with_unit(exceeded.remaining, unit)
    if is_rate:
        return f"{limit} is reached: this call may need {needed}, and {remaining} are left in this minute."
    message = f"{limit} does not allow this call: it may need {needed}, and {remaining} are left."
    if exceeded.held and exceeded.needed <= exceeded.remaining + exceeded.held:
        held = _with_unit(exceeded.held, unit)
        message += f" Calls in progress hold {held}, and give back what they do not use."
    return f"{message} The limit resets at {iso_time(exceeded.resets_at)}."


def _with_unit(amount: Number, unit: str, *, up: bool = False) -> str:
    if isinstance(amount, Decimal):
        amount = amount.quantize(_SHOWN_USD, ROUND_UP if up else ROUND_DOWN)
    return f"{_amount(amount)} {'USD' if unit == 'usd' else unit}"


def _amount(amount: Number) -> str:
    return plain_decimal(amount) if isinstance(amount, Decimal) else str(amount)
