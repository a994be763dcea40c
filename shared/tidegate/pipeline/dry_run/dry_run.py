"""A dry run: what would become of a call. No provider is asked, nothing is held, kept or recorded.

Media that the gateway would fetch are not fetched either: words in angle brackets stand in their place.
"""

from functools import partial

from tidegate.chat.estimate import estimate_prompt
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.errors import ModelNotAllowed, NotConfigured, TidegateError
from tidegate.json import JsonObject
from tidegate.pipeline.components import Components
from tidegate.pipeline.dry_run.report import Step, entry, told
from tidegate.pipeline.dry_run.simulation import Turns, briefly
from tidegate.policy.caching.cache_key import wish_of
from tidegate.policy.metering import reservation
from tidegate.policy.routing import fallback
from tidegate.policy.routing.attempt_order import Tries
from tidegate.policy.routing.fallback import Candidate
from tidegate.policy.routing.retry import DEFAULT_RETRIES


async def rehearse(parts: Components, call: Call) -> JsonObject:
    """What would become of the call, as JSON.

    Raises what no candidate can change: `InvalidRequest` for those that are named, and `ModelNotFound`.
    """
    guard = parts.guards.of(call)
    guarded = await guard.rehearse(call) if guard else None
    call = guarded.call if guarded else call
    candidates = await briefly(call, partial(_candidates, parts, call))
    steps = [step async for step in Turns(parts, call).all(candidates)]
    first, error = _ending(candidates, steps)
    ends = guarded and guarded.error
    first, error = (None, ends) if ends else (first, error)
    retries = call.request.fields.num_retries
    return {
        "object": "tidegate.dry_run",
        "id": call.id,
        "model": call.request.model,
        "asked_first": first.model_id if first else None,
        "error": told(error),
        "guardrails": guarded.verdicts if guarded else [],
        "cache": _cache(call),
        "plan": [entry(step) for step in steps],
        "estimate": await briefly(call, partial(_estimate, parts, call, first)),
        "num_retries": DEFAULT_RETRIES if retries is None else retries,
        "deadline_seconds": round(call.deadline - parts.clock(), 3),
    }


def _cache(call: Call) -> JsonObject | None:
    """Whether an equal call's reply would be looked for, and how long this one's kept; None where caching is off."""
    wish = wish_of(call)
    if wish is None:
        return None
    return {
        "looked_up": wish.looks,
        "max_age_seconds": wish.max_age_seconds,
        "keep_seconds": wish.keep_seconds,
        "namespace": wish.namespace,
    }


def _candidates(parts: Components, call: Call) -> list[Candidate]:
    try:
        return fallback.candidates(call.request, parts.router, parts.catalog, call.workspace)
    except NotConfigured:  # which its own turn will tell
        return [Candidate("model", call.request)]


def _ending(candidates: list[Candidate], steps: list[Step]) -> tuple[Deployment | None, TidegateError | None]:
    """Who would be asked first, or else what the caller would be told."""
    heard: TidegateError | None = None
    waiting = candidates
    while waiting:
        candidate, *waiting = waiting
        first, error = _tried([step for step in steps if step.candidate is candidate])
        if error is None:
            return first, None
        heard = fallback.told(heard, error)
        waiting = fallback.after(error, candidate, waiting)
    return None, heard


def _tried(steps: list[Step]) -> tuple[Deployment | None, TidegateError | None]:
    """The same of one candidate's deployments."""
    faults = {step.deployment: step.error for step in steps if step.deployment}
    permitted = [each for each, error in faults.items() if not isinstance(error, ModelNotAllowed)]
    if not permitted:
        return None, steps[0].error
    tries = Tries(permitted)
    while (error := faults[tries.deployment]) is not None:
        tries.failed(error, at=0.0)
        if not tries.is_fresh:
            return None, tries.told
    return tries.deployment, None


def _estimate(parts: Components, call: Call, first: Deployment | None) -> JsonObject:
    """Of the call as it was sent: what it is, and what would be held for it."""
    tokens = reservation.longest(call, parts.catalog.find(first.model_id) if first else None)
    return {
        "prompt_tokens": estimate_prompt(call.request.fields),
        "with_margin": tokens.input,
        "max_output_tokens": tokens.output,
        "words": reservation.charged_words(call, tokens),
    }
