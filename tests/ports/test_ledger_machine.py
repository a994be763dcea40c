"""The ledger under everything that may happen in any order: what is booked is what was used and what is held."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from tests.store_worlds import NOON, World, aws_world, key, memory_world, outcome, workspace
from tidegate.aws.sweeper import Sweeper
from tidegate.domain.account import Account, AccountScope, Hold, Reservation
from tidegate.domain.ids import ulid
from tidegate.domain.limits import SPANS, UNITS, Amounts, Limits, booking_name, period_at
from tidegate.domain.settlement import lost_settlement
from tidegate.domain.shards import overdue_holds
from tidegate.domain.usage import Bill, TokenCounts, WordCounts
from tidegate.errors import LimitReached

EVE = NOON + 12 * 3600 - 30
"""Half a minute before midnight; and with months that begin on the 22nd, before a month's end."""

UNIT_LIMITS = st.none() | st.integers(0, 40)
AMOUNTS = st.builds(
    lambda tokens, words, cents: Amounts(tokens, words, Decimal(cents) / 100),
    st.integers(1, 12),
    st.integers(0, 12),
    st.integers(0, 12),
)
LIMITS = st.builds(
    lambda tokens_day, tokens_month, words, cents, parallel, calls: Limits(
        tokens_per_day=tokens_day,
        tokens_per_month=tokens_month,
        words_per_day=words,
        usd_per_month=None if cents is None else Decimal(cents) / 100,
        parallel_calls=parallel,
        requests_per_minute=calls,
    ),
    *[UNIT_LIMITS] * 4,
    st.none() | st.integers(1, 4),
    st.none() | st.integers(1, 6),
)


@dataclass
class Model:
    """What must be so: which calls are open, and what ended ones have used, with the moment at which each began."""

    open: dict[str, tuple[Hold, tuple[AccountScope, ...]]] = field(default_factory=dict[str, Any])
    ended: dict[str, tuple[Hold, Amounts]] = field(default_factory=dict[str, Any])


