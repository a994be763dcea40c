"""A dry run: a report of what a call would do. No provider is asked; nothing is held, stored or recorded.

Media are not fetched either: placeholders in angle brackets stand in their place.
"""

from functools import partial

from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.errors import ModelNotAllowed, NotConfigured, TidegateError
from tidegate.json import JsonObject
from tidegate.pipeline.components import Components
from tidegate.pipeline.dry_run.report import Step, error_json, step_json
from tidegate.pipeline.dry_run.simulation import Simulation, offload_dry_run
from tidegate.policy.caching.cache_key import cache_policy
from tidegate.policy.metering import reservation
from tidegate.policy.routing import fallback
from tidegate.policy.routing.attempt_order import AttemptOrder
from tidegate.policy.routing.fallback import Candidate
from tidegate.policy.routing.retry import DEFAULT_RETRIES


async def dry_run(components: Components, call: Call) -> JsonObject:
    """Return the report of the call as JSON.

    Raises errors that no candidate can change: `InvalidRequest` for an invalid fallback, and `ModelNotFound`.
    """
    guard_run = components.guardrails.for_call(call)
    guard_report = await guard_run.dry_run(call) if guard_run else None
    call = guard_report.call if guard_report else call
    candidates = await offload_dry_run(call, partial(_candidates, components, call))
    steps = [step async for step in Simulation(components, call).steps(candidates)]
    first, error = _outcome(candidates, steps)
    guard_error = guard_report and guard_report.error
    first, error = (None, guard_error) if guard_error else (first, error)
    retries = call.request.options.num_retries
    return {
        "object": "tidegate.dry_run",
        "id": call.id,
        "model": call.request.model,
        "asked_first": first.model_id if first else None,
        "error": error_json(error),
        "guardrails": guard_report.verdicts if guard_report else [],
        "cache": _cache_json(call),
        "plan": [step_json(step) for step in steps],
        "estimate": await offload_dry_run(call, partial(_estimate, components, call, first, steps)),
        "num_retries": DEFAULT_RETRIES if retries is None else retries,
        "deadline_seconds": round(call.deadline - components.clock(), 3),
    }


def _cache_json(call: Call) -> JsonObject | None:
    """Return whether the cache would be read, and how long the reply would be stored; None if caching is off."""
    policy = cache_policy(call)
    if policy is None:
        return None
    return {
        "looked_up": policy.reads,
        "max_age_seconds": policy.max_age_seconds,
        "keep_seconds": policy.ttl_seconds,
        "namespace": policy.namespace,
    }


def _candidates(components: Components, call: Call) -> list[Candidate]:
    try:
        limits = call.principal.limits
        return fallback.candidates(call.request, components.router, components.catalog, call.workspace, limits)
    except NotConfigured:  # its step reports this error
        return [Candidate("model", call.request)]


def _outcome(candidates: list[Candidate], steps: list[Step]) -> tuple[Deployment | None, TidegateError | None]:
    """Return the deployment that would be asked first, or else the error that the caller would get."""
    best_error: TidegateError | None = None
    remaining = candidates
    while remaining:
        candidate, *remaining = remaining
        first, error = _first_allowed([step for step in steps if step.candidate is candidate])
        if error is None:
            return first, None
        best_error = fallback.best_error(best_error, error)
        remaining = fallback.remaining_candidates(error, candidate, remaining)
    return None, best_error


def _first_allowed(steps: list[Step]) -> tuple[Deployment | None, TidegateError | None]:
    """Return the first deployment of one candidate that the call could reach, or else the error."""
    errors = {step.deployment: step.error for step in steps if step.deployment}
    allowed = [deployment for deployment, error in errors.items() if not isinstance(error, ModelNotAllowed)]
    if not allowed:
        return None, steps[0].error
    order = AttemptOrder(allowed[0], tuple(allowed[1:]))
    while (error := errors[order.deployment]) is not None:
        order.fail_over(error, at=0.0)
        if not order.is_first_attempt:
            return None, order.best_error
    return order.deployment, None


def _estimate(components: Components, call: Call, first: Deployment | None, steps: list[Step]) -> JsonObject:
    """Return the estimated size of the call as it was sent, and its worst case at the first deployment."""
    tokens = next((step.worst_case for step in steps if first is not None and step.deployment is first), None)
    if tokens is None:
        model = components.catalog.find_model(first.model_id) if first else None
        tokens = reservation.worst_case_tokens(call, model)
    return {
        "prompt_tokens": call.request.estimate_prompt(),
        "with_margin": tokens.input,
        "max_output_tokens": tokens.output,
        "words": reservation.worst_case_words(call, tokens),
    }
