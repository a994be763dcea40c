"""Dispatch: candidates and their deployments are tried until one begins to answer.

A failure before the first event leads to a retry or a fallback, unseen by the caller; a later one ends the call.
"""

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain.call import Call, call_within
from tidegate.domain.deployment import Deployment, Resolution
from tidegate.domain.operation import Request
from tidegate.domain.routes import Route
from tidegate.errors import TidegateError, UpstreamError
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.pipeline.attempt import (
    Hedge,
    OpenConnections,
    attempt_timed_out,
    record_failure,
    start_attempt,
)
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.plan import Target
from tidegate.pipeline.prepare import PreparedCall, prepare
from tidegate.policy.deadline import SLACK_SECONDS
from tidegate.policy.metering import reservation
from tidegate.policy.metering.reservation import Headroom
from tidegate.policy.routing import fallback
from tidegate.policy.routing.attempt_order import AttemptOrder
from tidegate.policy.routing.fallback import Candidate
from tidegate.policy.routing.retry import (
    DEFAULT_RETRIES,
    LONGEST_DELAY_BEFORE_FALLBACK_SECONDS,
    as_final_error,
)
from tidegate.providers.base import Translator
from tidegate.upstream.attempt import ProviderReply

log = logging.getLogger(__name__)


class Dispatched(Struct, frozen=True):
    """A provider that has begun to answer `request`. `ignored` names the fields that it cannot honour."""

    translator: Translator
    deployment: Deployment
    reply: ProviderReply
    ignored: tuple[str, ...]
    headroom: Headroom
    request: Request


def dispatch(
    components: Components, call: Call, observation: Observation, connections: OpenConnections
) -> Coroutine[Any, Any, Dispatched]:
    """Return the first answer; closing `connections` closes its connection.

    If all candidates fail, raises the first error that a retry may avoid, or else the requested model's error.
    """
    target, request = None if observation.plan is None else observation.plan.target, call.request
    # One candidate, whichever error it ends with; one in another dialect may come again, without sealed reasoning.
    if target is not None and request.is_plain and request.origin is None:
        return _try_deployments(components, call, target.resolution, observation, connections, 0)
    return _try_candidates(components, call, observation, connections, target)


async def _try_candidates(
    components: Components, call: Call, observation: Observation, connections: OpenConnections, target: Target | None
) -> Dispatched:
    """Return the answer of the first candidate that has one. Without fallbacks, `target` is the only one."""
    if target is not None and not fallback.names_other_models(call.request.options):
        candidates = [Candidate("model", call.request, target.resolution)]
    else:
        router, limits = components.router, call.principal.limits
        find_candidates = partial(fallback.candidates, call.request, router, components.catalog, call.workspace, limits)
        candidates = await offload(call.request.size, find_candidates)  # validates each that overrides fields
    best_error: TidegateError | None = None
    while True:
        candidate, *candidates = candidates
        try:
            resolution = candidate.resolution or components.router.resolve(candidate.request.model, call.workspace)
            candidate_call = call if candidate.request is call.request else replace(call, request=candidate.request)
            if target is None or target.resolution is not resolution:
                resolution = reservation.allowed_deployments(candidate_call, resolution)
            return await _try_deployments(
                components, candidate_call, resolution, observation, connections, len(candidates)
            )
        except TidegateError as error:
            best_error = fallback.best_error(best_error, error)
            candidates = fallback.remaining_candidates(error, candidate, candidates)
            if not candidates or components.clock() >= call.deadline:
                raise best_error from None


async def _try_deployments(
    components: Components,
    call: Call,
    resolution: Resolution,
    observation: Observation,
    connections: OpenConnections,
    alternatives: int,
) -> Dispatched:
    """Return the answer of one candidate: tries each of its deployments once, then retries temporary failures.

    The caller may use all of them. `alternatives` counts the candidates after this one.
    """
    route = resolution.route
    if route is not None:
        resolution = await offload(call.request.size, partial(components.balancer.order, resolution, call))
        if route.timeout_seconds is not None:
            call = call_within(call, call.started_at + route.timeout_seconds)
    observation.resolution = resolution
    order = AttemptOrder(resolution.deployments[0], resolution.deployments[1:])
    prepared: PreparedCall | None = None
    winner: PreparedCall
    while True:
        started_at = components.clock()
        try:
            hedge = None if route is None else _hedge(components, call, resolution, route, order)
            if prepared is None or prepared.deployment is not order.deployment or observation.sent:
                hedged = hedge and hedge.deployment
                prepared = await prepare(components, call, order.deployment, observation, hedged, prepared)
                started_at = components.clock()
            if hedge is None or not prepared.covers_hedge:
                others = alternatives + 1 if order.untried else alternatives
                reply = await _run_attempt(components, prepared, observation, connections, others, started_at)
                winner = prepared
            else:
                race = load("tidegate.pipeline.hedging", "HedgeRace")(
                    components, call, resolution, observation, connections, order
                )
                share = _time_share(prepared.call, components.clock(), alternatives)
                winner, reply = await race.run(prepared, hedge, share)
            request, ignored, headroom = winner.call.request, winner.ignored, winner.headroom
            return Dispatched(winner.translator, winner.deployment, reply, ignored, headroom, request)
        except TidegateError as error:
            seconds = components.clock() - started_at
            await _move_on(components, call, observation, order, alternatives, error, seconds)


