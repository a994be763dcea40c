"""The accounts of limits in dictionaries: exact, because nothing is awaited between checking and booking."""

import time
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from tidegate.domain.account import (
    Account,
    AccountScope,
    Hold,
    Reservation,
    ScopeKind,
    add_hold,
    fit_hold,
    replace_hold,
    settle_hold,
)
from tidegate.domain.limit_error import exceeded_limit, limit_error
from tidegate.domain.limits import Amounts, Number


class MemoryLedger(Struct):
    """The port `Ledger`. A workspace has a single account, whatever its number of shards."""

    clock: Callable[[], float] = time.time
    accounts: dict[tuple[ScopeKind, str], Account] = field(default_factory=dict[tuple[ScopeKind, str], Account])

    async def reserve(self, reservation: Reservation, replacing: Hold | None = None) -> tuple[Hold, Account | None]:
        """See `Ledger.reserve`."""
        hold, scopes = reservation.hold, reservation.scopes
        first = self._account(scopes[0].kind, scopes[0].id)
        booked = first.holds.get(hold.call_id)
        replaced = replacing if booked == replacing else None
        if booked is not None and replaced is None:
            return hold, first
        fitting: list[tuple[Account, dict[str, Number]]] = []
        for scope in scopes:
            account = self._account(scope.kind, scope.id) if fitting else first
            sums = fit_hold(account, scope.unsharded, hold, replaced)
            if sums is None:
                exceeded = exceeded_limit(account, scope.unsharded, hold, replaced)
                # Both apply the same limits.
                assert exceeded is not None  # noqa: S101
                raise limit_error(scope, exceeded, hold.at)
            fitting.append((account, sums))
        for account, sums in fitting:
            if replaced is None:
                add_hold(account, hold, sums)
            else:
                replace_hold(account, replaced, hold, self.clock())
        return hold, first

    async def account(self, scope: AccountScope, first_day: int = 1) -> Account:
        """See `Ledger.account`."""
        return self._account(scope.kind, scope.id)

    async def replace_alerted(self, scope: AccountScope, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
        """See `Ledger.replace_alerted`."""
        account = self._account(scope.kind, scope.id)
        if account.alerted_thresholds != before:
            return False
        account.alerted_thresholds = dict(after)
        return True

    def booked_hold(self, hold: Hold) -> Hold | None:
        """The hold that is booked for the call now; None if it is settled."""
        accounts = [self._account(kind, _account_id(hold, kind)) for kind in hold.account_kinds]
        return next((account.holds[hold.call_id] for account in accounts if hold.call_id in account.holds), None)

    def settle_call(self, hold: Hold, actual: Amounts) -> None:
        """Book the amounts used in place of the call's hold; nothing happens if it was settled before."""
        for kind in hold.account_kinds:
            account = self._account(kind, hold.workspace_id if kind == "workspace" else hold.key_id)
            booked = account.holds.get(hold.call_id)
            if booked is hold or booked == hold:
                settle_hold(account, hold, actual, self.clock())

    def _account(self, kind: ScopeKind, id: str) -> Account:
        key = (kind, id)
        if key not in self.accounts:
            self.accounts[key] = Account()
        return self.accounts[key]


def _account_id(hold: Hold, kind: ScopeKind) -> str:
    return hold.workspace_id if kind == "workspace" else hold.key_id
