"""Hedging: if a deployment is slow to answer, the next one gets the same request, and the first answer wins.

Each attempt has its own task, which opens and closes its connection. No task outlives the call. Loaded with the first
call that may be hedged.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager

from msgspec import Struct

from tidegate.domain.call import Call, SentAttempt
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.operation import ReplyChunk
from tidegate.errors import TidegateError
from tidegate.pipeline.attempt import (
    AttemptTimedOut,
    Hedge,
    OpenConnections,
    attempt_timed_out,
    record_failure,
    start_attempt,
)
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.prepare import PreparedCall, translate
from tidegate.pipeline.shield import run_shielded
from tidegate.policy.routing.attempt_order import AttemptOrder
from tidegate.upstream.attempt import ProviderReply

HEDGED_CODE = "hedged"
"""The error code that is recorded for the attempt that lost."""


class Attempt:
    """One attempt in a task of its own. `reply` resolves to the provider's reply, or to the failure."""

    def __init__(
        self, prepared: PreparedCall, connection: AbstractAsyncContextManager[ProviderReply], sent: SentAttempt
    ) -> None:
        self.prepared = prepared
        self.sent = sent
        loop = asyncio.get_running_loop()
        self.reply: asyncio.Future[ProviderReply] = loop.create_future()
        self._batches: asyncio.Queue[Sequence[ReplyChunk] | None] = asyncio.Queue()
        self._slot = asyncio.Semaphore(1)
        self._relayed: AsyncGenerator[Sequence[ReplyChunk]] | None = None
        self._task = loop.create_task(self._run(connection))
        self._task.add_done_callback(self._on_done)

    def cancel(self) -> None:
        self._task.cancel()

    async def stop(self) -> None:
        """Close the connection, even if the caller is cancelled meanwhile."""
        self._task.cancel()
        if self._relayed is not None:
            await self._relayed.aclose()
        await run_shielded(self._wait_for_end())

    async def _wait_for_end(self) -> None:
        await asyncio.wait({self._task})

    async def _run(self, connection: AbstractAsyncContextManager[ProviderReply]) -> None:
        async with connection as reply:
            if reply.batches is None:
                self.reply.set_result(reply)
                return
            self._relayed = self._relay()
            self.reply.set_result(ProviderReply(None, self._relayed))
            async for batch in reply.batches:
                await self._slot.acquire()  # a slow reader holds up one batch at most
                self._batches.put_nowait(batch)

    async def _relay(self) -> AsyncGenerator[Sequence[ReplyChunk]]:
        while (batch := await self._batches.get()) is not None:
            self._slot.release()
            yield batch
        self._task.result()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if not self.reply.done() and error is not None:
            self.reply.set_exception(error)
            self.reply.exception()  # marks it as retrieved, or asyncio logs it
        elif not self.reply.done():
            self.reply.cancel()
        self._batches.put_nowait(None)


class HedgeRace(Struct, frozen=True):
    """The race between one deployment and its hedge. Closing `connections` waits until both attempts have ended."""

    components: Components
    call: Call
    resolution: Resolution
    observation: Observation
    connections: OpenConnections
    order: AttemptOrder

    async def run(
        self, prepared: PreparedCall, hedge: Hedge, seconds: float | None
    ) -> tuple[PreparedCall, ProviderReply]:
        """Return the first answer within `seconds`. If all fail, raises the last error, `order.deployment`'s."""
        attempts = [self._start(prepared)]
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait({attempts[0].reply}, timeout=hedge.after_seconds)
                answered = attempts[0].reply.done()
                prepared_hedge = None if answered else await self._translate_for(prepared, hedge.deployment)
                if prepared_hedge is not None and not attempts[0].reply.done():
                    self.order.start_hedge()
                    attempts.append(self._start(prepared_hedge, is_hedge=True))
                return self._finish(await self._first(attempts), attempts)
        except TimeoutError:
            raise self._time_out(attempts) from None
        finally:
            for attempt in attempts:
                if not attempt.reply.done() or attempt.reply.cancelled():
                    attempt.cancel()

    def _start(self, prepared: PreparedCall, *, is_hedge: bool = False) -> Attempt:
        now = self.components.clock()
        seconds = self.call.deadline - now
        sent, connection = start_attempt(self.components, prepared, self.observation, now, seconds, is_hedge=is_hedge)
        attempt = Attempt(prepared, connection, sent)
        self.connections.add(attempt.stop)
        return attempt

    async def _translate_for(self, prepared: PreparedCall, deployment: Deployment) -> PreparedCall | None:
        try:
            return await translate(self.components, prepared.call, deployment, prepared.headroom)
        except TidegateError:  # the hedge cannot take this call: wait for the first attempt alone
            return None

    async def _first(self, attempts: list[Attempt]) -> Attempt:
        """Return the attempt that answers first. Removes attempts that fail, and raises the last one's failure."""
        while True:
            await asyncio.wait({attempt.reply for attempt in attempts}, return_when=asyncio.FIRST_COMPLETED)
            for attempt in [attempt for attempt in attempts if attempt.reply.done()]:
                error = attempt.reply.exception()
                if error is None:
                    return attempt
                attempts.remove(attempt)
                self._drop(attempt, error, attempts)
                if not attempts or not isinstance(error, TidegateError):
                    raise error
                self._record_failure(attempt, error)
                self.order.record_failure(attempt.prepared.deployment, error, at=self.components.clock())

    def _drop(self, failed: Attempt, error: BaseException, remaining: list[Attempt]) -> None:
        """Record that the attempt failed."""
        self.order.deployment = failed.prepared.deployment
        self.observation.fail_attempt(failed.sent, error, self.components.clock())
        if remaining:
            self.observation.deployment = remaining[0].prepared.deployment

    def _finish(self, winner: Attempt, attempts: list[Attempt]) -> tuple[PreparedCall, ProviderReply]:
        observation, now, deployment = self.observation, self.components.clock(), winner.prepared.deployment
        losers = [attempt for attempt in attempts if attempt is not winner]
        observation.start_answer(winner.sent, now)
        for loser in losers:
            loser.cancel()
            loser.sent.ended_at = now
            seconds = now - loser.sent.started_at
            observation.record_failure(loser.prepared.deployment, HEDGED_CODE, seconds, now)
            if loser.sent.started_at < winner.sent.started_at:  # it is at least this slow
                self.components.balancer.record_first_event(
                    loser.prepared.deployment, self.resolution, self.call, seconds
                )
        observation.upstream_seconds += now - min(attempt.sent.started_at for attempt in attempts)
        waited = now - winner.sent.started_at
        self.components.balancer.record_first_event(deployment, self.resolution, self.call, waited)
        return winner.prepared, winner.reply.result()

    def _time_out(self, attempts: list[Attempt]) -> AttemptTimedOut:
        """Return the last attempt's timeout, for the caller of `run` to record; record the earlier attempt's."""
        for attempt in attempts:
            attempt.sent.ended_at = self.components.clock()
        for attempt in attempts[:-1]:
            error = attempt_timed_out(attempt.prepared.deployment)
            self._record_failure(attempt, error)
            self.order.record_failure(attempt.prepared.deployment, error, at=self.components.clock())
        self.order.deployment = self.observation.deployment = attempts[-1].prepared.deployment
        return attempt_timed_out(self.order.deployment)

    def _record_failure(self, attempt: Attempt, error: TidegateError) -> None:
        seconds = self.components.clock() - attempt.sent.started_at
        record_failure(self.components, self.call, self.observation, attempt.prepared.deployment, error, seconds)
