"""The ledger of a part of a batch: one hold for all of its lines, which grows and is used again, line after line.

A line that ends gives back what it did not use, to the next line and without a write. Where open lines need more than
the hold has left, it is replaced by a larger one, with headroom for the lines that come next. A line without room waits
for others to end, and when none is open, the budget is exhausted.
"""

import asyncio
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain.account import Account, AccountScope, Hold, Reservation, ScopeKind
from tidegate.domain.budget_alerts import AccountSnapshot
from tidegate.domain.limit_error import exceeded_limit, limit_error
from tidegate.domain.limits import NO_AMOUNTS, NO_LIMITS, Amounts
from tidegate.domain.money import MONEY
from tidegate.errors import LimitReached
from tidegate.pipeline.shield import run_shielded
from tidegate.ports import Ledger

HEADROOM_LINES = 16
"""Lines that a growing hold has headroom for, beside those that wait, if the budgets allow it."""


class LineStopped(BaseException):
    """A line was waiting for its reservation when the worker stopped: nobody was asked.

    Not an `Exception`: the pipeline would take it for a failure, and ask a fallback.
    """


class Shortage(Struct, frozen=True):
    """The hold of a line that its accounts do not allow, with nothing else of the part open."""

    hold: Hold
    scopes: tuple[AccountScope, ...]

    @property
    def amounts(self) -> Amounts:
        """The amounts that the line needs."""
        return self.hold.amounts


