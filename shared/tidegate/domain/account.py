"""The account of a workspace or a key: how much of its limits is used, and how much its open calls hold.

The rules of reservations, for both stores: the one in memory calls them directly; the one in DynamoDB expresses them as
the condition of its write, and calls `exceeded_limit` to find out why the condition failed.
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_UP, Decimal
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain.limits import (
    DAY_SECONDS,
    SPANS,
    UNITS,
    Amounts,
    Limits,
    Number,
    Span,
    Unit,
    minute_of,
    period_at,
)
from tidegate.domain.money import MONEY, exact_money

ScopeKind = Literal["workspace", "key"]

MINUTE_SLOTS = 16
"""Minutes whose tokens an account counts. A call that ends within them gives unused tokens back to its first minute."""

MONEY_DECIMALS = 18
"""Decimal places of money. A shard's share is a whole number of the smallest unit, so that shares add up exactly."""

SETTLE_GRACE_SECONDS = 60.0
"""Time that a process has to settle a call after its deadline. If a hold is still open then, its process has died."""


class RateShare(NamedTuple):
    """A limit per minute of `unit`, "requests" or "tokens", and a shard's share of it."""

    unit: str
    limit: int
    share: Number


class BudgetShare(NamedTuple):
    """A budget, and a shard's share of its maximum. `name` is the field of `Limits`."""

    name: str
    unit: Unit
    span: Span
    maximum: Number
    share: Number


class AccountScope(Struct, frozen=True, dict=True):
    """Names one shard of an account, with the limits of the whole account. Most accounts have one shard."""

    kind: ScopeKind
    id: str
    limits: Limits
    shard: int = 0
    shards: int = 1

    def share(self, limit: Number) -> Number:
        """This shard's share of a limit. The first shards get the remainder, so that all shares add up to `limit`."""
        return limit if self.shards == 1 else self._own_share(limit)

    @exact_money
    def _own_share(self, limit: Number) -> Number:
        if isinstance(limit, Decimal):
            return Decimal(self._share_of(int(limit.scaleb(MONEY_DECIMALS)))).scaleb(-MONEY_DECIMALS)
        return self._share_of(limit)

    def largest_share(self, limit: Number) -> Number:
        """The largest share that a shard has, which is the most that one call can use."""
        return limit if self.shards == 1 else replace(self, shard=0).share(limit)

    def _share_of(self, amount: int) -> int:
        return amount // self.shards + (self.shard < amount % self.shards)

    @cached_property
    def unsharded(self) -> "AccountScope":
        """The scope of the whole account, all shards together."""
        return replace(self, shard=0, shards=1)

    @cached_property
    def rates(self) -> tuple[RateShare, ...]:
        """The limits per minute, with this shard's shares."""
        limits = (("requests", self.limits.requests_per_minute), ("tokens", self.limits.tokens_per_minute))
        return tuple(RateShare(unit, limit, self.share(limit)) for unit, limit in limits if limit is not None)

    @cached_property
    def parallel_calls(self) -> Number | None:
        """This shard's share of the limit of parallel calls; None without that limit."""
        return None if self.limits.parallel_calls is None else self.share(self.limits.parallel_calls)

    @cached_property
    def budgets(self) -> tuple[BudgetShare, ...]:
        """The budgets, with this shard's shares."""
        return tuple(
            BudgetShare(budget.name, budget.unit, budget.span, budget.maximum, self.share(budget.maximum))
            for budget in self.limits.budgets()
        )


class Hold(Struct, frozen=True):
    """The most that an open call may use, with all that is needed to record the call if its process dies.

    `amounts.tokens` include `input_tokens`; `at` and `expires_at` are UTC seconds; `account_kinds` are the
    accounts in which it is booked; months begin on `first_day`. A part of a batch has one hold for all of its lines
    (`is_batch`): it is booked in budgets alone, and counts neither in the minute nor as a parallel call.
    """

    call_id: str
    workspace_id: str
    key_id: str
    model: str
    amounts: Amounts
    input_tokens: int
    at: float
    expires_at: float
    account_kinds: tuple[ScopeKind, ...] = ("workspace",)
    first_day: int = 1
    shard: int = 0
    is_batch: bool = False


class Reservation(Struct, frozen=True):
    """A hold, and the one or two accounts whose limits must allow it."""

    hold: Hold
    scopes: tuple[AccountScope, ...]


class Account(Struct):
    """The usage of a workspace or a key. `booked` is the sum of used and held amounts by `booking_name`.

    `minute_tokens` are the tokens of the last `MINUTE_SLOTS` minutes, by the minute's number modulo `MINUTE_SLOTS`.
    `alerted_thresholds` are the highest per cents that the operator was alerted of, by budget and period.
    """

    booked: dict[str, Number] = {}
    holds: dict[str, Hold] = {}
    minute: int = 0
    minute_calls: int = 0
    minute_tokens: dict[int, int] = {}
    alerted_thresholds: dict[str, int] = {}