async def _move_on(
    components: Components,
    call: Call,
    observation: Observation,
    order: AttemptOrder,
    alternatives: int,
    error: TidegateError,
    seconds: float,
) -> None:
    """Record that an attempt failed after `seconds`, and wait until the next one may start: `order.deployment` has it.

    Raises the candidate's error if no further attempt helps.
    """
    record_failure(components, call, observation, order.deployment, error, seconds)
    remaining_seconds = call.deadline - components.clock()
    order.fail_over(error, at=components.clock(), may_move=remaining_seconds > 0)
    delay: float | None = 0.0
    if not order.is_first_attempt:
        unread = order.unread_reasoning(call.request)
        if unread is not None:  # the same deployments are asked again without it
            raise unread from None
        delay = _retry_delay(components, call, order, remaining_seconds, alternatives)
    if delay is None:
        raise as_final_error(order.best_error, order.retries, call.request.options.num_retries) from None
    if failed_attempts := observation.failed_attempts():
        failed = str(failed_attempts[-1])
        level = logging.WARNING if call.batch_id is None else logging.DEBUG
        log.log(level, "attempt.failed", extra={"call_id": call.id, "attempt": failed})
    if delay:
        observation.record("queued", "retry_delay")
        await components.retries.sleep(delay)
        observation.upstream_seconds += delay


def _retry_delay(
    components: Components, call: Call, order: AttemptOrder, remaining_seconds: float, alternatives: int
) -> float | None:
    """Return the seconds to wait before retrying the deployment that is available first; None if no retry helps."""
    retries, error = call.request.options.num_retries, order.next_retry()
    if not isinstance(error, UpstreamError) or order.retries == (DEFAULT_RETRIES if retries is None else retries):
        return None
    max_seconds = min(remaining_seconds, LONGEST_DELAY_BEFORE_FALLBACK_SECONDS) if alternatives else remaining_seconds
    delay = components.retries.delay_seconds(error, order.deployment.provider, order.retries, max_seconds)
    order.retries += delay is not None
    return delay


def _hedge(
    components: Components, call: Call, resolution: Resolution, route: Route, order: AttemptOrder
) -> Hedge | None:
    """Return the hedge: the next untried deployment, if the route hedges and that deployment is healthy."""
    after_seconds = route.hedge_after_seconds
    next_deployment = order.next_untried if order.is_first_attempt else None
    if (
        after_seconds is None
        or next_deployment is None
        or not components.balancer.is_healthy(next_deployment, resolution, call)
    ):
        return None
    return Hedge(next_deployment, after_seconds)


async def _run_attempt(
    components: Components,
    prepared: PreparedCall,
    observation: Observation,
    connections: OpenConnections,
    alternatives: int,
    started_at: float,
) -> ProviderReply:
    """Run one attempt from `started_at` on. If there are alternatives, it gets only its share of the remaining time."""
    call, deployment = prepared.call, prepared.deployment
    seconds = call.deadline - started_at
    share = _time_share(call, started_at, alternatives) if alternatives else None
    if share is not None and not call.request.stream:
        # pyreqwest 0.15 cannot be cancelled before the response's head arrives: only its own timeout ends it.
        seconds = min(seconds, share + SLACK_SECONDS)
    attempt, connection = start_attempt(components, prepared, observation, started_at, seconds)
    try:
        if share is None:
            reply = await connection.__aenter__()
        else:
            async with asyncio.timeout(share):
                reply = await connection.__aenter__()
    except TimeoutError:
        observation.fail_attempt(attempt, timeout := attempt_timed_out(deployment), components.clock())
        raise timeout from None
    except TidegateError as error:
        observation.fail_attempt(attempt, error, components.clock())
        raise
    if reply.batches is not None:  # the connection of a whole reply is closed
        connections.add_context(connection)
    now, resolution = components.clock(), observation.resolution
    observation.start_answer(attempt, now)
    observation.upstream_seconds += now - started_at
    if resolution is not None and resolution.route is not None:
        components.balancer.record_first_event(deployment, resolution, call, now - started_at)
    return reply


def _time_share(call: Call, now: float, alternatives: int) -> float | None:
    """Return one attempt's share of the remaining seconds; None without alternatives: it may use them all."""
    return max(0.0, (call.deadline - now) / (alternatives + 1)) if alternatives else None
