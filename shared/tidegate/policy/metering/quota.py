"""How much of each limit of a workspace or a key is used, held by open calls, and available."""

from collections.abc import Iterator

from msgspec import Struct

from tidegate.domain.account import Account, AccountScope, ScopeKind, minute_usage, used_amount
from tidegate.domain.limits import BudgetLimit, Number, booking_name, minute_of, period_at
from tidegate.domain.money import exact_money
from tidegate.domain.workspace import Principal, Workspace
from tidegate.ports import Ledger


class Quota(Struct, frozen=True):
    """One limit: ended calls have `used` part of it, open calls hold `held` of it.

    `name` is the field of `Limits`; `resets_at` is in UTC seconds, None for a limit that time does not reset.
    """

    kind: ScopeKind
    id: str
    name: str
    limit: Number
    used: Number
    held: Number
    resets_at: float | None

    @property
    @exact_money
    def available(self) -> Number:
        """The amount that the next call may use."""
        return max(self.limit - self.used - self.held, type(self.limit)(0))


class LimitUsage(Struct, frozen=True):
    """The limits of a scope with all its shards merged, and its account, as of `at`. Months begin on `first_day`."""

    scope: AccountScope
    account: Account
    at: float
    first_day: int

    def quotas(self) -> Iterator[Quota]:
        """Yield every limit that the scope has and the account counts."""
        limits, account, minute = self.scope.limits, self.account, max(self.account.minute, minute_of(self.at))
        calls, tokens = minute_usage(account, minute)
        calls_now = [hold for hold in account.holds.values() if not hold.is_batch]
        held = sum(hold.amounts.tokens for hold in calls_now if minute_of(hold.at) == minute)
        next_minute = (minute + 1) * 60.0
        if limits.requests_per_minute is not None:
            yield self._quota("requests_per_minute", limits.requests_per_minute, calls, 0, next_minute)
        if limits.tokens_per_minute is not None:
            yield self._quota("tokens_per_minute", limits.tokens_per_minute, tokens - held, held, next_minute)
        if limits.parallel_calls is not None:
            yield self._quota("parallel_calls", limits.parallel_calls, 0, len(calls_now), None)
        for budget in limits.budgets():
            yield self._budget_quota(budget)

    @exact_money
    def _budget_quota(self, budget: BudgetLimit) -> Quota:
        period, account = period_at(budget.span, self.at, self.first_day), self.account
        spent = used_amount(account, budget.unit, budget.span, self.at, self.first_day)
        booked = account.booked.get(booking_name(budget.unit, period.name), 0)
        return self._quota(budget.name, budget.maximum, spent, booked - spent, period.ends_at)

    def _quota(self, name: str, limit: Number, used: Number, held: Number, resets_at: float | None) -> Quota:
        return Quota(self.scope.kind, self.scope.id, name, limit, used, held, resets_at)


async def limit_usage_of_workspace(ledger: Ledger, workspace: Workspace, now: float) -> LimitUsage:
    """Return the usage of the workspace's limits; without limits nothing is read. Raises `StoreUnavailable`."""
    scope = AccountScope("workspace", workspace.id, workspace.effective_limits, shards=workspace.shards)
    return await _limit_usage(ledger, scope, workspace, now)


async def limit_usage_of_key(ledger: Ledger, key: Principal, workspace: Workspace, now: float) -> LimitUsage:
    """Return the usage of the key's limits; without limits nothing is read. Raises `StoreUnavailable`."""
    return await _limit_usage(ledger, AccountScope("key", key.key_id, key.limits), workspace, now)


async def _limit_usage(ledger: Ledger, scope: AccountScope, workspace: Workspace, now: float) -> LimitUsage:
    account = await ledger.account(scope, workspace.first_day) if scope.limits.need_reservation else Account()
    return LimitUsage(scope.unsharded, account, now, workspace.first_day)
