"""The account of a workspace or a key: what is used of its limits, and what its open calls may use yet.

The rules of reserving are here, for both stores: the one in memory follows them directly, the one in DynamoDB states
them as the condition of its write, and asks here why that did not hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.domain.limits import SPANS, UNITS, Amounts, Limits, Number, Span, Unit, minute_of, period

ScopeKind = Literal["workspace", "key"]

RING = 16
"""Minutes for which tokens are counted: a call that ends within them gives back what it did not use of its minute."""

DECIMALS = 18
"""Of amounts of money: shares are whole numbers of the smallest one, so that none is lost and none is made."""

GRACE_SECONDS = 60.0
"""After a call's deadline, for settling it. A hold that is older has lost its process."""


class Scope(Struct, frozen=True):
    """Whose limits they are. `shard` of `shards`: a busy workspace's account is in parts, each with its share."""

    kind: ScopeKind
    id: str
    limits: Limits
    shard: int = 0
    shards: int = 1

    def share(self, most: Number) -> Number:
        """Of a limit: an equal one for each shard, what is left over for the first ones. Together exactly `most`."""
        if self.shards == 1:
            return most
        if isinstance(most, Decimal):
            return Decimal(self._part(int(most.scaleb(DECIMALS)))).scaleb(-DECIMALS)
        return self._part(most)

    def _part(self, whole: int) -> int:
        return whole // self.shards + (self.shard < whole % self.shards)

    @property
    def whole(self) -> "Scope":
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
    kinds: tuple[ScopeKind, ...] = ("workspace",)
    first_day: int = 1
    shard: int = 0


class Reservation(Struct, frozen=True):
    """A hold, and the accounts that must have room for it: one or two."""

    hold: Hold
    scopes: tuple[Scope, ...]


class Account(Struct):
    """`booked` is used and held together, by `booked_name`; `minute_tokens` is a ring by the minute's number."""

    booked: dict[str, Number] = field(default_factory=dict[str, Number])
    holds: dict[str, Hold] = field(default_factory=dict[str, Hold])
    minute: int = 0
    minute_calls: int = 0
    minute_tokens: dict[int, int] = field(default_factory=dict[int, int])
    warned: dict[str, int] = field(default_factory=dict[str, int])


class Refusal(NamedTuple):
    """Why there is no room: the field of `Limits`, what it allows, what is left, and until when (UTC seconds)."""

    limit: str
    most: Number
    left: Number
    resets_at: float


class Rate(NamedTuple):
    """Of a limit for each minute: what it allows, what is left of it, and the seconds until it is whole again."""

    limit: int
    remaining: int
    reset_seconds: float


Entries: TypeAlias = Mapping[str, Number]


def booked_name(unit: str, period_name: str) -> str:
    return f"{unit}#{period_name}"


def entries(hold: Hold, amounts: Amounts) -> dict[str, Number]:
    """What booking those amounts adds to the account, by name."""
    names = {span: period(span, hold.at, hold.first_day).name for span in SPANS}
    return {booked_name(unit, names[span]): amounts.of(unit) for unit in UNITS for span in SPANS if amounts.of(unit)}


def refusal(account: Account, scope: Scope, hold: Hold) -> Refusal | None:
    """The first limit that leaves no room for the hold."""
    limits, amounts = scope.limits, hold.amounts
    minute = max(account.minute, minute_of(hold.at))
    calls, tokens = used_of_minute(account, minute)
    next_minute = (minute + 1) * 60.0
    for name, most, used, more in (
        ("requests_per_minute", limits.requests_per_minute, calls, 1),
        ("tokens_per_minute", limits.tokens_per_minute, tokens, amounts.tokens),
    ):
        if most is not None and used + more > scope.share(most):
            return Refusal(name, most, max(0, scope.share(most) - used), next_minute)
    if limits.parallel_calls is not None and len(account.holds) >= scope.share(limits.parallel_calls):
        return Refusal("parallel_calls", limits.parallel_calls, 0, hold.at + 1)
    for budget in limits.budgets():
        now = period(budget.span, hold.at, hold.first_day)
        booked = account.booked.get(booked_name(budget.unit, now.name), 0)
        left = scope.share(budget.most) - booked
        if amounts.of(budget.unit) > left:
            return Refusal(budget.name, budget.most, max(0, left), now.ends)
    return None


