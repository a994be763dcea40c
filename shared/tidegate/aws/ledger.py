"""Accounts in DynamoDB: room is taken in one conditional write, whose condition is the limits.

| item | pk | sk |
|---|---|---|
| a workspace's account | `WS#<id>`, and `WS#<id>#<shard>` of the other shards | `ACCOUNT` |
| a key's account | `ACCOUNT#<key id>` | `ACCOUNT` |

Its attributes: `holds` by call id; `usd#M#2026-11-01`, … are what is booked; `minute`, `minute_calls` and the ring
`minute_0` to `minute_15` are rates. One account is one `UpdateItem`; two are one transaction. A condition that did not
hold is read after: either a limit explains it, or another process was quicker, and it is tried again.
"""

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import TypeAlias, cast

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.aws.expressions import Attr, Condition, Put, Update, UpdateExpression, add_all
from tidegate.aws.full_shards import FULL_SHARDS_TRIED, FullShards, choose_exceeded_limit
from tidegate.aws.store import ConditionFailed, Item, ItemKey, Store
from tidegate.aws.table import account_item_key, counters_item_key, decimals_to_int, workspace_partitions
from tidegate.domain.account import (
    MINUTE_SLOTS,
    Account,
    AccountScope,
    ExceededLimit,
    Hold,
    Reservation,
    ScopeKind,
    booking_name,
    bookings,
    exceeded_limit,
    merge_shards,
    refunds_minute_tokens,
    settlement_bookings,
)
from tidegate.domain.limits import UNITS, Amounts, Number, minute_of, period_at
from tidegate.domain.record import plain_decimal
from tidegate.errors import StoreUnavailable
from tidegate.policy.metering.reservation import limit_error

MAX_TRANSACTION_ITEMS = 100
"""Items, which is as many as DynamoDB takes in one transaction."""

_ABSENT = Attr("pk").does_not_exist()

RESERVE_TRIES = 12
"""Of a reservation that others were quicker than."""


MAX_REMEMBERED = 10_000