class LedgerMachine(RuleBasedStateMachine):
    """A workspace and one key. Each of two processes has a clock of its own, two seconds apart."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.context = self.room()
        self.world = self.runner.run(self.context.__aenter__())
        self.model = Model()
        self.now = EVE
        self.workspace = self.key = Limits()

    def room(self) -> AbstractAsyncContextManager[World]:
        @asynccontextmanager
        async def memory() -> AsyncIterator[World]:
            yield memory_world()

        return memory()

    def teardown(self) -> None:
        self.runner.run(self.context.__aexit__(None, None, None))
        self.runner.close()

    @initialize(workspace=LIMITS, key=LIMITS)
    def begin(self, workspace: Limits, key: Limits) -> None:
        self.workspace, self.key = workspace, key

    @rule(workspace=LIMITS, key=LIMITS)
    def change_limits(self, workspace: Limits, key: Limits) -> None:
        self.workspace, self.key = workspace, key

    @rule(seconds=st.sampled_from([1, 20, 61, 700]))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.world.clock.now = self.now

    @rule(target=calls, amounts=AMOUNTS, skew=st.sampled_from([-1, 1]), both=st.booleans(), batch=st.booleans())
    def reserve(self, amounts: Amounts, skew: int, both: bool, batch: bool) -> Any:
        scopes = (AccountScope("workspace", "ws_one", self.workspace),)
        if both:
            scopes += (AccountScope("key", "key_one", self.key),)
        at = self.now + skew
        kinds = tuple(scope.kind for scope in scopes)
        times = (at, at + 120)
        hold = Hold(ulid(at), "ws_one", "key_one", "demo/echo-1", amounts, 1, *times, kinds, 22, is_batch=batch)
        before = {scope: self.account(scope) for scope in scopes}
        try:
            self.run(self.world.ledger.reserve(Reservation(hold, scopes)))
        except LimitReached as error:
            assert any(_is_full(before[scope], scope, hold) for scope in scopes), error.message
            return multiple()
        assert not any(_is_full(before[scope], scope, hold) for scope in scopes)
        self.model.open[hold.call_id] = (hold, scopes)
        return hold

    @rule(hold=calls)
    def reserve_again(self, hold: Hold) -> None:
        """An answer that was lost: the same reservation comes again, while its call is open."""
        if self.model.open.get(hold.call_id, (None,))[0] == hold:
            self.run(self.world.ledger.reserve(Reservation(hold, self.model.open[hold.call_id][1])))

    @rule(target=calls, hold=calls, amounts=AMOUNTS)
    def replace(self, hold: Hold, amounts: Amounts) -> Any:
        """A fallback, or a retry after an attempt that is charged: the call holds other amounts."""
        if hold.call_id not in self.model.open or self.model.open[hold.call_id][0] != hold:
            return multiple()
        scopes = self.model.open[hold.call_id][1]
        new = replace(hold, amounts=amounts)
        try:
            self.run(self.world.ledger.reserve(Reservation(new, scopes), hold))
        except LimitReached:
            return multiple()
        self.model.open[hold.call_id] = (new, scopes)
        return new

    @rule(hold=calls, share=st.sampled_from([0, 1, 2]))
    def settle(self, hold: Hold, share: int) -> None:
        """With nothing used, half of it, or all; and also when it is settled already, here or by the sweeper."""
        amounts = hold.amounts
        used = Amounts(amounts.tokens * share // 2, amounts.words * share // 2, amounts.usd * share / 2)
        bill = Bill(TokenCounts(input=used.tokens), WordCounts(used.words, 0, 0, "tokens"), used.usd)
        if self.model.open.get(hold.call_id, (hold,))[0] == hold:
            self.run(self.world.meter.record(outcome(id=hold.call_id, at=hold.at, hold=hold, bill=bill)))
            self.ended(hold, used)

    @rule()
    def sweep(self) -> None:
        found = [hold for hold, _ in self.model.open.values() if hold.expires_at < self.now]
        self.swept()
        for hold in found:
            self.ended(hold, hold.amounts)

    def swept(self) -> None:
        """As it would be if a process in memory could die and leave anything."""
        ledger: Any = self.world.ledger
        for hold in overdue_holds(self.account(AccountScope("workspace", "ws_one", Limits())), self.now):
            ledger.settle_call(hold, lost_settlement(hold, self.now).actual)

    def ended(self, hold: Hold, used: Amounts) -> None:
        if hold.call_id in self.model.open:
            del self.model.open[hold.call_id]
            self.model.ended[hold.call_id] = (hold, used)

    @invariant()
    def what_is_booked_is_used_or_held(self) -> None:
        for kind, id in (("workspace", "ws_one"), ("key", "key_one")):
            account = self.account(AccountScope(kind, id, Limits()))
            open = {id: hold for id, (hold, _) in self.model.open.items() if kind in hold.account_kinds}
            assert account.holds == open
            booked: dict[str, Any] = {}
            parts = [(hold, hold.amounts) for hold in open.values()]
            parts += [(hold, used) for hold, used in self.model.ended.values() if kind in hold.account_kinds]
            for hold, amounts in parts:
                for unit in UNITS:
                    for span in SPANS:
                        name = booking_name(unit, period_at(span, hold.at, 22).name)
                        booked[name] = booked.get(name, 0) + amounts.of(unit)
            assert {n: v for n, v in account.booked.items() if v} == {n: v for n, v in booked.items() if v}

    def account(self, scope: AccountScope) -> Account:
        found = self.run(self.world.ledger.account(scope))
        return replace(found, booked=dict(found.booked), holds=dict(found.holds))

    def run(self, work: Any) -> Any:
        return self.runner.run(work)


def _is_full(account: Account, scope: AccountScope, hold: Hold) -> bool:
    """Whether anything forbids it, by a reading of its own."""
    limits = scope.limits
    for budget in limits.budgets():
        name = booking_name(budget.unit, period_at(budget.span, hold.at, 22).name)
        if account.booked.get(name, 0) + hold.amounts.of(budget.unit) > budget.maximum:
            return True
    if hold.is_batch:
        return False
    minute = max(account.minute, int(hold.at // 60))
    calls = account.minute_calls if minute == account.minute else 0
    open_calls = sum(not each.is_batch for each in account.holds.values())
    return (limits.parallel_calls is not None and open_calls >= limits.parallel_calls) or (
        limits.requests_per_minute is not None and calls >= limits.requests_per_minute
    )


class TableMachine(LedgerMachine):
    """The same over a table, with the sweeper."""

    endpoint: str

    def room(self) -> AbstractAsyncContextManager[World]:
        return _with_tenants(self.endpoint)

    def swept(self) -> None:
        assert self.world.store is not None
        swept = self.run(Sweeper(self.world.store).run())
        assert (swept.is_done, swept.failed) == (True, 0)


@asynccontextmanager
async def _with_tenants(endpoint: str) -> AsyncIterator[World]:
    async with aws_world(endpoint) as world:
        world.clock.now = EVE
        await world.tenants.put_workspace(workspace())
        await world.keys.put_key(key())
        yield world


QUICK = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True)


def test_the_ledger_in_memory_keeps_its_promises_in_any_order() -> None:
    run_state_machine_as_test(LedgerMachine, settings=settings(QUICK, max_examples=40, stateful_step_count=30))


def test_the_ledger_in_dynamodb_keeps_its_promises_in_any_order(aws_endpoint: str) -> None:
    machine = type("Here", (TableMachine,), {"endpoint": aws_endpoint})
    run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=4, stateful_step_count=15))


def test_the_ledger_in_sqlite_keeps_its_promises_in_any_order(sqlite_endpoint: str) -> None:
    machine = type("Here", (TableMachine,), {"endpoint": sqlite_endpoint})
    run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=30, stateful_step_count=30))
