"""The account of a workspace or a key: how much of its limits is used, and how much its open calls hold.

The rules of reservations, for both stores: the one in memory calls them directly; the one in DynamoDB expresses them as
the condition of its write. `limit_error.exceeded_limit` finds out why an account does not allow a hold.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from operator import gt
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain.limits import (
    BOOKINGS,
    Amounts,
    Limits,
    Number,
    Span,
    Unit,
    booking_name,
    booking_names,
    minute_of,
    period_at,
)
from tidegate.domain.money import MONEY, exact_money

ScopeKind = Literal["workspace", "key"]

Bound: TypeAlias = Number | float
"""A shard's share of a limit; infinite without that limit."""

_UNBOUNDED: Mapping[Unit, Bound] = {"tokens": math.inf, "words": math.inf, "usd": Decimal("Infinity")}

_add_money, _divide = MONEY.add, MONEY.divide

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
    share: int


class BudgetShare(NamedTuple):
    """A budget, and a shard's share of it. `name` is the field of `Limits`, `place` its index in `BOOKINGS`."""

    name: str
    unit: Unit
    span: Span
    maximum: Number
    share: Number
    place: int


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
        return tuple(RateShare(unit, limit, int(self.share(limit))) for unit, limit in limits if limit is not None)

    @cached_property
    def parallel_calls(self) -> Number | None:
        """This shard's share of the limit of parallel calls; None without that limit."""
        return None if self.limits.parallel_calls is None else self.share(self.limits.parallel_calls)

    @cached_property
    def rate_shares(self) -> tuple[Bound, Bound, Bound]:
        """This shard's shares of requests and tokens per minute, and of parallel calls."""
        shares, parallel = {rate.unit: rate.share for rate in self.rates}, self.parallel_calls
        requests, tokens = shares.get("requests", math.inf), shares.get("tokens", math.inf)
        return requests, tokens, math.inf if parallel is None else parallel

    @cached_property
    def budgets(self) -> tuple[BudgetShare, ...]:
        """The budgets, with this shard's shares."""
        return tuple(
            BudgetShare(each.name, *each, self.share(each.maximum), BOOKINGS.index((each.unit, each.span)))
            for each in self.limits.budgets()
        )

    @cached_property
    def budget_shares(self) -> tuple[Bound, ...]:
        """This shard's shares of the budgets, in the order of `BOOKINGS`."""
        return _bounds_of_sums({budget.place: budget.share for budget in self.budgets})

    @cached_property
    def quarters(self) -> tuple[Bound, Bound, Bound]:
        """A fourth of the smaller share of each unit's two budgets: of tokens, words and USD.

        A call that holds more than one of them is large: see `policy.metering.reservation.is_large`.
        """
        shares = self.budget_shares
        tokens, words, usd = _part(min(shares[:2]), 4), _part(min(shares[2:4]), 4), _part(min(shares[4:]), 4)
        return tokens, words, usd

    @cached_property
    def thirds(self) -> tuple[Bound, ...]:
        """A third of each budget of the whole account, in the order of `BOOKINGS`.

        No alert is due before a sum has reached one of them: see `budget_alerts.may_have_crossed`.
        """
        maxima = _bounds_of_sums({budget.place: budget.maximum for budget in self.budgets})
        return tuple([_part(maximum, 3) for maximum in maxima])


def _part(bound: Bound, parts: int) -> Bound:
    """A part of the bound; tokens and words are rounded down."""
    if isinstance(bound, Decimal):
        return _divide(bound, parts)
    return bound if bound == math.inf else bound // parts


def _bounds_of_sums(budgets: Mapping[int, Number]) -> tuple[Bound, ...]:
    """Return the bound of each sum in `BOOKINGS`, in that order: its budget, or infinity for a sum without a budget.

    `budgets` has each budget by the index of its sum in `BOOKINGS`.
    """
    return tuple(budgets.get(index, _UNBOUNDED[unit]) for index, (unit, _) in enumerate(BOOKINGS))


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


