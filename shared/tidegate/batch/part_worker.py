"""Asks the lines of a part, many at once, until all are answered or there is a reason to stop."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

from tidegate.batch.components import BatchComponents
from tidegate.batch.journal import Journal, LeaseLost
from tidegate.batch.line_call import LineAnswer, LineCalls, custom_id_of
from tidegate.batch.lines import BatchLine, parse_line
from tidegate.batch.pace import RETRY_SECONDS, Pace, pace_name, provider_of
from tidegate.batch.part_ledger import PartLedger
from tidegate.batch.results import not_asked
from tidegate.domain.batch import BatchFault, BatchUsage
from tidegate.errors import InvalidKey, ProviderRateLimited, StoreUnavailable, TidegateError, WorkspaceForbidden

log = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
"""How often a worker looks whether the batch is cancelled or paused, its key revoked, or its workspace suspended."""

FAULT_TRIES = 3
"""How often a line is asked whose failures may pass, each time with the pipeline's own retries."""

FAULT_WAIT_SECONDS = 2.0
"""The wait before a line is asked for the second time; before the third time it is twice as long."""

INPUT_DELETED = ("input_file_deleted", "The input file was deleted before this request was executed.")

_USUAL_ANSWER_TOKENS = 100

StopReason = Literal["deadline", "batch", "budget", "workspace", "key"]


