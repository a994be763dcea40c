import asyncio
import logging
from collections.abc import Mapping

import pytest

from tests.store_worlds import NOON
from tidegate.domain.account import Account, AccountScope
from tidegate.domain.budget_alerts import AccountSnapshot, BudgetAlert
from tidegate.domain.limits import Limits
from tidegate.errors import StoreUnavailable
from tidegate.memory.ledger import MemoryLedger
from tidegate.policy.metering.alerts import LogBudgetAlerts, send_budget_alerts

SCOPE = AccountScope("workspace", "ws_one", Limits(tokens_per_day=100))
DETAIL = {
    "workspace_id": "ws_one",
    "limit": "tokens_per_day",
    "used": 60,
    "most": 100,
    "resets_at": "2026-11-22T00:00:00.000Z",
    "threshold": 50,
}


class Ears:
    """The port Events, which may be dead."""

    def __init__(self, dead: bool = False) -> None:
        self.heard: list[BudgetAlert] = []
        self._dead = dead

    async def emit(self, event: BudgetAlert) -> None:
        if self._dead:
            raise StoreUnavailable("down")
        self.heard.append(event)


class DeadLedger(MemoryLedger):
    async def replace_alerted(self, scope: AccountScope, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
        raise StoreUnavailable("down")


def seen() -> AccountSnapshot:
    """As a process saw it: a copy of its own."""
    return AccountSnapshot("ws_one", SCOPE, Account({"tokens#D#2026-11-21": 60}), NOON)


async def test_of_two_processes_that_see_it_one_tells() -> None:
    ledger, ears = MemoryLedger(), Ears()
    await asyncio.gather(*(send_budget_alerts(ledger, ears, seen(), NOON) for _ in range(2)))
    assert ears.heard == [BudgetAlert("budget threshold", NOON, DETAIL)]


async def test_an_event_that_cannot_be_told_is_in_the_log_and_is_not_tried_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = MemoryLedger()
    with caplog.at_level(logging.ERROR):
        await send_budget_alerts(ledger, Ears(dead=True), seen(), NOON)
        await send_budget_alerts(ledger, Ears(), seen(), NOON)
    [line] = caplog.records
    assert (line.message, {name: getattr(line, name) for name in DETAIL}) == ("event.lost", DETAIL)


async def test_nothing_is_told_that_could_not_be_noted(caplog: pytest.LogCaptureFixture) -> None:
    ears = Ears()
    with caplog.at_level(logging.WARNING):
        await send_budget_alerts(DeadLedger(), ears, seen(), NOON)
    assert (ears.heard, [line.message for line in caplog.records]) == ([], ["threshold.unnoted"])


async def test_where_there_is_no_bus_it_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await send_budget_alerts(MemoryLedger(), LogBudgetAlerts(), seen(), NOON)
    [line] = caplog.records
    assert (line.message, {name: getattr(line, name) for name in DETAIL}) == ("budget.threshold", DETAIL)