class RateStatus(Struct, frozen=True, gc=False):
    """A limit per minute: its value, what remains of it in this minute, and the seconds until the next minute."""

    limit: int
    remaining: int
    reset_seconds: float


Bookings: TypeAlias = Mapping[str, Number]


def bookings(hold: Hold, amounts: Amounts) -> dict[str, Number]:
    """The amounts to add to `Account.booked`, by name: each unit once for the hold's day and once for its month."""
    names, by_unit = booking_names(hold.at, hold.first_day), amounts.by_unit()
    return {name: by_unit[unit] for name, (unit, _) in zip(names, BOOKINGS, strict=True) if by_unit[unit]}


def fit_hold(
    account: Account, scope: AccountScope, hold: Hold, replaced: Hold | None = None
) -> dict[str, Number] | None:
    """The sums of `Account.booked` with the hold, by name; None if a limit does not allow it: see `exceeded_limit`.

    `replaced` is the open hold of the same call that the new one replaces: the call is counted already, and what that
    hold has booked is available to the new one.
    """
    amounts = hold.amounts
    tokens, words, usd = amounts.tokens, amounts.words, amounts.usd
    if replaced is not None:
        held = replaced.amounts
        tokens, words, usd = tokens - held.tokens, words - held.words, MONEY.subtract(usd, held.usd)
        if not hold.is_batch and not _fits_minute(account, scope, hold, tokens):
            return None
    elif not hold.is_batch:
        requests_share, tokens_share, parallel_share = scope.rate_shares
        minute, calls, minute_tokens = int(hold.at // 60), 0, 0
        if minute <= account.minute:  # the clock may be late
            calls, minute_tokens = account.minute_calls, account.minute_tokens.get(account.minute % MINUTE_SLOTS, 0)
        if (
            calls >= requests_share
            or minute_tokens + tokens > tokens_share
            or (len(account.holds) >= parallel_share and parallel_calls(account) >= parallel_share)
        ):
            return None
    sums = _sums_with(account.booked, booking_names(hold.at, hold.first_day), tokens, words, usd)
    if any(map(gt, sums.values(), scope.budget_shares)):
        added = (tokens, tokens, words, words, usd, usd)
        # In place of another hold, only what grows must fit.
        if replaced is None or any(map(_outgrows, sums.values(), scope.budget_shares, added)):
            return None
    return sums


def _outgrows(total: Number, share: Bound, added: Number) -> bool:
    return total > share and added > 0


def _sums_with(
    booked: Mapping[str, Number],
    names: tuple[str, str, str, str, str, str],
    tokens: int,
    words: int,
    usd: Decimal,
) -> dict[str, Number]:
    """The sums that are booked under `names` with these amounts added, in the order of `BOOKINGS`. Money is exact."""
    tokens_day, tokens_month, words_day, words_month, usd_day, usd_month = names
    try:
        return {
            tokens_day: booked[tokens_day] + tokens,
            tokens_month: booked[tokens_month] + tokens,
            words_day: booked[words_day] + words,
            words_month: booked[words_month] + words,
            usd_day: _add_money(booked[usd_day], usd),
            usd_month: _add_money(booked[usd_month], usd),
        }
    except KeyError:  # the first call of a day
        return _sums_with({**dict.fromkeys(names, 0), **booked}, names, tokens, words, usd)


def _fits_minute(account: Account, scope: AccountScope, hold: Hold, added: int) -> bool:
    """True if the hold's minute has room for the tokens that are added to those of the open hold which it replaces."""
    minute = account.minute
    if added <= 0 or minute != minute_of(hold.at):
        return True
    return account.minute_tokens.get(minute % MINUTE_SLOTS, 0) + added <= scope.rate_shares[1]


def parallel_calls(account: Account) -> int:
    """The number of open calls that count as parallel ones."""
    return sum(not hold.is_batch for hold in account.holds.values())


def replace_hold(account: Account, replaced: Hold, hold: Hold, now: float) -> None:
    """Book `hold` in place of `replaced`. `fit_hold` must have returned sums for it."""
    settle_hold(account, replaced, hold.amounts, now)
    account.holds[hold.call_id] = hold


def add_hold(account: Account, hold: Hold, sums: Bookings) -> None:
    """Book the hold, for which `fit_hold` has returned the sums."""
    if not hold.is_batch:
        minute = int(hold.at // 60)
        if minute > account.minute:
            account.minute, account.minute_calls = minute, 1
            account.minute_tokens[minute % MINUTE_SLOTS] = hold.amounts.tokens
        else:
            account.minute_calls += 1
            add_minute_tokens(account, account.minute, hold.amounts.tokens)
    account.holds[hold.call_id] = hold
    account.booked.update(sums)


def settle_hold(account: Account, hold: Hold, actual: Amounts, now: float) -> None:
    """Replace the hold with the amounts that the call actually used."""
    del account.holds[hold.call_id]
    held, booked, names = hold.amounts, account.booked, booking_names(hold.at, hold.first_day)
    tokens, words, usd = actual.tokens - held.tokens, actual.words - held.words, MONEY.subtract(actual.usd, held.usd)
    booked.update(_sums_with(booked, names, tokens, words, usd))
    if tokens and refunds_minute_tokens(hold, now):
        add_minute_tokens(account, int(hold.at // 60), tokens)


def settlement_bookings(hold: Hold, actual: Amounts) -> dict[str, Number]:
    """The amounts that settling adds to `Account.booked`: negative if less was used than held."""
    held, usd = hold.amounts, MONEY.subtract(actual.usd, hold.amounts.usd)
    return bookings(hold, Amounts(actual.tokens - held.tokens, actual.words - held.words, usd))


def refunds_minute_tokens(hold: Hold, now: float) -> bool:
    """True while the account still counts the hold's minute. One slot is spare, for clocks that differ."""
    return not hold.is_batch and now // 60 - hold.at // 60 < MINUTE_SLOTS - 1


@exact_money
def used_amount(account: Account, unit: Unit, span: Span, at: float, first_day: int = 1) -> Number:
    """The amount used in the period of `at`, without what open calls hold."""
    name = period_at(span, at, first_day).name
    held = (hold for hold in account.holds.values() if period_at(span, hold.at, first_day).name == name)
    return account.booked.get(booking_name(unit, name), 0) - sum(hold.amounts.of(unit) for hold in held)


def rate_statuses(account: Account, scope: AccountScope, now: float) -> dict[str, RateStatus]:
    """The limits per minute by unit, "requests" and "tokens"; units without a limit are absent."""
    minute, calls, tokens = int(now // 60), 0, 0
    if minute <= account.minute:  # the clock may be late
        minute, calls = account.minute, account.minute_calls
        tokens = account.minute_tokens.get(minute % MINUTE_SLOTS, 0)
    statuses: dict[str, RateStatus] = {}
    reset_seconds = (minute + 1) * 60.0 - now
    for unit, limit, share in scope.rates:
        remaining = share - (calls if unit == "requests" else tokens)
        statuses[unit] = RateStatus(limit, remaining if remaining > 0 else 0, reset_seconds)
    return statuses


def minute_usage(account: Account, minute: int) -> tuple[int, int]:
    """The calls and tokens of the minute, including those that open calls hold."""
    if minute != account.minute:
        return 0, 0
    return account.minute_calls, account.minute_tokens.get(minute % MINUTE_SLOTS, 0)


def add_minute_tokens(account: Account, minute: int, tokens: int) -> None:
    """Add tokens to those of the minute."""
    slot, tokens_by_slot = minute % MINUTE_SLOTS, account.minute_tokens
    tokens_by_slot[slot] = tokens_by_slot[slot] + tokens if slot in tokens_by_slot else tokens


def add_amounts(sums: dict[str, Number], amounts: Bookings) -> None:
    """Add each amount to the sum of its name. Money is added exactly."""
    for name, amount in amounts.items():
        total = sums[name] + amount if name in sums else amount
        sums[name] = total if type(total) is int else MONEY.add(sums.get(name, 0), amount)
