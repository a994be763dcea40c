"""The account of a workspace or a key: what is used of its limits, and what its open calls may use yet.

The rules of reserving are here, for both stores: the one in memory follows them directly, the one in DynamoDB states
them as the condition of its write, and asks here why that did not hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.domain.limits import SPANS, UNITS, Amounts, Limits, Number, Span, Unit, minute_of, period_at

ScopeKind = Literal["workspace", "key"]

MINUTE_SLOTS = 16
"""Minutes for which tokens are counted: a call that ends within them gives back what it did not use of its minute."""

MONEY_DECIMALS = 18
"""Of amounts of money: shares are whole numbers of the smallest one, so that none is lost and none is made."""

SETTLE_GRACE_SECONDS = 60.0
"""After a call's deadline, for settling it. A hold that is older has lost its process."""


class AccountScope(Struct, frozen=True):
    """Whose limits they are. `shard` of `shards`: a busy workspace's account is in parts, each with its share."""

    kind: ScopeKind
    id: str
    limits: Limits
    shard: int = 0
    shards: int = 1

    def share(self, limit: Number) -> Number:
        """Of a limit: an equal one for each shard, what is left over for the first ones. Together exactly `most`."""
        if self.shards == 1:
            return limit
        if isinstance(limit, Decimal):
            return Decimal(self._share_of(int(limit.scaleb(MONEY_DECIMALS)))).scaleb(-MONEY_DECIMALS)
        return self._share_of(limit)

    def _share_of(self, amount: int) -> int:
        return amount // self.shards + (self.shard < amount % self.shards)

    @property
    def unsharded(self) -> "AccountScope":
        """With all shards as one."""
        return replace(self, shard=0, shards=1)


class Hold(Struct, frozen=True):
    """What an open call may use at most. With it alone, a call whose process died can be put on record.

    `input_tokens` are part of the amounts' tokens; `at` and `expires_at` are UTC seconds; `kinds` are the accounts that
    hold it; months begin on `first_day`.
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


class Reservation(Struct, frozen=True):
    """A hold, and the accounts that must have room for it: one or two."""

    hold: Hold
    scopes: tuple[AccountScope, ...]


class Account(Struct):
    """`booked` is used and held together, by `booked_name`; `minute_tokens` is a ring by the minute's number."""

    booked: dict[str, Number] = field(default_factory=dict[str, Number])
    holds: dict[str, Hold] = field(default_factory=dict[str, Hold])
    minute: int = 0
    minute_calls: int = 0
    minute_tokens: dict[int, int] = field(default_factory=dict[int, int])
    alerted_thresholds: dict[str, int] = field(default_factory=dict[str, int])


class ExceededLimit(NamedTuple):
    """Why there is no room: the field of `Limits`, what it allows, what is left, and until when (UTC seconds)."""

    limit: str
    maximum: Number
    remaining: Number
    resets_at: float


class RateStatus(NamedTuple):
    """Of a limit for each minute: what it allows, what is left of it, and the seconds until it is whole again."""

    limit: int
    remaining: int
    reset_seconds: float


Bookings: TypeAlias = Mapping[str, Number]


def booking_name(unit: str, period_name: str) -> str:
    return f"{unit}#{period_name}"


def bookings(hold: Hold, amounts: Amounts) -> dict[str, Number]:
    """What booking those amounts adds to the account, by name."""
    names = {span: period_at(span, hold.at, hold.first_day).name for span in SPANS}
    return {booking_name(unit, names[span]): amounts.of(unit) for unit in UNITS for span in SPANS if amounts.of(unit)}


def exceeded_limit(account: Account, scope: AccountScope, hold: Hold) -> ExceededLimit | None:
    """The first limit that leaves no room for the hold."""
    limits, amounts = scope.limits, hold.amounts
    minute = max(account.minute, minute_of(hold.at))
    calls, tokens = minute_usage(account, minute)
    next_minute = (minute + 1) * 60.0
    for name, limit, used, requested in (
        ("requests_per_minute", limits.requests_per_minute, calls, 1),
        ("tokens_per_minute", limits.tokens_per_minute, tokens, amounts.tokens),
    ):
        if limit is not None and used + requested > scope.share(limit):
            return ExceededLimit(name, limit, max(0, scope.share(limit) - used), next_minute)
    if limits.parallel_calls is not None and len(account.holds) >= scope.share(limits.parallel_calls):
        return ExceededLimit("parallel_calls", limits.parallel_calls, 0, hold.at + 1)
    for budget in limits.budgets():
        current_period = period_at(budget.span, hold.at, hold.first_day)
        booked = account.booked.get(booking_name(budget.unit, current_period.name), 0)
        remaining = scope.share(budget.maximum) - booked
        if amounts.of(budget.unit) > remaining:
            return ExceededLimit(budget.name, budget.maximum, max(0, remaining), current_period.ends_at)
    return None


