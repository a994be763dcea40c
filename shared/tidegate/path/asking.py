"""Asking providers: who may answer, how often each is asked, and what that needs beside the request.

Before its first event a failure is invisible to the caller; after it, nothing is tried again.
"""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module

from tidegate.catalog import Model
from tidegate.chat.request import ChatRequest, shortened
from tidegate.domain.account import Account, Hold, Reservation, rates
from tidegate.domain.call import Call, FailedAttempt
from tidegate.domain.model import Deployment, Plan
from tidegate.domain.threshold import Watched
from tidegate.errors import NoRoom, NotConfigured, ProviderTimeout, TidegateError, UnsupportedParameter, UpstreamError
from tidegate.path.parts import Parts, aside
from tidegate.policy import budget, fallback, signatures
from tidegate.policy.budget import NO_LIMITS, Room
from tidegate.policy.observe import Observation
from tidegate.policy.retry import DEFAULT_RETRIES, PATIENCE_SECONDS
from tidegate.policy.tries import Tries
from tidegate.providers.base import Provider, UpstreamRequest
from tidegate.upstream.attempt import Reply

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A provider that began to answer `request`. `ignored` are the fields that it cannot honour."""

    provider: Provider
    deployment: Deployment
    reply: Reply
    ignored: tuple[str, ...]
    room: Room
    request: ChatRequest


@dataclass(frozen=True, slots=True)
class Ready:
    """A call that one deployment can be asked for: translated, and with room reserved."""

    call: Call
    provider: Provider
    deployment: Deployment
    request: UpstreamRequest
    ignored: tuple[str, ...]
    room: Room
    covers_both: bool = False


@dataclass(frozen=True, slots=True)
class Hedge:
    """The next deployment, which is asked as well after so many seconds without an answer."""

    deployment: Deployment
    after_seconds: float


class NoTimeLeft(ProviderTimeout):
    """It was the call that gave a deployment no more time, and not the deployment that had had enough."""


async def ask(parts: Parts, call: Call, seen: Observation, stack: AsyncExitStack) -> Asked:
    """The first answer of those who may answer, whose connection is `stack`'s to close.

    Raises the failure of the model that was asked for, or a more hopeful one of its fallbacks.
    """
    waiting = fallback.candidates(call.request, parts.router, parts.catalog, call.workspace)
    told: TidegateError | None = None
    while True:
        candidate, *waiting = waiting
        try:
            plan = candidate.plan or parts.router.plan(candidate.request.model, call.workspace)
            return await _insist(parts, replace(call, request=candidate.request), plan, seen, stack, len(waiting))
        except TidegateError as error:
            told = fallback.told(told, error)
            waiting = fallback.after(error, candidate, waiting)
            if not waiting or parts.clock() >= call.deadline:
                raise told from None


async def _insist(parts: Parts, call: Call, plan: Plan, seen: Observation, stack: AsyncExitStack, others: int) -> Asked:
    """One model's answer: of each of its deployments once, and then again after failures that pass.

    `others` may be asked instead.
    """
    plan = await aside(call, partial(parts.balancing.arrange, budget.permitted(call, plan), call))
    if plan.route is not None and plan.route.timeout_seconds is not None:
        call = replace(call, deadline=min(call.deadline, call.started_at + plan.route.timeout_seconds))
    seen.plan = plan
    tries = Tries(plan.deployments)
    ready: Ready | None = None
    while True:
        began = parts.clock()
        try:
            hedge = _hedge(parts, call, plan, tries)
            if ready is None or ready.deployment is not tries.deployment:
                ready = await _ready(parts, call, tries.deployment, seen, hedge and hedge.deployment)
                began = parts.clock()
            if hedge is None or not ready.covers_both:
                return await _open(parts, ready, seen, stack, others + tries.has_more)
            race = import_module("tidegate.path.hedging").Race(parts, call, plan, seen, stack, tries)
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


def _delay(parts: Parts, call: Call, tries: Tries, left: float, others: int) -> float | None:
    """Seconds until the next try, of the deployment that comes to itself the soonest. None: there is no use in it."""
    retries, error = call.request.fields.num_retries, tries.soonest()
    if not isinstance(error, UpstreamError) or tries.again == (DEFAULT_RETRIES if retries is None else retries):
        return None
    most = min(left, PATIENCE_SECONDS) if others else left
    delay = parts.retries.delay(error, tries.deployment.provider, tries.again, most)
    tries.again += 1
    return delay


def _hedge(parts: Parts, call: Call, plan: Plan, tries: Tries) -> Hedge | None:
    """Who is asked as well, if anybody: the next one that was not tried, unless something speaks against it."""
    after = plan.route.hedge_after_seconds if plan.route else None
    other = tries.following if tries.is_fresh else None
    if after is None or other is None or not parts.balancing.is_ready(other, plan, call):
        return None
    return Hedge(other, after)


def note(
    parts: Parts, call: Call, seen: Observation, deployment: Deployment, error: TidegateError, seconds: float
) -> None:
    """What failed is on record, and counts against the deployment where it is the deployment that failed."""
    if isinstance(error, UpstreamError | NotConfigured):
        seen.waited += seconds
        seen.failed_attempts.append(FailedAttempt(deployment.shown, error.code or error.type, seconds))
    if seen.plan is not None:
        is_over = isinstance(error, NoTimeLeft) or parts.clock() >= call.deadline
        parts.balancing.failed(deployment, seen.plan, seen.call, error, waited=seconds, is_over=is_over)


async def _open(parts: Parts, ready: Ready, seen: Observation, stack: AsyncExitStack, others: int) -> Asked:
    """One try. While there are others to ask, it has no more than its share of the time that is left."""
    call, deployment = ready.call, ready.deployment
    asked_at = parts.clock()
    seen.attempts += 1
    parts.retries.budget(deployment.provider).earn()
    try:
        async with asyncio.timeout(_share(call, asked_at, others)):
            reply = await stack.enter_async_context(opening(parts, ready, call.deadline - asked_at))
    except TimeoutError:
        raise NoTimeLeft(f"{deployment.provider} did not answer while there was time to ask others.") from None
    seen.first_event_at = parts.clock()
    seen.waited += seen.first_event_at - asked_at
    if seen.plan is not None:
        parts.balancing.began(deployment, seen.plan, call, seen.first_event_at - asked_at)
    return _asked(ready, reply)


def _asked(ready: Ready, reply: Reply) -> Asked:
    return Asked(ready.provider, ready.deployment, reply, ready.ignored, ready.room, ready.call.request)


def opening(parts: Parts, ready: Ready, seconds: float) -> AbstractAsyncContextManager[Reply]:
    """The deployment's reply within that time, for whoever enters it, and leaves it in the same task."""
    return parts.upstream.open(
        ready.provider,
        ready.request,
        secret=ready.deployment.secret,
        stream=ready.call.request.stream,
        seconds=seconds,
        own=parts.own_keys.of(ready.call.workspace, ready.deployment.secret),
        patience=parts.timetable.of(ready.deployment.model_id),
    )