class DynamoLedger(Struct, frozen=True):
    """The port `Ledger`. Remembers the minutes in which this process took room.

    Where that is longer ago than a minute, it takes itself to be the first in a new one: right where calls are rare,
    and tried again where it is wrong. Where calls are many, another process has probably been the first.
    """

    store: Store
    full_shards: FullShards = field(default_factory=FullShards)
    _last_minutes: dict[ItemKey, int] = field(default_factory=dict[ItemKey, int])

    async def reserve(self, reservation: Reservation) -> tuple[Hold, Account | None]:
        """See `Ledger.reserve`. Of a workspace with shards, one that has room takes the hold, whichever it is."""
        first, at = reservation.scopes[0], reservation.hold.at
        refusals: list[ExceededLimit] = []
        for there in self._shard_candidates(reservation):
            try:
                return there.hold, await self._reserve(there)
            except _AccountRefused as no:
                # A key's account has no shards: what it refuses, no other shard can give.
                if no.scope.kind != first.kind or first.shards == 1:
                    raise limit_error(no.scope, no.exceeded, at) from None
                self.full_shards.remember(no.scope, no.exceeded, at)
                refusals.append(no.exceeded)
        raise limit_error(first, choose_exceeded_limit(refusals), at)

    async def release(self, hold: Hold) -> None:
        """See `Ledger.release`: one transaction."""
        with suppress(ConditionFailed):  # the sweeper was quicker
            await self.store.write(settlement_writes(self.store, hold, Amounts(), self.store.clock()))
        self.full_shards.forget(hold.workspace_id, hold.shard)

    async def account(self, scope: AccountScope, first_day: int = 1) -> Account:
        """See `Ledger.account`. Of an account that no call has opened yet, it is what it will be opened with."""
        shards = [replace(scope, shard=shard) for shard in range(scope.shards)]
        items = await self.store.read_all([_account_item_key(shard) for shard in shards])
        missing = sum(_account_item_key(shard) not in items for shard in shards)
        parts = [account_from_item(item) for item in items.values()]
        if missing and scope.kind == "workspace":
            before = await self._usage_before_limits(scope, self.store.clock(), first_day)
            parts += [Account(booked=dict(before)) for _ in range(missing)]
        return merge_shards(parts)

    def _shard_candidates(self, reservation: Reservation) -> Iterator[Reservation]:
        """On each shard, its own first; of those that are known to be full, some, and at last."""
        first, own = reservation.scopes[0], reservation.hold.shard
        if first.shards == 1:
            yield reservation
            return
        full: list[Reservation] = []
        for shard in sorted(random.sample(range(first.shards), first.shards), key=lambda shard: shard != own):
            there = _on_shard(reservation, shard)
            if self.full_shards.is_full(there.scopes[0], there.hold):
                full.append(there)
            else:
                yield there
        yield from full[:FULL_SHARDS_TRIED]

    async def note(self, scope: AccountScope, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
        """See `Ledger.note`: one conditional write. An account that was closed is not opened for it."""
        said = Attr("warned")
        as_before = said.equals(dict(before)) if before else said.does_not_exist() | said.equals({})
        update = Update(
            self.store.table,
            dict(_account_item_key(scope)._asdict()),
            said.set(dict(after)),
            Attr("holds").exists() & as_before,
        )
        try:
            await self.store.update(update)
        except ConditionFailed:
            return False
        return True

    async def _reserve(self, reservation: Reservation) -> Account | None:
        hold, scopes = reservation.hold, reservation.scopes
        for scope in scopes:
            _check_limits(Account(), scope, hold)
        places = {_account_item_key(scope): scope for scope in scopes}
        rare = {at for at in places if self._last_minutes.get(at, math.inf) < minute_of(hold.at) - 1}
        known = {scope: Account(minute=self._last_minutes[at]) for at, scope in places.items() if at in rare}
        for _ in range(RESERVE_TRIES):
            writes = [self._hold_update(scope, hold, known.get(scope)) for scope in scopes]
            try:
                account = await self._write(writes)
                self._remember(places, minute_of(hold.at))
                return account
            except ConditionFailed:
                items = await self.store.read(*places)
                for at, scope in places.items():
                    if at not in items:
                        await self._open_accounts(scope, hold)
                        continue
                    account = known[scope] = account_from_item(items[at])
                    if hold.call_id in account.holds:
                        return account
                    _check_limits(account, scope, hold)
        raise StoreUnavailable("Too many calls ask for room at once; try again in a moment.", retry_after_seconds=1)

    def _remember(self, places: Iterable[ItemKey], minute: int) -> None:
        if len(self._last_minutes) >= MAX_REMEMBERED:
            self._last_minutes.clear()
        self._last_minutes.update(dict.fromkeys(places, minute))

    async def _write(self, writes: Sequence[Update]) -> Account | None:
        if len(writes) == 1:
            return account_from_item(await self.store.update(writes[0]))
        await self.store.write(writes)
        return None

    def _hold_update(self, scope: AccountScope, hold: Hold, known: Account | None) -> Update:
        """The write that books the hold. Without knowledge of the account, its minute is taken to be the call's."""
        at = _account_item_key(scope)
        minute = max(minute_of(hold.at), known.minute if known else 0)
        begins = known is not None and known.minute < minute
        change, condition = _minute_update(scope, hold, minute, starts_minute=begins)
        change &= Attr("holds", hold.call_id).set(_pack_hold(hold))
        change &= add_all(bookings(hold, hold.amounts))
        condition &= Attr("holds", hold.call_id).does_not_exist()
        if scope.limits.parallel_calls is not None:
            condition &= Attr("holds").size().lt(scope.share(scope.limits.parallel_calls))
        for budget in scope.limits.budgets():
            name = booking_name(budget.unit, period_at(budget.span, hold.at, hold.first_day).name)
            most = scope.share(budget.maximum) - hold.amounts.of(budget.unit)
            condition &= Attr(name).does_not_exist() | Attr(name).lte(most)
        return Update(self.store.table, dict(at._asdict()), change, condition)

    async def _open_accounts(self, scope: AccountScope, hold: Hold) -> None:
        """The account, with what its workspace has used before it had limits: all shards at once, so it counts once.

        Where others are open already, for there were fewer shards, this one alone: too much used, and not too little.
        """
        booked = await self._usage_before_limits(scope, hold.at, hold.first_day) if scope.kind == "workspace" else {}
        opened: dict[str, object] = {"holds": {}, "minute": 0, "minute_calls": 0, **booked}
        shards = [replace(scope, shard=shard) for shard in range(scope.shards)]
        puts = [
            Put(self.store.table, {**_account_item_key(each)._asdict(), **opened}, condition=_ABSENT) for each in shards
        ]
        try:
            for begin in range(0, len(puts), MAX_TRANSACTION_ITEMS):
                await self.store.write(puts[begin : begin + MAX_TRANSACTION_ITEMS])
        except ConditionFailed:  # somebody else opened it, or some of its shards
            if scope.shards > 1:
                with suppress(ConditionFailed):
                    await self.store.write([puts[scope.shard]])

    async def _usage_before_limits(self, scope: AccountScope, at: float, first_day: int) -> dict[str, Number]:
        """The current day and month as the counters have them, an equal part of it for each shard."""
        month, today = period_at("month", at, first_day), period_at("day", at)
        begins = f"D#{month.name.removeprefix('M#')}"
        booked: dict[str, Number] = {}
        for pk in workspace_partitions(scope.id, scope.shards):
            for item in await self.store.query(pk, counters_item_key(scope.id, "D#").sk):
                day = str(item["sk"]).removeprefix("USE#")
                for span in [month] * (day >= begins) + [today] * (day == today.name):
                    for unit, amount in _used_amounts(item).items():
                        name = booking_name(unit, span.name)
                        booked[name] = booked.get(name, 0) + amount
        return {name: _part_of_shard(amount, scope.shards) for name, amount in booked.items() if amount}


def settlement_writes(store: Store, hold: Hold, actual: Amounts, now: float) -> list[Update]:
    """The writes that put what was used in the place of the hold; refused where somebody has settled it already."""
    change = Attr("holds", hold.call_id).remove()
    booked: Mapping[str, Number] = settlement_bookings(hold, actual)
    unused = actual.tokens - hold.amounts.tokens
    if unused and refunds_minute_tokens(hold, now):
        booked = {**booked, _ring_name(minute_of(hold.at)): unused}
    change &= add_all(booked)
    condition = Attr("holds", hold.call_id).exists()
    places = [
        account_item_key(kind, hold.workspace_id if kind == "workspace" else hold.key_id, hold.shard)
        for kind in hold.account_kinds
    ]
    return [Update(store.table, dict(at._asdict()), change, condition) for at in places]


def account_from_item(item: Item | None) -> Account:
    """The account that an item is, an empty one of none."""
    if item is None:
        return Account()
    found = cast("dict[str, object]", decimals_to_int(item))
    account = Account(minute=int(str(found.get("minute", 0))), minute_calls=int(str(found.get("minute_calls", 0))))
    packed = msgspec.convert(found.get("holds", {}), dict[str, str])
    account.holds = {call_id: _unpack_hold(call_id, text) for call_id, text in packed.items()}
    for name, value in found.items():
        if not isinstance(value, int | Decimal):
            continue
        unit = name.partition("#")[0]
        if unit in UNITS:
            account.booked[name] = value
        elif name.startswith("minute_") and name != "minute_calls":
            account.minute_tokens[int(name.removeprefix("minute_"))] = int(value)
    account.alerted_thresholds = msgspec.convert(found.get("warned", {}), dict[str, int])
    return account


_PackedHold: TypeAlias = tuple[str, str, str, int, int, Decimal, int, float, float, tuple[ScopeKind, ...], int, int]


def _pack_hold(hold: Hold) -> str:
    """A hold as a list in JSON: DynamoDB charges an account's size with each write, and has a limit for it."""
    amounts = hold.amounts
    used = (amounts.tokens, amounts.words, plain_decimal(amounts.usd), hold.input_tokens)
    times = (hold.at, hold.expires_at)
    values = (hold.workspace_id, hold.key_id, hold.model, *used, *times, hold.account_kinds, hold.first_day, hold.shard)
    return msgspec.json.encode(values).decode()


def _unpack_hold(call_id: str, text: str) -> Hold:
    (workspace_id, key_id, model, tokens, words, usd, input_tokens, at, expires_at, kinds, first_day, shard) = (
        msgspec.json.decode(text, type=_PackedHold)
    )
    amounts = Amounts(tokens, words, usd)
    return Hold(call_id, workspace_id, key_id, model, amounts, input_tokens, at, expires_at, kinds, first_day, shard)


class _AccountRefused(Exception):
    def __init__(self, scope: AccountScope, exceeded: ExceededLimit) -> None:
        super().__init__(exceeded.limit)
        self.scope = scope
        self.exceeded = exceeded


def _check_limits(account: Account, scope: AccountScope, hold: Hold) -> None:
    why = exceeded_limit(account, scope, hold)
    if why is not None:
        raise _AccountRefused(scope, why)


def _on_shard(reservation: Reservation, shard: int) -> Reservation:
    """With its first account in that shard."""
    first, *others = reservation.scopes
    return Reservation(replace(reservation.hold, shard=shard), (replace(first, shard=shard), *others))


def _account_item_key(scope: AccountScope) -> ItemKey:
    return account_item_key(scope.kind, scope.id, scope.shard)


def _minute_update(
    scope: AccountScope, hold: Hold, minute: int, *, starts_minute: bool
) -> tuple[UpdateExpression, Condition]:
    """How the call counts in its minute, and what must be so for that. `begins`: it is the first one of the minute."""
    limits, ring = scope.limits, Attr(_ring_name(minute))
    there = Attr("holds").exists()
    if limits.requests_per_minute is None and limits.tokens_per_minute is None:
        return UpdateExpression(), there
    tokens = hold.amounts.tokens
    if starts_minute:
        change = Attr("minute").set(minute) & Attr("minute_calls").set(1) & ring.set(tokens)
        return change, there & Attr("minute").lt(minute)
    condition = there & Attr("minute").equals(minute)
    if limits.requests_per_minute is not None:
        condition &= Attr("minute_calls").lt(scope.share(limits.requests_per_minute))
    if limits.tokens_per_minute is not None:
        condition &= ring.lte(scope.share(limits.tokens_per_minute) - tokens)
    return Attr("minute_calls").add(1) & ring.add(tokens), condition


def _ring_name(minute: int) -> str:
    return f"minute_{minute % MINUTE_SLOTS}"


def _used_amounts(item: Item) -> dict[str, Number]:
    tokens = sum(int(str(item.get(name, 0))) for name in ("input_tokens", "output_tokens"))
    return {"tokens": tokens, "words": int(str(item.get("words", 0))), "usd": Decimal(str(item.get("cost_usd", 0)))}


def _part_of_shard(amount: Number, shards: int) -> Number:
    return amount if shards == 1 else amount / shards if isinstance(amount, Decimal) else -(-amount // shards)
