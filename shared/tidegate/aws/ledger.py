"""The accounts of limits in DynamoDB: one conditional write books a call, and its condition states the limits.

| item | pk | sk |
|---|---|---|
| a workspace's account | `WS#<id>`, and `WS#<id>#<shard>` of the other shards | `ACCOUNT` |
| a key's account | `ACCOUNT#<key id>` | `ACCOUNT` |

Attributes: `holds` by call id; those of batches, `batch#<call id>`, and their number, `batch_holds`; the booked amounts
`usd#M#2026-11-01`, …; for the rates, `minute`, `minute_calls` and the ring `minute_0` to `minute_15`. One account is
booked with an `UpdateItem`, two with a transaction. If the condition fails, the accounts are read: either a limit
explains it, or another process wrote first and the write is tried again.
"""

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.aws.expressions import Attr, Condition, Put, Update, UpdateExpression, add_all, all_of
from tidegate.aws.full_shards import FULL_SHARDS_TRIED, FullShards, choose_exceeded_limit
from tidegate.aws.store import MAX_TRANSACTION_ITEMS, ConditionFailed, Item, ItemKey, Store
from tidegate.aws.table import account_item_key, decimals_to_int, hold_item_keys
from tidegate.domain.account import (
    MINUTE_SLOTS,
    Account,
    AccountScope,
    Hold,
    Reservation,
    ScopeKind,
    add_amounts,
    bookings,
    refunds_minute_tokens,
    settlement_bookings,
)
from tidegate.domain.limits import (
    UNITS,
    Amounts,
    ExceededLimit,
    Number,
    booking_name,
    booking_names,
    minute_of,
    period_at,
)
from tidegate.domain.money import exact_money
from tidegate.domain.record import plain_decimal
from tidegate.errors import LimitReached, StoreUnavailable
from tidegate.lazy import load

_ABSENT = Attr("pk").does_not_exist()

RESERVE_TRIES = 12
"""Tries of one reservation, each of which can fail because another process wrote first."""

MAX_REMEMBERED = 10_000

_BATCH_HOLD = "batch#"
_LAST_DAY = "9999-12-31"


