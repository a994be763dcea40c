"""Asking providers: who may answer, how often each is asked, and what that needs beside the request.

Before its first event a failure is invisible to the caller; after it, nothing is tried again.
"""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

from tidegate.chat.request import shortened
from tidegate.domain.account import rates
from tidegate.domain.call import Call, FailedAttempt
from tidegate.domain.model import Deployment, Plan
from tidegate.domain.threshold import Watched
from tidegate.errors import NoRoom, ProviderTimeout, TidegateError, UnsupportedParameter, UpstreamError
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
    """A provider that began to answer. `ignored` are the fields that it cannot honour."""

    provider: Provider
    deployment: Deployment
    reply: Reply
    ignored: tuple[str, ...]
    room: Room


@dataclass(frozen=True, slots=True)
class _Ready:
    """A call that one deployment can be asked for: translated, and with room reserved."""

    call: Call
    provider: Provider
    deployment: Deployment
    request: UpstreamRequest
    ignored: tuple[str, ...]
    room: Room


class _NoTimeLeft(ProviderTimeout):
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
    seen.plan = plan
    tries = Tries(plan.deployments)
    ready: _Ready | None = None
    while True:
        began = parts.clock()
        try:
            if ready is None or ready.deployment is not tries.deployment:
                ready = await _ready(parts, call, tries.deployment, seen)
                began = parts.clock()
            return await _open(parts, ready, seen, stack, others + tries.has_more)
        except TidegateError as error:
            _note(parts, seen, tries.deployment, error, parts.clock() - began)
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


def _note(parts: Parts, seen: Observation, deployment: Deployment, error: TidegateError, seconds: float) -> None:
    """What failed is on record, and counts against the deployment where it is the deployment that failed."""
    if isinstance(error, UpstreamError):
        seen.waited += seconds
        seen.failed_attempts.append(FailedAttempt(deployment.model_id, error.code or error.type, seconds))
    if seen.plan is not None:
        is_over = isinstance(error, _NoTimeLeft) or parts.clock() >= seen.call.deadline
        parts.balancing.failed(deployment, seen.plan, seen.call, error, waited=seconds, is_over=is_over)


async def _open(parts: Parts, ready: _Ready, seen: Observation, stack: AsyncExitStack, others: int) -> Asked:
    """One try. While there are others to ask, it has no more than its share of the time that is left."""
    call, provider, deployment = ready.call, ready.provider, ready.deployment
    asked_at = parts.clock()
    left = call.deadline - asked_at
    seen.attempts += 1
    parts.retries.budget(deployment.provider).earn()
    opening = parts.upstream.open(
        provider,
        ready.request,
        secret=deployment.secret,
        stream=call.request.stream,
        seconds=left,
        own=parts.own_keys.of(call.workspace, deployment.secret),
    )
    try:
        async with asyncio.timeout(max(0.0, left / (others + 1)) if others else None):
            reply = await stack.enter_async_context(opening)
    except TimeoutError:
        raise _NoTimeLeft(f"{deployment.provider} did not answer while there was time to ask others.") from None
    seen.first_event_at = parts.clock()
    seen.waited += seen.first_event_at - asked_at
    if seen.plan is not None:
        parts.balancing.began(deployment, seen.plan, call, seen.first_event_at - asked_at)
    return Asked(provider, deployment, reply, ready.ignored, ready.room)


async def _ready(parts: Parts, call: Call, deployment: Deployment, seen: Observation) -> _Ready:
    """Raises what makes this deployment none that the call may go to, or can."""
    seen.deployment = deployment
    provider = parts.providers.load(deployment.provider)
    call = await _equipped(parts, call, provider, deployment)
    request = await aside(call, partial(provider.build_request, call, deployment))
    ignored = call.request.ignored + request.ignored
    if ignored and call.request.fields.require_parameters:
        raise unsupported(deployment, ignored)
    call, room = await _reserve(parts, call, deployment, seen)
    if room.max_tokens is not None:
        request = await aside(call, partial(provider.build_request, call, deployment))
    return _Ready(call, provider, deployment, request, ignored, room)


async def _equipped(parts: Parts, call: Call, provider: Provider, deployment: Deployment) -> Call:
    """The call with what its provider needs beside the request: fetched media, and signatures of earlier turns."""
    urls = provider.media_urls(call, deployment)
    if urls:
        call = replace(call, media=await parts.fetcher.fetch(urls, call.deadline - parts.clock()))
    earlier = signatures.needed(call.request.fields.messages) if provider.signs_reasoning else []
    if earlier:
        call = replace(call, signatures=await parts.signatures.find(call.workspace.id, earlier))
    return call


async def _reserve(parts: Parts, call: Call, deployment: Deployment, seen: Observation) -> tuple[Call, Room]:
    """The call, once there is room for it: shortened to what there is, where its workspace wants that."""
    model_id = deployment.model_id
    model = parts.catalog.find(model_id)
    if seen.hold is not None:  # of another deployment, which did not answer
        await parts.ledger.release(seen.hold)
        seen.hold = None
    asked = await aside(call, partial(budget.reservation, call, model_id, model))
    if asked is None:
        return call, NO_LIMITS
    most: int | None = None
    try:
        seen.hold, account = await parts.ledger.reserve(asked)
    except NoRoom as error:
        most = budget.shortened(call, model, error) if call.workspace.lowers_max_tokens else None
        if most is None:
            raise
        call = replace(call, request=shortened(call.request, most))
        asked = budget.reservation(call, model_id, model) or asked
        seen.hold, account = await parts.ledger.reserve(asked)
    if account is None:
        return call, Room({}, most)
    seen.watched = Watched(call.workspace.id, asked.scopes[0], account, call.started_at, call.workspace.first_day)
    return call, Room(rates(account, asked.scopes[0], call.started_at), most)


def unsupported(deployment: Deployment, ignored: tuple[str, ...]) -> UnsupportedParameter:
    """What a caller is told who wants every field honoured."""
    names = ", ".join(ignored)
    return UnsupportedParameter(f"{deployment.model_id} cannot honour: {names}.", param=ignored[0])
