"""The end of a call: what it costs, its one record, and the warnings that follow from it."""

import logging
from contextlib import suppress
from functools import partial

from tidegate.domain.deployment import Plan
from tidegate.domain.settlement import amounts
from tidegate.domain.usage import Bill
from tidegate.errors import StoreUnavailable
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation, figures
from tidegate.pipeline.offload import offload_call
from tidegate.policy.metering.alerts import warn
from tidegate.policy.metering.billing import bill, with_prompts

log = logging.getLogger(__name__)


async def billed(parts: Components, seen: Observation) -> Bill:
    """What the call has used so far, and from now on its bill."""
    call, produced = seen.call, seen.produced()
    model = parts.catalog.find(seen.model_id)
    made = partial(bill, seen.usage, call.request, produced, call.workspace, model, at=call.started_at)
    seen.bill = await offload_call(call, made)
    if seen.hedges:
        others = [parts.catalog.find(each.model_id) for each in seen.hedges]
        seen.bill = await offload_call(call, partial(with_prompts, seen.bill, call.request, others, call.started_at))
    return seen.bill


async def settle(parts: Components, seen: Observation) -> None:
    """One outcome, one record, whatever happened; what cannot be recorded is in the log."""
    if seen.bill is None and seen.is_charged:
        await billed(parts, seen)
    outcome = seen.outcome(parts.clock())
    level, event = logging.ERROR, "meter.failed"
    try:
        with suppress(StoreUnavailable):
            await parts.meter.record(outcome)
            level, event = logging.INFO, "call.settled"
    finally:  # also when it was given up, or has a bug: what is not in the table is in the log
        log.log(level, event, extra=figures(outcome))
    # A busy workspace's account is in parts, and two accounts are not read for it: those are the sweeper's.
    if event == "call.settled" and seen.watched is not None and seen.watched.scope.shards == 1:
        actual = amounts(outcome.bill)
        await warn(parts.ledger, parts.events, seen.watched, parts.clock(), outcome.hold, actual)
    if seen.plan is not None:
        await _tell(parts, seen, seen.plan, answers=event == "call.settled")


async def _tell(parts: Components, seen: Observation, plan: Plan, *, answers: bool) -> None:
    """Other processes of deployments that cool down, where the store `answers`; one that is dead changes nothing."""
    if seen.deployment is not None and seen.first_event_at is not None:
        parts.balancing.ended(seen.deployment, plan, seen.call, seen.status, seen.error_code)
    for cooling in parts.balancing.news():
        told = {"deployment": cooling.name, "workspace_id": cooling.place.home, "until": cooling.until}
        log.warning("deployment.cooling", extra=told)
        if answers:
            with suppress(StoreUnavailable):
                await parts.cooldowns.tell(*cooling.place, cooling.until)
