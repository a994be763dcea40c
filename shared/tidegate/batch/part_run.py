"""Answers the lines of a part: claims it, asks the lines that have no answer on record, and ends it or gives it back.

A worker may die after any step: the next one continues with what is on record. Each write is a compare-and-swap on the
part, so that a worker that was taken for dead changes nothing, and each slice is settled once.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

from msgspec.structs import replace

from tidegate.batch.claim import begin_slice, claim_part, settle_dead_slice
from tidegate.batch.components import BatchComponents
from tidegate.batch.feeder import feed_parts
from tidegate.batch.journal import Journal, LeaseLost, find_part, unanswered
from tidegate.batch.line_call import LineCalls
from tidegate.batch.lines import part_lines
from tidegate.batch.messages import RunPart
from tidegate.batch.part_end import leave_part, log_part, write_results
from tidegate.batch.part_ledger import PartLedger, Shortage
from tidegate.batch.part_meter import PartMeter
from tidegate.batch.part_settlement import release_slice, settle_slice
from tidegate.batch.part_worker import PartWorker, StopReason
from tidegate.domain.account import Hold
from tidegate.domain.batch import Batch, PauseReason
from tidegate.domain.limit_error import exceeded_limit
from tidegate.domain.limits import Amounts, ExceededLimit
from tidegate.domain.settlement import shard_of
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import InvalidKey, WorkspaceForbidden
from tidegate.gateway import CallHeaders
from tidegate.lazy import load

log = logging.getLogger(__name__)

MARGIN_SECONDS = 20.0
"""The time before a worker's deadline that is kept to put answers on record, to write results and to settle."""

HOLD_SECONDS_AFTER_EXPIRY = 3600.0
"""How long after the end of its batch a hold that no worker has settled is taken for that of a lost call."""

ROOM_SECONDS = 60.0
ROOM_CHECK_SECONDS = 2.0
"""How long a worker waits for room in a budget that others hold, such as live calls and other parts, and how often it
looks. Then it pauses the batch, which goes on when there is room.
"""

_Lines: TypeAlias = Mapping[int, bytes | None]
_Caller: TypeAlias = tuple[Principal, Workspace]


async def run_part(components: BatchComponents, message: RunPart, deadline: float) -> None:
    """Answer the part's lines until `deadline`, in UTC seconds. Raises `TryLater` and `StoreUnavailable`.

    A part that is done or returned only lets its batch go on: its worker may have died just before that.
    """
    batch = await components.table.find_batch(message.workspace_id, message.batch_id)
    if batch is None:
        return
    part = (await components.table.find_parts(batch, [message.number])).get(message.number)
    if part is not None and part.status in ("queued", "running"):
        journal = await claim_part(components, part, deadline)
        if journal is None:
            return
        try:
            await _PartRun(components, batch, journal).run()
        except LeaseLost:
            log.warning("part.lost", extra={"batch_id": batch.id, "part": message.number})
            return
    await feed_parts(components, message.workspace_id, message.batch_id)