def add_hold(account: Account, hold: Hold) -> None:
    """Book the hold, for which there is room."""
    minute = minute_of(hold.at)
    if minute > account.minute:
        account.minute, account.minute_calls = minute, 0
        account.minute_tokens[minute % MINUTE_SLOTS] = 0
    account.minute_calls += 1
    _add_minute_tokens(account, account.minute, hold.amounts.tokens)
    account.holds[hold.call_id] = hold
    _add_bookings(account, bookings(hold, hold.amounts))


def settle_hold(account: Account, hold: Hold, actual: Amounts, now: float) -> None:
    """Book what was used in place of the hold."""
    del account.holds[hold.call_id]
    _add_bookings(account, settlement_bookings(hold, actual))
    if refunds_minute_tokens(hold, now):
        _add_minute_tokens(account, minute_of(hold.at), actual.tokens - hold.amounts.tokens)


def settlement_bookings(hold: Hold, actual: Amounts) -> dict[str, Number]:
    """What settling adds to the account: negative where less was used than held."""
    held, used = bookings(hold, hold.amounts), bookings(hold, actual)
    changes = {name: used.get(name, 0) - held.get(name, 0) for name in held | used}
    return {name: change for name, change in changes.items() if change}


def refunds_minute_tokens(hold: Hold, now: float) -> bool:
    """Whether the hold's minute is still in the ring, with one to spare for clocks that differ."""
    return minute_of(now) - minute_of(hold.at) < MINUTE_SLOTS - 1


def merge_shards(shards: Sequence[Account]) -> Account:
    """The parts of a busy workspace's account as one. What it was warned of is with the first.

    Of rates, it has the latest minute that any of them knows.
    """
    merged = Account(minute=max((part.minute for part in shards), default=0))
    merged.alerted_thresholds = dict(shards[0].alerted_thresholds) if shards else {}
    for part in shards:
        merged.holds.update(part.holds)
        _add_bookings(merged, part.booked)
        if part.minute == merged.minute:
            merged.minute_calls += part.minute_calls
            _add_minute_tokens(merged, merged.minute, part.minute_tokens.get(merged.minute % MINUTE_SLOTS, 0))
    return merged


def used_amount(account: Account, unit: Unit, span: Span, at: float, first_day: int = 1) -> Number:
    """What has been used in that period, without what open calls hold."""
    name = period_at(span, at, first_day).name
    held = (hold for hold in account.holds.values() if period_at(span, hold.at, first_day).name == name)
    return account.booked.get(booking_name(unit, name), 0) - sum(hold.amounts.of(unit) for hold in held)


def overdue_holds(account: Account, now: float) -> list[Hold]:
    """The holds of calls that have lost their process, oldest first."""
    return sorted((hold for hold in account.holds.values() if hold.expires_at < now), key=lambda hold: hold.at)


def rate_statuses(account: Account, scope: AccountScope, now: float) -> dict[str, RateStatus]:
    """ "requests" and "tokens", where they are limited for each minute."""
    return dict(_rate_statuses(account, scope, now))


def _rate_statuses(account: Account, scope: AccountScope, now: float) -> Iterator[tuple[str, RateStatus]]:
    minute = max(account.minute, minute_of(now))
    calls, tokens = minute_usage(account, minute)
    reset = max(0.0, (minute + 1) * 60.0 - now)
    for name, limit, spent in (
        ("requests", scope.limits.requests_per_minute, calls),
        ("tokens", scope.limits.tokens_per_minute, tokens),
    ):
        if limit is not None:
            yield name, RateStatus(limit, max(0, int(scope.share(limit)) - spent), reset)


def minute_usage(account: Account, minute: int) -> tuple[int, int]:
    """Calls and tokens of that minute, those of open calls among them."""
    if minute != account.minute:
        return 0, 0
    return account.minute_calls, account.minute_tokens.get(minute % MINUTE_SLOTS, 0)


def _add_minute_tokens(account: Account, minute: int, tokens: int) -> None:
    slot = minute % MINUTE_SLOTS
    account.minute_tokens[slot] = account.minute_tokens.get(slot, 0) + tokens


def _add_bookings(account: Account, amounts: Bookings) -> None:
    for name, amount in amounts.items():
        account.booked[name] = account.booked.get(name, 0) + amount
