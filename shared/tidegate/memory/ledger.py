"""Accounts in dictionaries: exact, for nothing is awaited between asking for room and taking it."""

import time
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from tidegate.domain.account import Account, Hold, Reservation, Scope, ScopeKind, put, refusal, settle
from tidegate.domain.limits import Amounts
from tidegate.policy.metering.reservation import refused


class MemoryLedger(Struct):
    """The port `Ledger`. A dictionary has no partitions: a workspace has one account, whatever its shards are."""

    clock: Callable[[], float] = time.time
    accounts: dict[tuple[ScopeKind, str], Account] = field(default_factory=dict[tuple[ScopeKind, str], Account])

    async def reserve(self, reservation: Reservation) -> tuple[Hold, Account | None]:
        """See `Ledger.reserve`."""
        hold = reservation.hold
        accounts = [self._account(scope.kind, scope.id) for scope in reservation.scopes]
        if hold.call_id in accounts[0].holds:
            return hold, accounts[0]
        for scope, account in zip(reservation.scopes, accounts, strict=True):
            why = refusal(account, scope.whole, hold)
            if why is not None:
                raise refused(scope, why, hold.at)
        for account in accounts:
            put(account, hold)
        return hold, accounts[0]

    async def release(self, hold: Hold) -> None:
        """See `Ledger.release`."""
        self.settle(hold, Amounts())

    async def account(self, scope: Scope, first_day: int = 1) -> Account:
        """See `Ledger.account`."""
        return self._account(scope.kind, scope.id)

    async def note(self, scope: Scope, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
        """See `Ledger.note`."""
        account = self._account(scope.kind, scope.id)
        if account.warned != before:
            return False
        account.warned = dict(after)
        return True

    def settle(self, hold: Hold, actual: Amounts) -> None:
        """Of a call that is recorded for the first time, or that holds something else."""
        for kind in hold.kinds:
            account = self._account(kind, hold.workspace_id if kind == "workspace" else hold.key_id)
            if hold.call_id in account.holds:
                settle(account, hold, actual, self.clock())

    def _account(self, kind: ScopeKind, id: str) -> Account:
        return self.accounts.setdefault((kind, id), Account())
