"""How the limits of a caller stand: what is used of each, what open calls hold, and what is left."""

from collections.abc import Iterator

from msgspec import Struct

from tidegate.domain.account import Account, Scope, ScopeKind, booked_name, used, used_of_minute
from tidegate.domain.limits import Number, minute_of, period
from tidegate.domain.workspace import Principal, Workspace
from tidegate.ports import Ledger


class Quota(Struct, frozen=True):
    """One limit: what calls that have ended have `used` of it, and what open ones have `held`.

    `name` is the field of `Limits`; `resets_at` (UTC seconds) is None where it is no matter of time.
    """

    kind: ScopeKind
    id: str
    name: str
    limit: Number
    used: Number
    held: Number
    resets_at: float | None

    @property
    def available(self) -> Number:
        """For the next call."""
        return max(self.limit - self.used - self.held, type(self.limit)(0))


class Standing(Struct, frozen=True):
    """A scope, all its shards as one, with its account, as it was at `at`. Its months begin on `first_day`."""

    scope: Scope
    account: Account
    at: float
    first_day: int

    def quotas(self) -> Iterator[Quota]:
        """Every limit that is counted."""
        limits, account, minute = self.scope.limits, self.account, max(self.account.minute, minute_of(self.at))
        calls, tokens = used_of_minute(account, minute)
        held = sum(hold.amounts.tokens for hold in account.holds.values() if minute_of(hold.at) == minute)
        next_minute = (minute + 1) * 60.0
        if limits.requests_per_minute is not None:
            yield self._quota("requests_per_minute", limits.requests_per_minute, calls, 0, next_minute)
        if limits.tokens_per_minute is not None:
            yield self._quota("tokens_per_minute", limits.tokens_per_minute, tokens - held, held, next_minute)
        if limits.parallel_calls is not None:
            yield self._quota("parallel_calls", limits.parallel_calls, 0, len(account.holds), None)
        for budget in limits.budgets():
            now = period(budget.span, self.at, self.first_day)
            spent = used(account, budget.unit, budget.span, self.at, self.first_day)
            booked = account.booked.get(booked_name(budget.unit, now.name), 0)
            yield self._quota(budget.name, budget.most, spent, booked - spent, now.ends)

    def _quota(self, name: str, most: Number, spent: Number, held: Number, resets_at: float | None) -> Quota:
        return Quota(self.scope.kind, self.scope.id, name, most, spent, held, resets_at)


async def of_workspace(ledger: Ledger, workspace: Workspace, now: float) -> Standing:
    """How the workspace's own limits stand; nothing is read where there are none. Raises `StoreUnavailable`."""
    scope = Scope("workspace", workspace.id, workspace.effective_limits, shards=workspace.shards)
    return await _standing(ledger, scope, workspace, now)


async def of_key(ledger: Ledger, key: Principal, workspace: Workspace, now: float) -> Standing:
    """The same of the key's."""
    return await _standing(ledger, Scope("key", key.key_id, key.limits), workspace, now)


async def _standing(ledger: Ledger, scope: Scope, workspace: Workspace, now: float) -> Standing:
    account = await ledger.account(scope, workspace.first_day) if scope.limits.are_counted else Account()
    return Standing(scope.whole, account, now, workspace.first_day)
