"""Notifies operators at 50, 80 and 100 % of a budget, once each, from the process that sees it first. Never raises."""

import logging

from tidegate.domain.account import Hold
from tidegate.domain.budget_alerts import AccountSnapshot, BudgetAlert, build_alerts, find_crossings, updated_thresholds
from tidegate.domain.limits import Amounts
from tidegate.errors import StoreUnavailable
from tidegate.ports import BudgetAlerts, Ledger

log = logging.getLogger(__name__)


class LogBudgetAlerts:
    """Port `BudgetAlerts` without a receiver: writes a line to the log."""

    async def emit(self, alert: BudgetAlert) -> None:
        log.warning(alert.event_type.replace(" ", "."), extra=alert.detail)


async def send_budget_alerts(
    ledger: Ledger,
    budget_alerts: BudgetAlerts,
    snapshot: AccountSnapshot,
    now: float,
    hold: Hold | None = None,
    actual: Amounts | None = None,
) -> int:
    """Store crossed thresholds in the account, and send the alerts unless another process stored them. Never raises.

    Returns the number of alerts that were sent.
    `actual` is what the call of `hold` used. An alert that cannot be sent is logged with all its figures.
    """
    crossed = find_crossings(snapshot, hold, actual)
    if not crossed:
        return 0
    before = snapshot.account.alerted_thresholds
    try:
        if not await ledger.replace_alerted(snapshot.scope, before, updated_thresholds(before, crossed, now)):
            return 0
    except StoreUnavailable as error:
        log.warning("threshold.unnoted", extra={"workspace_id": snapshot.workspace_id, "error": error.message})
        return 0
    sent = 0
    for event in build_alerts(snapshot, crossed, now):
        try:
            await budget_alerts.emit(event)
            sent += 1
        except StoreUnavailable as error:
            log.error("event.lost", extra={"kind": event.event_type, "error": error.message, **event.detail})
    return sent