class PartLedger:
    """The port `Ledger` for the lines of a part. `replace_alerted` and `account` are those of the real ledger.

    `slice` is an empty hold of the part: its call id, owner and times. `may_write` is False once the worker's lease is
    over: the hold is another's then. `shortage` is set, and `on_shortage` called, when the budget is exhausted.
    """

    def __init__(
        self, ledger: Ledger, slice: Hold, may_write: Callable[[], bool], on_shortage: Callable[[], None]
    ) -> None:
        self.account, self.replace_alerted = ledger.account, ledger.replace_alerted
        self.hold: Hold | None = None
        self.shortage: Shortage | None = None
        self.snapshot: AccountSnapshot | None = None
        self._ledger, self._slice = ledger, slice
        self._may_write, self._on_shortage = may_write, on_shortage
        self._is_sure = True
        self._scopes: dict[ScopeKind, AccountScope] = {}
        self._open: dict[str, Amounts] = {}
        self._pending: dict[str, Amounts] = {}
        self._taken = Amounts()
        self._growing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._is_closed = False

    async def reserve(self, reservation: Reservation, replacing: Hold | None = None) -> tuple[Hold, Account | None]:
        """See `Ledger.reserve`: the line's hold is booked as a part of this one's. The account is not returned.

        Waits while there is no room. Raises `LimitReached` only for what can never fit, and `LineStopped`. Limits per
        minute and of parallel calls do not apply: they are for live calls.
        """
        hold = reservation.hold
        if any(next(scope.limits.budgets(), None) is not None for scope in reservation.scopes):
            _check_possible(reservation)
            if self._pending or not self._covers(hold.call_id, hold.amounts):
                await self._wait_for_room(reservation)
            self._book(hold.call_id, hold.amounts)
        return hold, None

    def end_line(self, call_id: str, used: Amounts) -> None:
        """Replace what a line holds by what it has used."""
        held = self._open.pop(call_id, None)
        self._taken = _sum(self._taken, used) if held is None else _sum(self._taken, used, _negative(held))
        if self._pending:
            self._changed.set()

    def close(self) -> None:
        """End all waits with `LineStopped`: no line begins any more."""
        self._is_closed = True
        self._changed.set()

    async def booked_hold(self) -> Hold | None:
        """The hold as it is booked. Raises `StoreUnavailable` if the last write was not confirmed, nor can be now."""
        if not self._is_sure:
            await self._look_up_hold()
        return self.hold

    async def _wait_for_room(self, reservation: Reservation) -> None:
        call_id = reservation.hold.call_id
        self._pending[call_id] = reservation.hold.amounts
        if not self._open.keys() - self._pending.keys():
            self._changed.set()  # the line that waits for others to end may wait for this one
        try:
            async with self._growing:
                while not self._covers(call_id, reservation.hold.amounts):
                    if self._is_closed or not self._may_write():
                        raise LineStopped
                    self._changed.clear()
                    await self._grow(reservation)
        finally:
            del self._pending[call_id]

    async def _grow(self, reservation: Reservation) -> None:
        """Book a larger hold; or wait until a line has ended, or for the end of the part."""
        await asyncio.sleep(0)  # lines that begin at the same time are pending then, and need no write of their own
        hold, call_id = reservation.hold, reservation.hold.call_id
        if not self._is_sure:
            await self._look_up_hold()
        self._learn_scopes(reservation)
        least = _sum(self._taken, hold.amounts, _negative(self._open.get(call_id, Amounts())))
        others = [amounts for id, amounts in self._pending.items() if id != call_id]
        for amounts in (_sum(least, *others, *[hold.amounts] * max(HEADROOM_LINES, len(others))), least):
            if await self._book_hold(reservation, amounts):
                return
        if self._open.keys() - self._pending.keys():
            await self._changed.wait()
        else:
            self.shortage = Shortage(hold, reservation.scopes)
            self._on_shortage()
            while not self._is_closed:
                self._changed.clear()
                await self._changed.wait()

    def _learn_scopes(self, reservation: Reservation) -> None:
        """Use the newest limits of the accounts that the hold is booked in. A later hold may have others."""
        known: dict[ScopeKind, AccountScope] = {scope.kind: scope for scope in reservation.scopes}
        if not self._scopes:
            self._scopes = known
        self._scopes = {kind: known.get(kind, replace(scope, limits=NO_LIMITS)) for kind, scope in self._scopes.items()}

    async def _book_hold(self, reservation: Reservation, amounts: Amounts) -> bool:
        """Book the part's hold with these amounts; False if a limit does not allow it."""
        empty = replace(self._slice, account_kinds=tuple(self._scopes), model=reservation.hold.model)
        grown = replace(self.hold or empty, amounts=amounts)
        refusals: list[LimitReached] = []

        async def book() -> None:
            try:
                self.hold, account = await self._ledger.reserve(
                    Reservation(grown, tuple(self._scopes.values())), self.hold
                )
            except LimitReached as error:
                refusals.append(error)
            else:
                self._take_snapshot(account)
            self._is_sure = True

        self._is_sure = False
        await run_shielded(book())  # a cancellation in the middle would leave it unknown which hold is booked
        return not refusals

    def _take_snapshot(self, account: Account | None) -> None:
        scope, slice = next(iter(self._scopes.values())), self._slice
        if account is not None:
            self.snapshot = AccountSnapshot(slice.workspace_id, scope, account, slice.at, slice.first_day)

    async def _look_up_hold(self) -> None:
        for scope in list(self._scopes.values())[:1]:
            account = await self._ledger.account(scope, self._slice.first_day)
            self.hold = account.holds.get(self._slice.call_id)
        self._is_sure = True

    def _covers(self, call_id: str, amounts: Amounts) -> bool:
        if self.hold is None or not self._is_sure:
            return False
        needed, held = _sum(self._taken, amounts, _negative(self._open.get(call_id, Amounts()))), self.hold.amounts
        return needed.tokens <= held.tokens and needed.words <= held.words and needed.usd <= held.usd

    def _book(self, call_id: str, amounts: Amounts) -> None:
        self._taken = _sum(self._taken, amounts, _negative(self._open.get(call_id, Amounts())))
        self._open[call_id] = amounts


def _check_possible(reservation: Reservation) -> None:
    """Raise `LimitReached` for a line that needs more than a whole budget."""
    hold = replace(reservation.hold, is_batch=True)
    for scope in reservation.scopes:
        exceeded = exceeded_limit(Account(), scope, hold)
        if exceeded is not None:
            raise limit_error(scope, exceeded, hold.at)


def _negative(amounts: Amounts) -> Amounts:
    return Amounts(-amounts.tokens, -amounts.words, MONEY.minus(amounts.usd))


def _sum(*amounts: Amounts) -> Amounts:
    tokens, words, usd = 0, 0, NO_AMOUNTS.usd
    for each in amounts:
        tokens += each.tokens
        words += each.words
        usd = MONEY.add(usd, each.usd)
    return Amounts(tokens, words, usd)