class ExceededLimit(NamedTuple):
    """The limit that refuses a call: its field of `Limits`, its value, what remains, and its reset (UTC seconds).

    `needed` is what the call may use, `largest` the most that the limit can allow a call. Of what is not remaining,
    open calls hold `held`, and give back what they do not use.
    """

    limit: str
    maximum: Number
    remaining: Number
    resets_at: float
    needed: Number = 0
    largest: Number = 0
    held: Number = 0


class RateStatus(NamedTuple):
    """A limit per minute: its value, what remains of it in this minute, and the seconds until the next minute."""

    limit: int
    remaining: int
    reset_seconds: float


Bookings: TypeAlias = Mapping[str, Number]


def booking_name(unit: str, period_name: str) -> str:
    return f"{unit}#{period_name}"


def booking_names(at: float, first_day: int) -> Mapping[Unit, Mapping[Span, str]]:
    """The names under which amounts are booked at the time `at` (UTC seconds), by unit and span."""
    return _booking_names_of_day(int(at // DAY_SECONDS), first_day)


@lru_cache(64)
def _booking_names_of_day(day: int, first_day: int) -> Mapping[Unit, Mapping[Span, str]]:
    periods: dict[Span, str] = {span: period_at(span, day * DAY_SECONDS, first_day).name for span in SPANS}
    return {unit: {span: booking_name(unit, periods[span]) for span in SPANS} for unit in UNITS}


def bookings(hold: Hold, amounts: Amounts) -> dict[str, Number]:
    """The amounts to add to `Account.booked`, by name: each unit once for the hold's day and once for its month."""
    names, by_unit = booking_names(hold.at, hold.first_day), amounts.by_unit()
    added: dict[str, Number] = {}
    for unit in UNITS:
        amount = by_unit[unit]
        if amount:
            added[names[unit]["day"]] = added[names[unit]["month"]] = amount
    return added


@exact_money
def exceeded_limit(
    account: Account, scope: AccountScope, hold: Hold, replaced: Hold | None = None
) -> ExceededLimit | None:
    """The first limit of the account that does not allow the hold; None if all do.

    `replaced` is the open hold of the same call that the new one replaces: the call is counted already, and what that
    hold has booked is available to the new one.
    """
    if not hold.is_batch:
        if replaced is None:
            exceeded = _exceeded_rate(account, scope, hold)
        else:
            exceeded = _exceeded_tokens(account, scope, hold, replaced)
        if exceeded is not None:
            return exceeded
    booked, names = account.booked, booking_names(hold.at, hold.first_day)
    needed, own = hold.amounts.by_unit(), None if replaced is None else replaced.amounts.by_unit()
    for budget in scope.budgets:
        amount, name = needed[budget.unit], names[budget.unit][budget.span]
        available = budget.share - booked[name] if name in booked else budget.share
        if own is not None:
            available += own[budget.unit]
        if amount > available and (own is None or amount > own[budget.unit]):
            return _exceeded_budget(account, scope, budget, hold, available)
    return None


def _exceeded_budget(
    account: Account, scope: AccountScope, budget: BudgetShare, hold: Hold, available: Number
) -> ExceededLimit:
    """The budget that does not allow the hold, and what it has `available` for the call."""
    needed, largest = hold.amounts.of(budget.unit), scope.largest_share(budget.maximum)
    held = budget.share - available - used_amount(account, budget.unit, budget.span, hold.at, hold.first_day)
    ends_at = period_at(budget.span, hold.at, hold.first_day).ends_at
    return ExceededLimit(budget.name, budget.maximum, max(0, available), ends_at, needed, largest, held)


def _exceeded_rate(account: Account, scope: AccountScope, hold: Hold) -> ExceededLimit | None:
    """The first limit per minute, or of parallel calls, that does not allow a call which is not counted yet."""
    minute = minute_of(hold.at)
    if account.minute > minute:
        minute = account.minute
    calls, tokens = minute_usage(account, minute)
    for unit, limit, share in scope.rates:
        used, requested = (calls, 1) if unit == "requests" else (tokens, hold.amounts.tokens)
        if used + requested > share:
            largest = scope.largest_share(limit)
            name, remaining = f"{unit}_per_minute", max(0, share - used)
            return ExceededLimit(name, limit, remaining, (minute + 1) * 60.0, requested, largest)
    parallel = scope.parallel_calls
    if parallel is not None and len(account.holds) >= parallel and parallel_calls(account) >= parallel:
        limit = scope.limits.parallel_calls or 0
        return ExceededLimit("parallel_calls", limit, 0, hold.at + 1, 1, scope.largest_share(limit))
    return None


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


def parallel_calls(account: Account) -> int:
    """The number of open calls that count as parallel ones."""
    return sum(not hold.is_batch for hold in account.holds.values())


def replace_hold(account: Account, replaced: Hold, hold: Hold, now: float) -> None:
    """Book `hold` in place of `replaced`. `exceeded_limit` must have returned None for both."""
    settle_hold(account, replaced, hold.amounts, now)
    account.holds[hold.call_id] = hold


def add_hold(account: Account, hold: Hold) -> None:
    """Book the hold. `exceeded_limit` must have returned None for it."""
    if not hold.is_batch:
        minute = minute_of(hold.at)
        if minute > account.minute:
            account.minute, account.minute_calls = minute, 0
            account.minute_tokens[minute % MINUTE_SLOTS] = 0
        account.minute_calls += 1
        _add_minute_tokens(account, account.minute, hold.amounts.tokens)
    account.holds[hold.call_id] = hold
    add_amounts(account.booked, bookings(hold, hold.amounts))


def settle_hold(account: Account, hold: Hold, actual: Amounts, now: float) -> None:
    """Replace the hold with the amounts that the call actually used."""
    del account.holds[hold.call_id]
    add_amounts(account.booked, settlement_bookings(hold, actual))
    unused = hold.amounts.tokens - actual.tokens
    if unused and refunds_minute_tokens(hold, now):
        _add_minute_tokens(account, minute_of(hold.at), -unused)


def settlement_bookings(hold: Hold, actual: Amounts) -> dict[str, Number]:
    """The amounts that settling adds to `Account.booked`: negative if less was used than held."""
    held, usd = hold.amounts, MONEY.subtract(actual.usd, hold.amounts.usd)
    return bookings(hold, Amounts(actual.tokens - held.tokens, actual.words - held.words, usd))


def refunds_minute_tokens(hold: Hold, now: float) -> bool:
    """True while the account still counts the hold's minute. One slot is spare, for clocks that differ."""
    return not hold.is_batch and minute_of(now) - minute_of(hold.at) < MINUTE_SLOTS - 1


def merge_shards(shards: Sequence[Account]) -> Account:
    """One account of all shards: amounts are added, the minute is the latest, thresholds are the first shard's."""
    merged = Account(minute=max((shard.minute for shard in shards), default=0))
    merged.alerted_thresholds = dict(shards[0].alerted_thresholds) if shards else {}
    for shard in shards:
        merged.holds.update(shard.holds)
        add_amounts(merged.booked, shard.booked)
        if shard.minute == merged.minute:
            merged.minute_calls += shard.minute_calls
            _add_minute_tokens(merged, merged.minute, shard.minute_tokens.get(merged.minute % MINUTE_SLOTS, 0))
    return merged


@exact_money
def part_of_shard(amount: Number, shards: int) -> Number:
    """The amount divided by the number of shards, rounded up."""
    if shards == 1:
        return amount
    if isinstance(amount, Decimal):
        return (amount / shards).quantize(Decimal(1).scaleb(-MONEY_DECIMALS), ROUND_UP)
    return -(-amount // shards)


@exact_money
def used_amount(account: Account, unit: Unit, span: Span, at: float, first_day: int = 1) -> Number:
    """The amount used in the period of `at`, without what open calls hold."""
    name = period_at(span, at, first_day).name
    held = (hold for hold in account.holds.values() if period_at(span, hold.at, first_day).name == name)
    return account.booked.get(booking_name(unit, name), 0) - sum(hold.amounts.of(unit) for hold in held)


def overdue_holds(account: Account, now: float) -> list[Hold]:
    """The holds of calls whose process has died, oldest first."""
    return sorted((hold for hold in account.holds.values() if hold.expires_at < now), key=lambda hold: hold.at)


def rate_statuses(account: Account, scope: AccountScope, now: float) -> dict[str, RateStatus]:
    """The limits per minute by unit, "requests" and "tokens"; units without a limit are absent."""
    minute = max(minute_of(now), account.minute)
    calls, tokens = minute_usage(account, minute)
    statuses: dict[str, RateStatus] = {}
    for unit, limit, share in scope.rates:
        remaining = int(share) - (calls if unit == "requests" else tokens)
        statuses[unit] = RateStatus(limit, remaining if remaining > 0 else 0, (minute + 1) * 60.0 - now)
    return statuses


def minute_usage(account: Account, minute: int) -> tuple[int, int]:
    """The calls and tokens of the minute, including those that open calls hold."""
    if minute != account.minute:
        return 0, 0
    return account.minute_calls, account.minute_tokens.get(minute % MINUTE_SLOTS, 0)


def _add_minute_tokens(account: Account, minute: int, tokens: int) -> None:
    slot, tokens_by_slot = minute % MINUTE_SLOTS, account.minute_tokens
    tokens_by_slot[slot] = tokens_by_slot[slot] + tokens if slot in tokens_by_slot else tokens


def add_amounts(sums: dict[str, Number], amounts: Bookings) -> None:
    """Add each amount to the sum of its name. Money is added exactly."""
    for name, amount in amounts.items():
        # `get` would be a call for each of some ten counters.
        total = sums[name] if name in sums else 0  # noqa: SIM401
        sums[name] = MONEY.add(total, amount) if type(amount) is Decimal or type(total) is Decimal else total + amount