def put(account: Account, hold: Hold) -> None:
    """Book the hold, for which there is room."""
    minute = minute_of(hold.at)
    if minute > account.minute:
        account.minute, account.minute_calls = minute, 0
        account.minute_tokens[minute % RING] = 0
    account.minute_calls += 1
    _count(account, account.minute, hold.amounts.tokens)
    account.holds[hold.call_id] = hold
    _book(account, entries(hold, hold.amounts))


def settle(account: Account, hold: Hold, actual: Amounts, now: float) -> None:
    """Book what was used in place of the hold."""
    del account.holds[hold.call_id]
    _book(account, difference(hold, actual))
    if gives_back_tokens(hold, now):
        _count(account, minute_of(hold.at), actual.tokens - hold.amounts.tokens)


def difference(hold: Hold, actual: Amounts) -> dict[str, Number]:
    """What settling adds to the account: negative where less was used than held."""
    held, used = entries(hold, hold.amounts), entries(hold, actual)
    changes = {name: used.get(name, 0) - held.get(name, 0) for name in held | used}
    return {name: change for name, change in changes.items() if change}


def gives_back_tokens(hold: Hold, now: float) -> bool:
    """Whether the hold's minute is still in the ring, with one to spare for clocks that differ."""
    return minute_of(now) - minute_of(hold.at) < RING - 1


def together(parts: Sequence[Account]) -> Account:
    """The parts of a busy workspace's account as one. What it was warned of is with the first.

    Of rates, it has the latest minute that any of them knows.
    """
    whole = Account(minute=max((part.minute for part in parts), default=0))
    whole.warned = dict(parts[0].warned) if parts else {}
    for part in parts:
        whole.holds.update(part.holds)
        _book(whole, part.booked)
        if part.minute == whole.minute:
            whole.minute_calls += part.minute_calls
            _count(whole, whole.minute, part.minute_tokens.get(whole.minute % RING, 0))
    return whole


def used(account: Account, unit: Unit, span: Span, at: float, first_day: int = 1) -> Number:
    """What has been used in that period, without what open calls hold."""
    name = period(span, at, first_day).name
    held = (hold for hold in account.holds.values() if period(span, hold.at, first_day).name == name)
    return account.booked.get(booked_name(unit, name), 0) - sum(hold.amounts.of(unit) for hold in held)


def overdue(account: Account, now: float) -> list[Hold]:
    """The holds of calls that have lost their process, oldest first."""
    return sorted((hold for hold in account.holds.values() if hold.expires_at < now), key=lambda hold: hold.at)


def rates(account: Account, scope: Scope, now: float) -> dict[str, Rate]:
    """ "requests" and "tokens", where they are limited for each minute."""
    return dict(_rates(account, scope, now))


def _rates(account: Account, scope: Scope, now: float) -> Iterator[tuple[str, Rate]]:
    minute = max(account.minute, minute_of(now))
    calls, tokens = used_of_minute(account, minute)
    reset = max(0.0, (minute + 1) * 60.0 - now)
    for name, most, spent in (
        ("requests", scope.limits.requests_per_minute, calls),
        ("tokens", scope.limits.tokens_per_minute, tokens),
    ):
        if most is not None:
            yield name, Rate(most, max(0, int(scope.share(most)) - spent), reset)


def used_of_minute(account: Account, minute: int) -> tuple[int, int]:
    """Calls and tokens of that minute, those of open calls among them."""
    if minute != account.minute:
        return 0, 0
    return account.minute_calls, account.minute_tokens.get(minute % RING, 0)


def _count(account: Account, minute: int, tokens: int) -> None:
    place = minute % RING
    account.minute_tokens[place] = account.minute_tokens.get(place, 0) + tokens


def _book(account: Account, added: Entries) -> None:
    for name, amount in added.items():
        account.booked[name] = account.booked.get(name, 0) + amount