def _share(call: Call, now: float, others: int) -> float | None:
    """Seconds of those that are left for one try, where others are to have their turn as well."""
    return max(0.0, (call.deadline - now) / (others + 1)) if others else None


async def _ready(
    parts: Parts, call: Call, deployment: Deployment, seen: Observation, also: Deployment | None = None
) -> Ready:
    """Raises what makes this deployment none that the call may go to, or can. `also` may be asked beside it."""
    seen.deployment = deployment
    ready = await translated(parts, call, deployment, NO_LIMITS)
    call, room, covers_both = await _reserve(parts, ready.call, deployment, seen, also)
    request = ready.request
    if room.max_tokens is not None:
        request = await aside(call, partial(ready.provider.build_request, call, deployment))
    return replace(ready, call=call, request=request, room=room, covers_both=covers_both)


async def translated(parts: Parts, call: Call, deployment: Deployment, room: Room) -> Ready:
    """The call in the words of that deployment. Raises what cannot be said there."""
    provider = parts.providers.load(deployment.provider)
    call = await _equipped(parts, call, provider, deployment)
    request = await aside(call, partial(provider.build_request, call, deployment))
    ignored = call.request.ignored + request.ignored
    if ignored and call.request.fields.require_parameters:
        raise unsupported(deployment, ignored)
    return Ready(call, provider, deployment, request, ignored, room)


async def _equipped(parts: Parts, call: Call, provider: Provider, deployment: Deployment) -> Call:
    """The call with what its provider needs beside the request: fetched media, and signatures of earlier turns."""
    urls = provider.media_urls(call, deployment)
    if urls:
        call = replace(call, media=await parts.fetcher.fetch(urls, call.deadline - parts.clock()))
    earlier = signatures.needed(call.request.fields.messages) if provider.signs_reasoning else []
    if earlier:
        call = replace(call, signatures=await parts.signatures.find(call.workspace.id, earlier))
    return call


async def _reserve(
    parts: Parts, call: Call, deployment: Deployment, seen: Observation, also: Deployment | None
) -> tuple[Call, Room, bool]:
    """The call, once there is room for it: shortened to what there is, where its workspace wants that.

    And whether there is room for the other deployment as well.
    """
    model_id = deployment.model_id
    model = parts.catalog.find(model_id)
    if seen.hold is not None:  # of another deployment, which did not answer
        await parts.ledger.release(seen.hold)
        seen.hold = None
    asked = await aside(call, partial(budget.reservation, call, model_id, model))
    if asked is None:
        return call, NO_LIMITS, True
    most: int | None = None
    try:
        both = await _covering(parts, call, asked, model, also) if also else None
        seen.hold, account = await _book(parts, both, asked)
    except NoRoom as error:
        both = None
        most = budget.shortened(call, model, error) if call.workspace.lowers_max_tokens else None
        if most is None:
            raise
        call = replace(call, request=shortened(call.request, most))
        asked = budget.reservation(call, model_id, model) or asked
        seen.hold, account = await parts.ledger.reserve(asked)
    covers_both = both is not None and seen.hold.amounts == both.hold.amounts
    if account is None:
        return call, Room({}, most), covers_both
    seen.watched = Watched(call.workspace.id, asked.scopes[0], account, call.started_at, call.workspace.first_day)
    return call, Room(rates(account, asked.scopes[0], call.started_at), most), covers_both


async def _covering(
    parts: Parts, call: Call, asked: Reservation, model: Model | None, also: Deployment
) -> Reservation | None:
    """Room for both, None where that cannot be said."""
    other = parts.catalog.find(also.model_id)
    return await aside(call, partial(budget.covering, call, asked, model, also.model_id, other))


async def _book(parts: Parts, both: Reservation | None, asked: Reservation) -> tuple[Hold, Account | None]:
    """Room for both, or else for the one alone."""
    if both is not None:
        with suppress(NoRoom):
            return await parts.ledger.reserve(both)
    return await parts.ledger.reserve(asked)


def unsupported(deployment: Deployment, ignored: tuple[str, ...]) -> UnsupportedParameter:
    """What a caller is told who wants every field honoured."""
    names = ", ".join(ignored)
    return UnsupportedParameter(f"{deployment.model_id} cannot honour: {names}.", param=ignored[0])