class DynamoLedger(Struct, frozen=True):
    """The port `Ledger`. Remembers for each account the minute in which this process last booked a call.

    If that was before the previous minute, the first try starts a new minute in the account: right while calls are
    rare. Otherwise it assumes that another process has started the minute. A wrong guess costs one more try.
    """

    store: Store
    full_shards: FullShards = field(default_factory=FullShards)
    _last_minutes: dict[ItemKey, int] = field(default_factory=dict[ItemKey, int])

    async def reserve(self, reservation: Reservation, replacing: Hold | None = None) -> tuple[Hold, Account | None]:
        """See `Ledger.reserve`. A workspace with shards books the call on the first shard with headroom.

        A hold is replaced on its own shard, even if another one has more headroom.
        """
        first, at = reservation.scopes[0], reservation.hold.at
        if replacing is not None:
            candidate = _on_shard(reservation, replacing.shard)
            try:
                return candidate.hold, await self._reserve(candidate, replacing)
            except _AccountRefused as refusal:
                raise _limit_error(refusal.scope, refusal.exceeded, at) from None
        exceeded_limits: list[ExceededLimit] = []
        for candidate in self._shard_candidates(reservation):
            try:
                return candidate.hold, await self._reserve(candidate)
            except _AccountRefused as refusal:
                # A key's account has no shards, so that trying another shard cannot help.
                if refusal.scope.kind != first.kind or first.shards == 1:
                    raise _limit_error(refusal.scope, refusal.exceeded, at) from None
                self.full_shards.remember(refusal.scope, refusal.exceeded, at)
                exceeded_limits.append(refusal.exceeded)
        raise _limit_error(first, choose_exceeded_limit(exceeded_limits), at)

    async def account(self, scope: AccountScope, first_day: int = 1) -> Account:
        """See `Ledger.account`. An account that does not exist yet is returned as the first call will create it."""
        item_keys = [_account_item_key(replace(scope, shard=shard)) for shard in range(scope.shards)]
        items = await self.store.read_all(item_keys)
        missing = sum(item_key not in items for item_key in item_keys)
        accounts = [account_from_item(item) for item in items.values()]
        if missing and scope.kind == "workspace":
            used_before = await self._usage_before_limits(scope, self.store.clock(), first_day)
            accounts += [Account(booked=dict(used_before)) for _ in range(missing)]
        return load("tidegate.domain.shards", "merge_shards")(accounts)

    def _shard_candidates(self, reservation: Reservation) -> Iterator[Reservation]:
        """Yield the reservation for each shard: its own, then the others in random order, then some that seem full."""
        first, own_shard = reservation.scopes[0], reservation.hold.shard
        if first.shards == 1:
            yield reservation
            return
        full: list[Reservation] = []
        for shard in sorted(random.sample(range(first.shards), first.shards), key=lambda shard: shard != own_shard):
            candidate = _on_shard(reservation, shard)
            if self.full_shards.is_full(candidate.scopes[0], candidate.hold):
                full.append(candidate)
            else:
                yield candidate
        yield from full[:FULL_SHARDS_TRIED]

    async def replace_alerted(self, scope: AccountScope, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
        """See `Ledger.replace_alerted`: one conditional write, which does not create a missing account."""
        warned = Attr("warned")
        is_unchanged = warned.equals(dict(before)) if before else warned.does_not_exist() | warned.equals({})
        condition = Attr("holds").exists() & is_unchanged
        update = Update(self.store.table, dict(_account_item_key(scope)._asdict()), warned.set(dict(after)), condition)
        try:
            await self.store.update(update)
        except ConditionFailed:
            return False
        return True

    async def _reserve(self, reservation: Reservation, replaced: Hold | None = None) -> Account | None:
        hold, scopes = reservation.hold, reservation.scopes
        for scope in scopes:
            _check_limits(Account(), scope, hold, replaced)
        scopes_by_key = {_account_item_key(scope): scope for scope in scopes}
        minute = minute_of(hold.at)
        accounts = {
            scope: Account(minute=self._last_minutes[item_key])
            for item_key, scope in scopes_by_key.items()
            if self._last_minutes.get(item_key, math.inf) < minute - 1
        }
        for _ in range(RESERVE_TRIES):
            writes = [
                self._hold_update(scope, hold, accounts.get(scope))
                if replaced is None
                else _replacement(self.store, scope, hold, replaced)
                for scope in scopes
            ]
            try:
                account = await self._write(writes)
                self._remember(scopes_by_key, minute)
                return account
            except ConditionFailed:
                items = await self.store.read(*scopes_by_key)
                for item_key, scope in scopes_by_key.items():
                    if item_key not in items:
                        await self._open_accounts(scope, hold)
                        continue
                    account = accounts[scope] = account_from_item(items[item_key])
                    booked = account.holds.get(hold.call_id)
                    replaced = replaced if booked == replaced else None  # the sweeper may have settled it
                    if booked is not None and replaced is None:
                        return account
                    _check_limits(account, scope, hold, replaced)
        message = "Too many calls are being booked at the same time; try again in a moment."
        raise StoreUnavailable(message, retry_after_seconds=1)

    def _remember(self, item_keys: Iterable[ItemKey], minute: int) -> None:
        if len(self._last_minutes) >= MAX_REMEMBERED:
            self._last_minutes.clear()
        self._last_minutes.update(dict.fromkeys(item_keys, minute))

    async def _write(self, writes: Sequence[Update]) -> Account | None:
        if len(writes) == 1:
            return account_from_item(await self.store.update(writes[0]))
        await self.store.write(writes)
        return None

    @exact_money
    def _hold_update(self, scope: AccountScope, hold: Hold, account: Account | None) -> Update:
        """Return the write that books the hold. `account` None: it is assumed to be in the call's minute already."""
        item_key = _account_item_key(scope)
        minute = max(minute_of(hold.at), account.minute if account else 0)
        starts_minute = account is not None and account.minute < minute
        update, conditions = _minute_update(scope, hold, minute, starts_minute=starts_minute)
        update &= _hold_attribute(hold).set(_pack_hold(hold)) & add_all(bookings(hold, hold.amounts))
        conditions.append(_hold_attribute(hold).does_not_exist())
        if hold.is_batch:
            update &= Attr("batch_holds").add(1)
        elif scope.parallel_calls is not None:
            conditions.append(Attr("holds").size().lt(scope.parallel_calls))
        needed, names = hold.amounts.by_unit(), booking_names(hold.at, hold.first_day)
        for budget in scope.budgets:
            conditions.append(Attr(names[budget.place]).is_at_most(budget.share - needed[budget.unit]))
        return Update(self.store.table, dict(item_key._asdict()), update, all_of(conditions))

    async def _open_accounts(self, scope: AccountScope, hold: Hold) -> None:
        """Create the workspace's accounts, with the usage from before it had limits divided equally among all shards.

        If some shards exist, because the workspace had fewer before, creates only `scope`'s: their usage also counts
        that part, so that the total is too high rather than too low.
        """
        booked = await self._usage_before_limits(scope, hold.at, hold.first_day) if scope.kind == "workspace" else {}
        attributes: dict[str, object] = {"holds": {}, "minute": 0, "minute_calls": 0, **booked}
        item_keys = [_account_item_key(replace(scope, shard=shard)) for shard in range(scope.shards)]
        puts = [Put(self.store.table, {**item_key._asdict(), **attributes}, _ABSENT) for item_key in item_keys]
        try:
            for begin in range(0, len(puts), MAX_TRANSACTION_ITEMS):
                await self.store.write(puts[begin : begin + MAX_TRANSACTION_ITEMS])
        except ConditionFailed:  # another call has opened it, or some of its shards
            if scope.shards > 1:
                with suppress(ConditionFailed):
                    await self.store.write([puts[scope.shard]])

    async def _usage_before_limits(self, scope: AccountScope, at: float, first_day: int) -> dict[str, Number]:
        """Return one shard's equal part of the usage of the current day and month, from the counters."""
        month, today = period_at("month", at, first_day), period_at("day", at)
        first, day_name = month.name.removeprefix("M#"), today.name.removeprefix("D#")
        find_day_counters = load("tidegate.aws.counters", "find_day_counters")
        days = await find_day_counters(self.store, scope.id, first, _LAST_DAY, scope.shards)
        booked: dict[str, Number] = {}
        for day, items in days.items():
            for span in [month] + [today] * (day == day_name):
                for used in map(_used_amounts, items):
                    add_amounts(booked, {booking_name(unit, span.name): amount for unit, amount in used.items()})
        part_of_shard = load("tidegate.domain.shards", "part_of_shard")
        return {name: part_of_shard(amount, scope.shards) for name, amount in booked.items() if amount}


def settlement_writes(
    store: Store, hold: Hold, actual: Amounts, now: float, kinds: Sequence[ScopeKind] | None = None
) -> list[Update]:
    """Return the writes that replace the hold by the amounts used, in all of its accounts or those of `kinds`.

    They fail if the hold is already settled, or replaced by another one.
    """
    update = _hold_attribute(hold).remove() & add_all(_changes(hold, actual, now))
    if hold.is_batch:
        update &= Attr("batch_holds").add(-1)
    condition = _hold_attribute(hold).equals(_pack_hold(hold))
    item_keys = hold_item_keys(hold)
    kinds = kinds or hold.account_kinds
    return [Update(store.table, dict(item_keys[kind]._asdict()), update, condition) for kind in kinds]


@exact_money
def _replacement(store: Store, scope: AccountScope, hold: Hold, replaced: Hold) -> Update:
    """Return the write that books `hold` in place of `replaced`. What grows must fit; the call is not counted again."""
    update = _hold_attribute(hold).set(_pack_hold(hold)) & add_all(_changes(replaced, hold.amounts, store.clock()))
    condition = _hold_attribute(hold).equals(_pack_hold(replaced))
    for budget in scope.limits.budgets():
        growth = hold.amounts.of(budget.unit) - replaced.amounts.of(budget.unit)
        if growth > 0:
            name = booking_name(budget.unit, period_at(budget.span, hold.at, hold.first_day).name)
            maximum = scope.share(budget.maximum) - growth
            condition &= Attr(name).is_at_most(maximum)
    growth = hold.amounts.tokens - replaced.amounts.tokens
    if scope.limits.tokens_per_minute is not None and growth > 0 and not hold.is_batch:
        minute, maximum = minute_of(hold.at), scope.share(scope.limits.tokens_per_minute) - growth
        condition &= Attr("minute").not_equals(minute) | Attr(_ring_name(minute)).lte(maximum)
    return Update(store.table, dict(_account_item_key(scope)._asdict()), update, condition)


def _changes(hold: Hold, actual: Amounts, now: float) -> dict[str, Number]:
    """Return the changes of the accounts' attributes if `actual` replaces the hold's amounts."""
    booked = settlement_bookings(hold, actual)
    unused = actual.tokens - hold.amounts.tokens
    if unused and refunds_minute_tokens(hold, now):
        booked[_ring_name(minute_of(hold.at))] = unused
    return booked


def account_from_item(item: Item | None) -> Account:
    """Return the account that the item holds; an empty account for None."""
    if item is None:
        return Account()
    account = Account(minute=int(str(item.get("minute", 0))), minute_calls=int(str(item.get("minute_calls", 0))))
    packed = msgspec.convert(item.get("holds", {}), dict[str, str])
    account.holds = {call_id: _unpack_hold(call_id, text) for call_id, text in packed.items()}
    for name, value in item.items():
        if type(value) is Decimal:
            unit = name.partition("#")[0]
            if unit in UNITS:
                account.booked[name] = value if unit == "usd" else int(value)
            elif name.startswith("minute_") and name != "minute_calls":
                account.minute_tokens[int(name.removeprefix("minute_"))] = int(value)
        elif type(value) is str and name.startswith(_BATCH_HOLD):
            call_id = name.removeprefix(_BATCH_HOLD)
            account.holds[call_id] = replace(_unpack_hold(call_id, value), is_batch=True)
    account.alerted_thresholds = msgspec.convert(decimals_to_int(item.get("warned", {})), dict[str, int])
    return account


_PackedHold: TypeAlias = tuple[str, str, str, int, int, Decimal, int, float, float, tuple[ScopeKind, ...], int, int]
_decode_packed_hold = msgspec.json.Decoder(_PackedHold).decode


def _pack_hold(hold: Hold) -> str:
    """The hold as a JSON list, to keep accounts small: DynamoDB limits their size, and bills it with each write."""
    amounts = hold.amounts
    names = (hold.workspace_id, hold.key_id, hold.model)
    numbers = (amounts.tokens, amounts.words, plain_decimal(amounts.usd), hold.input_tokens, hold.at, hold.expires_at)
    return msgspec.json.encode((*names, *numbers, hold.account_kinds, hold.first_day, hold.shard)).decode()


@lru_cache(MAX_REMEMBERED)
def _unpack_hold(call_id: str, text: str) -> Hold:
    """The hold that `_pack_hold` has packed. Each write of an account returns all that it has."""
    packed = _decode_packed_hold(text)
    workspace_id, key_id, model, tokens, words, usd, input_tokens, at, expires_at, kinds, first_day, shard = packed
    amounts = Amounts(tokens, words, usd)
    return Hold(call_id, workspace_id, key_id, model, amounts, input_tokens, at, expires_at, kinds, first_day, shard)


def _hold_attribute(hold: Hold) -> Attr:
    return Attr(f"{_BATCH_HOLD}{hold.call_id}") if hold.is_batch else Attr("holds", hold.call_id)


class _AccountRefused(Exception):
    """An account has no headroom for a hold."""

    def __init__(self, scope: AccountScope, exceeded: ExceededLimit) -> None:
        super().__init__(exceeded.limit)
        self.scope = scope
        self.exceeded = exceeded


def _check_limits(account: Account, scope: AccountScope, hold: Hold, replaced: Hold | None = None) -> None:
    exceeded = load("tidegate.domain.limit_error", "exceeded_limit")(account, scope, hold, replaced)
    if exceeded is not None:
        raise _AccountRefused(scope, exceeded)


def _limit_error(scope: AccountScope, exceeded: ExceededLimit, at: float) -> LimitReached:
    return load("tidegate.domain.limit_error", "limit_error")(scope, exceeded, at)


def _on_shard(reservation: Reservation, shard: int) -> Reservation:
    """The reservation with its first account on that shard."""
    first, *others = reservation.scopes
    return Reservation(replace(reservation.hold, shard=shard), (replace(first, shard=shard), *others))


def _account_item_key(scope: AccountScope) -> ItemKey:
    return account_item_key(scope.kind, scope.id, scope.shard)


def _minute_update(
    scope: AccountScope, hold: Hold, minute: int, *, starts_minute: bool
) -> tuple[UpdateExpression, list[Condition]]:
    """The update that counts the call in its minute, and its conditions. `starts_minute`: it has no call yet."""
    limits, ring = scope.limits, Attr(_ring_name(minute))
    conditions = [Attr("holds").exists()]
    if hold.is_batch or (limits.requests_per_minute is None and limits.tokens_per_minute is None):
        return UpdateExpression(), conditions
    tokens = hold.amounts.tokens
    if starts_minute:
        update = Attr("minute").set(minute) & Attr("minute_calls").set(1) & ring.set(tokens)
        return update, [*conditions, Attr("minute").lt(minute)]
    conditions.append(Attr("minute").equals(minute))
    if limits.requests_per_minute is not None:
        conditions.append(Attr("minute_calls").lt(scope.share(limits.requests_per_minute)))
    if limits.tokens_per_minute is not None:
        conditions.append(ring.lte(scope.share(limits.tokens_per_minute) - tokens))
    return Attr("minute_calls").add(1) & ring.add(tokens), conditions


def _ring_name(minute: int) -> str:
    return f"minute_{minute % MINUTE_SLOTS}"


def _used_amounts(item: Item) -> dict[str, Number]:
    tokens = sum(int(str(item.get(name, 0))) for name in ("input_tokens", "output_tokens"))
    return {"tokens": tokens, "words": int(str(item.get("words", 0))), "usd": Decimal(str(item.get("cost_usd", 0)))}
