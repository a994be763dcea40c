"""Asking two deployments of a route: the second one after a while without a first event, and the first answer counts.

Each is asked in a task of its own, which opens its connection and closes it. None of them outlives the call. Loaded
with the first call that may be hedged.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from msgspec import Struct

from tidegate.chat.completion import Chunk
from tidegate.domain.call import Call, FailedAttempt
from tidegate.domain.deployment import Deployment, Plan
from tidegate.errors import TidegateError
from tidegate.pipeline.attempt import Hedge, NoTimeLeft, note, opening
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.prepare import Ready, translated
from tidegate.pipeline.shield import run_shielded
from tidegate.policy.routing.attempt_order import Tries
from tidegate.upstream.attempt import Reply

LOST = "hedged"
"""What becomes of the slower one, in the place of an error's code."""


class Try:
    """One deployment that is being asked. `opened` becomes its reply, or its failure."""

    def __init__(self, ready: Ready, opening: AbstractAsyncContextManager[Reply], began: float) -> None:
        self.ready = ready
        self.began = began
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[Reply] = loop.create_future()
        self._batches: asyncio.Queue[list[Chunk] | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(1)
        self._task = loop.create_task(self._run(opening))
        self._task.add_done_callback(self._over)

    def cancel(self) -> None:
        self._task.cancel()

    async def stop(self) -> None:
        """Close its connection, whatever becomes of the caller meanwhile."""
        self._task.cancel()
        await run_shielded(self._ended())

    async def _ended(self) -> None:
        await asyncio.wait({self._task})

    async def _run(self, opening: AbstractAsyncContextManager[Reply]) -> None:
        async with opening as reply:
            if reply.batches is None:
                self.opened.set_result(reply)
                return
            self.opened.set_result(Reply(None, self._passed_on()))
            async for batch in reply.batches:
                await self._room.acquire()  # no more than one is held for a slow reader
                self._batches.put_nowait(batch)

    async def _passed_on(self) -> AsyncGenerator[list[Chunk]]:
        while (batch := await self._batches.get()) is not None:
            self._room.release()
            yield batch
        self._task.result()

    def _over(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if not self.opened.done() and error is not None:
            self.opened.set_exception(error)
            self.opened.exception()  # or asyncio complains when nobody waits any more
        elif not self.opened.done():
            self.opened.cancel()
        self._batches.put_nowait(None)


class Race(Struct, frozen=True):
    """The tries of one deployment and its hedge. `stack` waits for their ends."""

    parts: Components
    call: Call
    plan: Plan
    seen: Observation
    stack: AsyncExitStack
    tries: Tries

    async def run(self, ready: Ready, hedge: Hedge, seconds: float | None) -> tuple[Ready, Reply]:
        """The first answer within `seconds`. Raises the last failure, of what is then the deployment of `tries`."""
        racing = [self._begin(ready)]
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait({racing[0].opened}, timeout=hedge.after_seconds)
                other = None if racing[0].opened.done() else await self._translated(ready, hedge.deployment)
                if other is not None and not racing[0].opened.done():
                    self.tries.take()
                    self.seen.hedges.append(other.deployment)
                    racing.append(self._begin(other))
                return self._won(await self._first(racing), racing)
        except TimeoutError:
            raise self._silent(racing) from None
        finally:
            for each in racing:
                if not each.opened.done() or each.opened.cancelled():
                    each.cancel()

    def _begin(self, ready: Ready) -> Try:
        self.seen.asked_at = now = self.parts.clock()
        self.seen.attempts += 1
        self.parts.retries.budget(ready.deployment.provider).earn()
        made = Try(ready, opening(self.parts, ready, self.call.deadline - now), now)
        self.stack.push_async_callback(made.stop)
        return made

    async def _translated(self, ready: Ready, deployment: Deployment) -> Ready | None:
        try:
            return await translated(self.parts, ready.call, deployment, ready.room)
        except TidegateError:  # it may be asked for nothing of the kind: the other one is waited for alone
            return None

    async def _first(self, racing: list[Try]) -> Try:
        """The one that answers. Those that fail are taken out, and the last one's failure is raised."""
        while True:
            await asyncio.wait({each.opened for each in racing}, return_when=asyncio.FIRST_COMPLETED)
            for each in [each for each in racing if each.opened.done()]:
                error = each.opened.exception()
                if error is None:
                    return each
                racing.remove(each)
                self._is_out(each.ready.deployment, racing)
                if not racing or not isinstance(error, TidegateError):
                    raise error
                self._note(each, error)
                self.tries.lost(each.ready.deployment, error, at=self.parts.clock())

    def _is_out(self, deployment: Deployment, racing: list[Try]) -> None:
        """It failed, and charges nothing: if anything is charged from now on, the other one's is the answer."""
        self.tries.deployment = deployment
        left = [each.ready.deployment for each in racing]
        self.seen.hedges.clear()
        if left:
            self.seen.deployment = left[0]

    def _won(self, winner: Try, racing: list[Try]) -> tuple[Ready, Reply]:
        seen, now, deployment = self.seen, self.parts.clock(), winner.ready.deployment
        losers = [each for each in racing if each is not winner]
        seen.deployment, seen.first_event_at = deployment, now
        seen.hedges[:] = [each.ready.deployment for each in losers]
        for loser in losers:
            loser.cancel()
            seconds = now - loser.began
            seen.failed_attempts.append(FailedAttempt(loser.ready.deployment.shown, LOST, seconds))
            if loser.began < winner.began:  # at least as slow as that
                self.parts.balancing.began(loser.ready.deployment, self.plan, self.call, seconds)
        seen.waited += now - min(each.began for each in racing)
        self.parts.balancing.began(deployment, self.plan, self.call, now - winner.began)
        return winner.ready, winner.opened.result()

    def _silent(self, racing: list[Try]) -> NoTimeLeft:
        """All of them were given no more time: the last one's failure is the caller of `run`'s to note."""
        for each in racing[:-1]:
            self._note(each, _no_time(each.ready.deployment))
            self.tries.lost(each.ready.deployment, _no_time(each.ready.deployment), at=self.parts.clock())
        self.seen.hedges.clear()
        self.tries.deployment = self.seen.deployment = racing[-1].ready.deployment
        return _no_time(self.tries.deployment)

    def _note(self, each: Try, error: TidegateError) -> None:
        seconds = self.parts.clock() - each.began
        note(self.parts, self.call, self.seen, each.ready.deployment, error, seconds)


def _no_time(deployment: Deployment) -> NoTimeLeft:
    return NoTimeLeft(f"{deployment.provider} did not answer while there was time to ask others.")
