"""Telling operators that a budget runs out: once, whichever process sees it first, and at no call's expense."""

import logging

from tidegate.domain.account import Hold
from tidegate.domain.budget_alerts import AccountSnapshot, BudgetAlert, build_alerts, find_crossings, updated_thresholds
from tidegate.domain.limits import Amounts
from tidegate.errors import StoreUnavailable
from tidegate.ports import BudgetAlerts, Ledger

log = logging.getLogger(__name__)


class LogEvents:
    """The port `Events` where there is nobody to tell: a line in the log."""

    async def emit(self, event: BudgetAlert) -> None:
        """See `Events.emit`."""
        log.warning(event.event_type.replace(" ", "."), extra=event.detail)


async def send_budget_alerts(
    ledger: Ledger,
    sink: BudgetAlerts,
    snapshot: AccountSnapshot,
    now: float,
    hold: Hold | None = None,
    actual: Amounts | None = None,
) -> None:
    """Note in the account what it has crossed; then, if no other process was quicker, tell of it. Never raises.

    `actual` is what the call of `hold` has used. An event that cannot be told is in the log with all its figures.
    """
    crossed = find_crossings(snapshot, hold, actual)
    if not crossed:
        return
    before = snapshot.account.alerted_thresholds
    try:
        if not await ledger.note(snapshot.scope, before, updated_thresholds(before, crossed, now)):
            return
    except StoreUnavailable as error:
        log.warning("threshold.unnoted", extra={"workspace_id": snapshot.workspace_id, "error": error.message})
        return
    for event in build_alerts(snapshot, crossed, now):
        try:
            await sink.emit(event)
        except StoreUnavailable as error:
            log.error("event.lost", extra={"kind": event.event_type, "error": error.message, **event.detail})