class PartWorker:
    """Asks `lines`, by their numbers. It begins none from `stop_at` on, or from `stop` on; `stop_reason` says why.

    A line without bytes is missing, because the input was deleted.
    """

    def __init__(
        self,
        components: BatchComponents,
        journal: Journal,
        calls: LineCalls,
        ledger: PartLedger,
        lines: Mapping[int, bytes | None],
        stop_at: float,
    ) -> None:
        self.stop_reason: StopReason | None = None
        self._has_ended = False
        self.failures = Counter[str]()
        self._components, self._journal, self._calls, self._ledger = components, journal, calls, ledger
        self._lines, self._next_lines, self._stop_at = lines, iter(lines), stop_at
        self._pace = Pace(components.table, components.options, components.clock, components.call_limits)
        self._providers: dict[str, str | None] = {}

    async def run(self) -> None:
        """Ask the lines, and put their answers on record. Raises `LeaseLost` and `StoreUnavailable`."""
        ends: list[Exception] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._flush_often())
                watcher = group.create_task(self._watch())
                count = min(self._components.options.parallel_calls, len(self._lines))
                askers = [group.create_task(self._ask_lines()) for _ in range(count)]
                await asyncio.wait(askers)
                watcher.cancel()
                self._has_ended = True
                self._journal.is_full.set()
        except* (LeaseLost, StoreUnavailable) as group_error:
            ends += group_error.exceptions
        if ends:
            raise ends[0]
        await self._journal.flush()

    def stop(self, reason: StopReason) -> None:
        """Begin no line any more. Calls in progress go on."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self._pace.close()
            self._ledger.close()

    async def _ask_lines(self) -> None:
        """Ask one line after the other, as many others do beside this one."""
        for number in self._next_lines:
            if self._components.is_stopping():
                self.stop("deadline")
            if self.stop_reason is not None:
                return
            self._journal.taken_to = number + 1
            if number >= self._journal.part.asked_to:
                await self._journal.allow(number)
            await self._answer_line(number)
            if self._journal.is_full.is_set():
                await self._journal.flush()  # large answers must not come faster than they are put on record

    async def _answer_line(self, number: int) -> None:
        """Ask the line until there is an answer that counts, or the worker stops."""
        batch, data = self._calls.batch, self._lines[number]
        if data is None:
            self._journal.add(not_asked(batch.id, number, None, *INPUT_DELETED), BatchUsage())
            return
        line = parse_line(data, batch.endpoint, self._components.endpoints)
        if isinstance(line, BatchFault):
            result = not_asked(batch.id, number, custom_id_of(data), line.code, line.message)
            self._journal.add(result, BatchUsage())
            return
        faults = 0
        while self.stop_reason is None:
            answer = await self._ask_once(number, line)
            if answer is None:
                return
            if answer.error is None and answer.result is not None:
                self._journal.add(answer.result, answer.usage)
                return
            if answer.error is not None:
                self.failures[answer.error.code or answer.error.type] += 1
            faults += answer.may_pass and not answer.lacks_only_time
            is_final = not answer.lacks_only_time and not (answer.may_pass and faults < FAULT_TRIES)
            if answer.result is not None and (is_final and not (answer.may_pass and self._is_out_of_time)):
                self._journal.add(answer.result, answer.usage)
                return
            self._journal.add_usage(answer.usage)
            if not isinstance(answer.error, ProviderRateLimited):
                await self._pace.sleep(FAULT_WAIT_SECONDS * faults or RETRY_SECONDS)

    @property
    def _is_out_of_time(self) -> bool:
        """True if a call may have failed only because the worker's time was over."""
        return self.stop_reason == "deadline"

    async def _ask_once(self, number: int, line: BatchLine) -> LineAnswer | None:
        """Ask the line at the pace of its provider. None if the worker stops before."""
        provider, pace = self._providers.get(line.model) or self._provider_of(line.model), self._pace
        if provider is None:
            return await self._calls.ask(number, line)
        tokens = _USUAL_ANSWER_TOKENS + len(line.body) // 4
        if not pace.enter_at_once(provider) and not await pace.enter(provider, tokens):
            return None
        entered_at, answer = self._components.clock(), None
        try:
            answer = await self._calls.ask(number, line)
        finally:
            if answer is None:
                pace.leave(provider, 0)
            elif _is_refused(answer, provider):
                retry_after = None if answer.error is None else answer.error.retry_after_seconds
                await pace.leave_refused(provider, entered_at, retry_after)
            else:
                pace.leave(provider, answer.usage.input_tokens + answer.usage.output_tokens)
        return answer

    def _provider_of(self, model: str) -> str | None:
        """The rate that the model's calls begin with, see `pace_name`; None if the model leads nowhere."""
        if model not in self._providers:
            provider = None
            with suppress(TidegateError):
                workspace = self._calls.caller[1]
                provider = pace_name(self._calls.gateway.router.resolve(model, workspace), workspace)
            self._providers[model] = provider
        return self._providers[model]

    async def _flush_often(self) -> None:
        """Put answers on record every `flush_seconds`, or when there are many, and renew the lease."""
        journal = self._journal
        # It is not cancelled at the end: a write in the middle may be made or not, and must not be made anew.
        while not self._has_ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._components.options.flush_seconds):
                    await journal.is_full.wait()
            if journal.has_news and not self._has_ended:
                await journal.flush()

    async def _watch(self) -> None:
        """Stop when there is a reason."""
        batch, clock = self._calls.batch, self._components.clock
        while self.stop_reason is None:
            seconds_left, window_left = self._stop_at - clock(), batch.expires_at - clock()
            if seconds_left <= 0 or self._components.is_stopping():
                self.stop("deadline")
            elif window_left <= 0:
                self.stop("batch")
            elif not await self._pace.sleep(min(CHECK_SECONDS, seconds_left, window_left)):
                return
            else:
                try:
                    await self._check()
                except StoreUnavailable as error:
                    log.warning("batch.unchecked", extra={"batch_id": batch.id, "error": error.message})

    async def _check(self) -> None:
        batch = self._calls.batch
        stored = await self._components.table.find_batch(batch.workspace_id, batch.id)
        if stored is None or not stored.takes_parts:
            self.stop("batch")
            return
        try:
            self._calls.caller = await self._components.callers.find_caller(batch.workspace_id, batch.key_id)
        except WorkspaceForbidden:
            self.stop("workspace")
        except InvalidKey:
            self.stop("key")
        await self._pace.refresh()


def _is_refused(answer: LineAnswer, provider: str) -> bool:
    """True if the rate of that name did not allow the call, or an attempt of it."""
    if answer.error is None and not answer.limited:
        return False
    return isinstance(answer.error, ProviderRateLimited) or provider_of(provider) in answer.limited