class _PartRun:
    """One worker's time with a part."""

    def __init__(self, components: BatchComponents, batch: Batch, journal: Journal) -> None:
        self._components, self._batch, self._journal = components, batch, journal
        self._started_at, self._end = components.clock(), journal.deadline - MARGIN_SECONDS
        self._failures = Counter[str]()

    async def run(self) -> None:
        """Ask the lines that are left, and leave the part."""
        components, batch, journal = self._components, self._batch, self._journal
        reason: StopReason | None = None
        needs: Amounts | None = None
        caller: _Caller | None = None
        try:
            caller = await components.callers.find_caller(batch.workspace_id, batch.key_id)
        except WorkspaceForbidden:
            reason = "workspace"
        except InvalidKey:
            reason = "key"
        part = await settle_dead_slice(components, batch, journal, caller[1].shards if caller else 1)
        lines = unanswered(part, journal.results)
        if lines and caller is not None:
            if batch.takes_parts and batch.expires_at > self._started_at:
                await begin_slice(journal, part, caller[0].key_id)
                reason, needs = await self._answer(caller)
                part = journal.part
            else:
                reason = "batch"
        is_done = not unanswered(part, journal.results)
        part = await write_results(journal, part) if is_done else replace(part, status="returned")
        pause: PauseReason | None = reason if reason in ("budget", "workspace", "key") and not is_done else None
        await leave_part(journal, part, pause, needs)
        log_part(journal, reason, self._failures, self._started_at)

    async def _answer(self, caller: _Caller) -> tuple[StopReason | None, Amounts | None]:
        """Ask lines until all are answered, or there is a reason to stop. Return it, and what a budget has refused."""
        journal, waited = self._journal, 0.0
        lines = await self._read_lines()
        while True:
            answered = len(journal.results)
            reason, shortage = await self._run_slice(caller, lines)
            lines = {number: lines[number] for number in unanswered(journal.part, journal.results)}
            if not lines or shortage is None:
                return reason, None
            waited = 0.0 if len(journal.results) > answered else waited + ROOM_CHECK_SECONDS
            reason = await self._wait_for_room(shortage, waited)
            if reason is not None:
                return reason, shortage.amounts if reason == "budget" else None
            await begin_slice(journal, journal.part, caller[0].key_id)

    async def _run_slice(self, caller: _Caller, lines: _Lines) -> tuple[StopReason | None, Shortage | None]:
        """Ask the lines under one hold, and settle what was answered."""
        components, journal, batch = self._components, self._journal, self._batch
        gateway, slice = components.gateway, self._slice(caller)
        ledger = PartLedger(gateway.ledger, slice, lambda: journal.is_leased, lambda: worker.stop("budget"))
        meter = PartMeter(ledger)
        journal.hold_shard = lambda: ledger.hold.shard if ledger.hold else None
        calls = LineCalls(
            batch,
            replace(gateway, ledger=ledger, meter=meter),
            meter,
            *components.endpoints[batch.endpoint],
            caller,
            CallHeaders(deadline=self._end),
        )
        worker = PartWorker(components, journal, calls, ledger, lines, self._stop_at(caller))
        try:
            await worker.run()
        except LeaseLost:
            stored = await find_part(components, journal.part)
            if stored is not None and stored.slice_id != slice.call_id:
                await release_slice(components, batch, journal.part, caller[1].shards)
            raise
        finally:
            self._failures += worker.failures

        async def settle() -> bool:
            await settle_slice(components, batch, journal.part, await ledger.booked_hold(), slice.at)
            return True

        await journal.repeated(settle)
        await self._send_alerts(ledger, journal.part.unsettled.amounts)
        return worker.stop_reason, ledger.shortage

    async def _wait_for_room(self, shortage: Shortage, waited: float) -> StopReason | None:
        """Wait until budgets have room for what they have refused. Return the reason to stop, None to go on.

        `waited` are the seconds since the last answer: what seems to be there may be out of reach in single shards.
        """
        clock = self._components.clock
        stop_at = min(self._batch.expires_at, self._end)
        while True:
            exceeded = await self._exceeded(shortage)
            if exceeded is None and not waited:
                return None
            is_held = exceeded is None or exceeded.needed <= exceeded.remaining + exceeded.held
            if not is_held or waited >= ROOM_SECONDS:
                return "budget"
            if clock() + ROOM_CHECK_SECONDS >= stop_at:
                return "deadline"
            await asyncio.sleep(ROOM_CHECK_SECONDS)
            if self._journal.has_news:
                await self._journal.flush()
            if exceeded is None:
                return None
            waited += ROOM_CHECK_SECONDS

    async def _exceeded(self, shortage: Shortage) -> ExceededLimit | None:
        """The limit that does not allow what was refused, now that the part holds nothing."""
        ledger, part = self._components.gateway.ledger, self._journal.part
        for scope in shortage.scopes:
            account = await ledger.account(scope, shortage.hold.first_day)
            needs = replace(shortage.hold, call_id=part.slice_id or "", at=self._components.clock(), is_batch=True)
            exceeded = exceeded_limit(account, scope.unsharded, needs)
            if exceeded is not None:
                return exceeded
        return None

    def _slice(self, caller: _Caller) -> Hold:
        """The empty hold of the part's slice. It outlives its worker, whose successor settles it."""
        (principal, workspace), part = caller, self._journal.part
        slice_id, now = part.slice_id or "", self._components.clock()
        return Hold(
            call_id=slice_id,
            workspace_id=workspace.id,
            key_id=principal.key_id,
            model=self._batch.model or "",
            amounts=Amounts(),
            input_tokens=0,
            at=now,
            expires_at=max(self._batch.expires_at, now) + HOLD_SECONDS_AFTER_EXPIRY,
            account_kinds=(),
            first_day=workspace.first_day,
            shard=shard_of(slice_id, workspace.shards),
            is_batch=True,
        )

    def _stop_at(self, caller: _Caller) -> float:
        """The time from which no line is begun: a call has as long as it may take, or half of the time that is left."""
        gateway, timeout = self._components.gateway, caller[1].timeout_seconds
        call_seconds = min(gateway.timeout_seconds, timeout or gateway.timeout_seconds)
        return self._end - min(call_seconds, max(0.0, self._end - self._started_at) / 2)

    async def _send_alerts(self, ledger: PartLedger, used: Amounts) -> None:
        """Send budget alerts, as after a call. The sweeper checks the accounts of which no snapshot was returned."""
        if ledger.snapshot is not None and ledger.snapshot.scope.shards == 1:
            gateway, now = self._components.gateway, self._components.clock()
            send_budget_alerts = load("tidegate.policy.metering.alerts", "send_budget_alerts")
            alerts = gateway.open_budget_alerts()
            await send_budget_alerts(gateway.ledger, alerts, ledger.snapshot, now, ledger.hold, used)

    async def _read_lines(self) -> _Lines:
        """The lines that have no answer yet, None for each if the input does not exist any more."""
        part, objects = self._journal.part, self._components.objects
        data = await objects.read(self._batch.input_key, part.first_byte, part.length)
        lines = [None] * part.lines if data is None else part_lines(data, part.lines)
        return {number: lines[number - part.first_line] for number in unanswered(part, self._journal.results)}
