"""Asking providers: who may answer, and how often each is asked.

Before its first event a failure is invisible to the caller; after it, nothing is tried again.
"""

import asyncio
import logging
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from importlib import import_module

from msgspec import Struct
from msgspec.structs import replace

from tidegate.chat.request import ChatRequest
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment, Plan
from tidegate.errors import TidegateError, UpstreamError
from tidegate.pipeline.attempt import Hedge, NoTimeLeft, note, opening
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.offload import offload_call
from tidegate.pipeline.prepare import Ready, ready_for
from tidegate.policy.deadline import SLACK_SECONDS
from tidegate.policy.metering import reservation
from tidegate.policy.metering.reservation import Room
from tidegate.policy.routing import fallback
from tidegate.policy.routing.attempt_order import Tries
from tidegate.policy.routing.retry import DEFAULT_RETRIES, PATIENCE_SECONDS
from tidegate.providers.base import Provider
from tidegate.upstream.attempt import Reply

log = logging.getLogger(__name__)


class Asked(Struct, frozen=True):
    """A provider that began to answer `request`. `ignored` are the fields that it cannot honour."""

    provider: Provider
    deployment: Deployment
    reply: Reply
    ignored: tuple[str, ...]
    room: Room
    request: ChatRequest


async def ask(parts: Components, call: Call, seen: Observation, stack: AsyncExitStack) -> Asked:
    """The first answer of those who may answer, whose connection is `stack`'s to close.

    Raises the failure of the model that was asked for, or a more hopeful one of its fallbacks.
    """
    named = partial(fallback.candidates, call.request, parts.router, parts.catalog, call.workspace)
    waiting = await offload_call(call, named)  # each with fields of its own is validated anew
    told: TidegateError | None = None
    while True:
        candidate, *waiting = waiting
        try:
            plan = candidate.plan or parts.router.plan(candidate.request.model, call.workspace)
            asking = call if candidate.request is call.request else replace(call, request=candidate.request)
            return await _insist(parts, asking, plan, seen, stack, len(waiting))
        except TidegateError as error:
            told = fallback.told(told, error)
            waiting = fallback.after(error, candidate, waiting)
            if not waiting or parts.clock() >= call.deadline:
                raise told from None


async def _insist(
    parts: Components, call: Call, plan: Plan, seen: Observation, stack: AsyncExitStack, others: int
) -> Asked:
    """One model's answer: of each of its deployments once, and then again after failures that pass.

    `others` may be asked instead.
    """
    plan = reservation.permitted(call, plan)
    route = plan.route
    if route is not None:
        plan = await offload_call(call, partial(parts.balancing.arrange, plan, call))
        if route.timeout_seconds is not None:
            call = replace(call, deadline=min(call.deadline, call.started_at + route.timeout_seconds))
    seen.plan = plan
    tries = Tries(plan.deployments)
    ready: Ready | None = None
    while True:
        began = parts.clock()
        try:
            hedge = _hedge(parts, call, plan, tries)
            if ready is None or ready.deployment is not tries.deployment:
                ready = await ready_for(parts, call, tries.deployment, seen, hedge and hedge.deployment)
                began = parts.clock()
            if hedge is None or not ready.covers_both:
                return await _open(parts, ready, seen, stack, others + tries.has_more)
            race = import_module("tidegate.pipeline.hedging").Race(parts, call, plan, seen, stack, tries)
            return _asked(*await race.run(ready, hedge, _share(ready.call, parts.clock(), others)))
        except TidegateError as error:
            note(parts, call, seen, tries.deployment, error, parts.clock() - began)
            left = call.deadline - parts.clock()
            tries.failed(error, at=parts.clock(), may_move=left > 0)
            delay = 0.0 if tries.is_fresh else _delay(parts, call, tries, left, others)
            if delay is None:
                raise tries.told from None
            if seen.failed_attempts:
                log.warning("attempt.failed", extra={"call_id": call.id, "attempt": str(seen.failed_attempts[-1])})
            if delay:
                await parts.retries.sleep(delay)
                seen.waited += delay


def _delay(parts: Components, call: Call, tries: Tries, left: float, others: int) -> float | None:
    """Seconds until the next try, of the deployment that comes to itself the soonest. None: there is no use in it."""
    retries, error = call.request.fields.num_retries, tries.soonest()
    if not isinstance(error, UpstreamError) or tries.again == (DEFAULT_RETRIES if retries is None else retries):
        return None
    most = min(left, PATIENCE_SECONDS) if others else left
    delay = parts.retries.delay(error, tries.deployment.provider, tries.again, most)
    tries.again += 1
    return delay


def _hedge(parts: Components, call: Call, plan: Plan, tries: Tries) -> Hedge | None:
    """Who is asked as well, if anybody: the next one that was not tried, unless something speaks against it."""
    after = plan.route.hedge_after_seconds if plan.route else None
    other = tries.following if tries.is_fresh else None
    if after is None or other is None or not parts.balancing.is_ready(other, plan, call):
        return None
    return Hedge(other, after)


async def _open(parts: Components, ready: Ready, seen: Observation, stack: AsyncExitStack, others: int) -> Asked:
    """One try. While there are others to ask, it has no more than its share of the time that is left."""
    call, deployment = ready.call, ready.deployment
    seen.asked_at = asked_at = parts.clock()
    seen.attempts += 1
    parts.retries.budget(deployment.provider).earn()
    share, seconds = _share(call, asked_at, others), call.deadline - asked_at
    if share is not None and not call.request.stream:
        # pyreqwest 0.15 leaves no connection before its head has come, but at the end of its own time.
        seconds = min(seconds, share + SLACK_SECONDS)
    try:
        async with nullcontext() if share is None else asyncio.timeout(share):
            reply = await stack.enter_async_context(opening(parts, ready, seconds))
    except TimeoutError:
        raise NoTimeLeft(f"{deployment.provider} did not answer while there was time to ask others.") from None
    seen.first_event_at = parts.clock()
    seen.waited += seen.first_event_at - asked_at
    if seen.plan is not None:
        parts.balancing.began(deployment, seen.plan, call, seen.first_event_at - asked_at)
    return _asked(ready, reply)


def _asked(ready: Ready, reply: Reply) -> Asked:
    return Asked(ready.provider, ready.deployment, reply, ready.ignored, ready.room, ready.call.request)


def _share(call: Call, now: float, others: int) -> float | None:
    """Seconds of those that are left for one try, where others are to have their turn as well."""
    return max(0.0, (call.deadline - now) / (others + 1)) if others else None
