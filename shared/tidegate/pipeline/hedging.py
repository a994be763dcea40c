"""Asking two deployments of a route: the second one after a while without a first event, and the first answer counts.

Each is asked in a task of its own, which opens its connection and closes it. None of them outlives the call. Loaded
with the first call that may be hedged.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from msgspec import Struct

from tidegate.domain.call import Call, FailedAttempt
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.operation import ReplyChunk
from tidegate.errors import TidegateError
from tidegate.pipeline.attempt import AttemptTimedOut, Hedge, open_attempt, record_failure
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.prepare import PreparedCall, translate
from tidegate.pipeline.shield import run_shielded
from tidegate.policy.routing.attempt_order import AttemptOrder
from tidegate.upstream.attempt import ProviderReply

HEDGED_CODE = "hedged"
"""What becomes of the slower one, in the place of an error's code."""


class Attempt:
    """One deployment that is being asked. `opened` becomes its reply, or its failure."""

    def __init__(self, ready: PreparedCall, opening: AbstractAsyncContextManager[ProviderReply], began: float) -> None:
        self.prepared = ready
        self.started_at = began
        loop = asyncio.get_running_loop()
        self.reply: asyncio.Future[ProviderReply] = loop.create_future()
        self._batches: asyncio.Queue[Sequence[ReplyChunk] | None] = asyncio.Queue()
        self._slot = asyncio.Semaphore(1)
        self._task = loop.create_task(self._run(opening))
        self._task.add_done_callback(self._on_done)

    def cancel(self) -> None:
        self._task.cancel()

    async def stop(self) -> None:
        """Close its connection, whatever becomes of the caller meanwhile."""
        self._task.cancel()
        await run_shielded(self._wait_for_end())

    async def _wait_for_end(self) -> None:
        await asyncio.wait({self._task})

    async def _run(self, opening: AbstractAsyncContextManager[ProviderReply]) -> None:
        async with opening as reply:
            if reply.batches is None:
                self.reply.set_result(reply)
                return
            self.reply.set_result(ProviderReply(None, self._relay()))
            async for batch in reply.batches:
                await self._slot.acquire()  # no more than one is held for a slow reader
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
            self.reply.exception()  # or asyncio complains when nobody waits any more
        elif not self.reply.done():
            self.reply.cancel()
        self._batches.put_nowait(None)


class HedgeRace(Struct, frozen=True):
    """The tries of one deployment and its hedge. `stack` waits for their ends."""

    components: Components
    call: Call
    resolution: Resolution
    observation: Observation
    stack: AsyncExitStack
    order: AttemptOrder

    async def run(
        self, prepared: PreparedCall, hedge: Hedge, seconds: float | None
    ) -> tuple[PreparedCall, ProviderReply]:
        """The first answer within `seconds`. Raises the last failure, of what is then the deployment of `tries`."""
        racing = [self._start(prepared)]
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait({racing[0].reply}, timeout=hedge.after_seconds)
                prepared_hedge = (
                    None if racing[0].reply.done() else await self._translate_for(prepared, hedge.deployment)
                )
                if prepared_hedge is not None and not racing[0].reply.done():
                    self.order.start_hedge()
                    self.observation.hedges.append(prepared_hedge.deployment)
                    racing.append(self._start(prepared_hedge))
                return self._finish(await self._first(racing), racing)
        except TimeoutError:
            raise self._time_out(racing) from None
        finally:
            for each in racing:
                if not each.reply.done() or each.reply.cancelled():
                    each.cancel()

    def _start(self, prepared: PreparedCall) -> Attempt:
        self.observation.attempt_started_at = now = self.components.clock()
        self.observation.attempts += 1
        self.components.retries.budget_of(prepared.deployment.provider).earn()
        attempt = Attempt(prepared, open_attempt(self.components, prepared, self.call.deadline - now), now)
        self.stack.push_async_callback(attempt.stop)
        return attempt

    async def _translate_for(self, prepared: PreparedCall, deployment: Deployment) -> PreparedCall | None:
        try:
            return await translate(self.components, prepared.call, deployment, prepared.headroom)
        except TidegateError:  # it may be asked for nothing of the kind: the other one is waited for alone
            return None

    async def _first(self, racing: list[Attempt]) -> Attempt:
        """The one that answers. Those that fail are taken out, and the last one's failure is raised."""
        while True:
            await asyncio.wait({each.reply for each in racing}, return_when=asyncio.FIRST_COMPLETED)
            for each in [each for each in racing if each.reply.done()]:
                error = each.reply.exception()
                if error is None:
                    return each
                racing.remove(each)
                self._drop(each.prepared.deployment, racing)
                if not racing or not isinstance(error, TidegateError):
                    raise error
                self._record_failure(each, error)
                self.order.record_failure(each.prepared.deployment, error, at=self.components.clock())

    def _drop(self, deployment: Deployment, racing: list[Attempt]) -> None:
        """It failed, and charges nothing: if anything is charged from now on, the other one's is the answer."""
        self.order.deployment = deployment
        remaining = [each.prepared.deployment for each in racing]
        self.observation.hedges.clear()
        if remaining:
            self.observation.deployment = remaining[0]

    def _finish(self, winner: Attempt, racing: list[Attempt]) -> tuple[PreparedCall, ProviderReply]:
        observation, now, deployment = self.observation, self.components.clock(), winner.prepared.deployment
        losers = [each for each in racing if each is not winner]
        observation.deployment, observation.first_event_at = deployment, now
        observation.hedges[:] = [each.prepared.deployment for each in losers]
        for loser in losers:
            loser.cancel()
            seconds = now - loser.started_at
            observation.failed_attempts.append(
                FailedAttempt(loser.prepared.deployment.display_name, HEDGED_CODE, seconds)
            )
            if loser.started_at < winner.started_at:  # at least as slow as that
                self.components.balancer.record_first_event(
                    loser.prepared.deployment, self.resolution, self.call, seconds
                )
        observation.upstream_seconds += now - min(each.started_at for each in racing)
        self.components.balancer.record_first_event(deployment, self.resolution, self.call, now - winner.started_at)
        return winner.prepared, winner.reply.result()

    def _time_out(self, racing: list[Attempt]) -> AttemptTimedOut:
        """All of them were given no more time: the last one's failure is the caller of `run`'s to note."""
        for each in racing[:-1]:
            self._record_failure(each, _timed_out(each.prepared.deployment))
            self.order.record_failure(
                each.prepared.deployment, _timed_out(each.prepared.deployment), at=self.components.clock()
            )
        self.observation.hedges.clear()
        self.order.deployment = self.observation.deployment = racing[-1].prepared.deployment
        return _timed_out(self.order.deployment)

    def _record_failure(self, attempt: Attempt, error: TidegateError) -> None:
        seconds = self.components.clock() - attempt.started_at
        record_failure(self.components, self.call, self.observation, attempt.prepared.deployment, error, seconds)


def _timed_out(deployment: Deployment) -> AttemptTimedOut:
    return AttemptTimedOut(f"{deployment.provider} did not answer while there was time to ask others.")
