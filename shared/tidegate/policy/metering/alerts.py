"""Telling operators that a budget runs out: once, whichever process sees it first, and at no call's expense."""

import logging

from tidegate.domain.account import Hold
from tidegate.domain.budget_alerts import Event, Watched, crossings, events, warned
from tidegate.domain.limits import Amounts
from tidegate.errors import StoreUnavailable
from tidegate.ports import Events, Ledger

log = logging.getLogger(__name__)


class LogEvents:
    """The port `Events` where there is nobody to tell: a line in the log."""

    async def emit(self, event: Event) -> None:
        """See `Events.emit`."""
        log.warning(event.kind.replace(" ", "."), extra=event.detail)


async def warn(
    ledger: Ledger, told: Events, seen: Watched, now: float, hold: Hold | None = None, actual: Amounts | None = None
) -> None:
    """Note in the account what it has crossed; then, if no other process was quicker, tell of it. Never raises.

    `actual` is what the call of `hold` has used. An event that cannot be told is in the log with all its figures.
    """
    found = crossings(seen, hold, actual)
    if not found:
        return
    before = seen.account.warned
    try:
        if not await ledger.note(seen.scope, before, warned(before, found, now)):
            return
    except StoreUnavailable as error:
        log.warning("threshold.unnoted", extra={"workspace_id": seen.workspace_id, "error": error.message})
        return
    for event in events(seen, found, now):
        try:
            await told.emit(event)
        except StoreUnavailable as error:
            log.error("event.lost", extra={"kind": event.kind, "error": error.message, **event.detail})
