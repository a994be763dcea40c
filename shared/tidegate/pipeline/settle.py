"""The end of a call: what it costs, its one record, and the warnings that follow from it."""

import logging
from contextlib import suppress
from functools import partial

from tidegate.domain.deployment import Resolution
from tidegate.domain.settlement import billed_amounts
from tidegate.domain.usage import Bill
from tidegate.errors import StoreUnavailable
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation, log_fields
from tidegate.pipeline.offload import offload_call
from tidegate.policy.metering.alerts import send_budget_alerts
from tidegate.policy.metering.billing import add_hedged_prompts, calculate_bill

log = logging.getLogger(__name__)


async def update_bill(components: Components, observation: Observation) -> Bill:
    """What the call has used so far, and from now on its bill."""
    call, generated = observation.call, observation.generated_text()
    model = components.catalog.find_model(observation.model_id)
    make_bill = partial(
        calculate_bill, observation.usage, call.request, generated, call.workspace, model, started_at=call.started_at
    )
    observation.bill = await offload_call(call, make_bill)
    if observation.hedges:
        others = [components.catalog.find_model(each.model_id) for each in observation.hedges]
        observation.bill = await offload_call(
            call, partial(add_hedged_prompts, observation.bill, call.request, others, call.started_at)
        )
    return observation.bill


async def settle(components: Components, observation: Observation) -> None:
    """One outcome, one record, whatever happened; what cannot be recorded is in the log."""
    if observation.bill is None and observation.is_charged:
        await update_bill(components, observation)
    outcome = observation.outcome(components.clock())
    level, event = logging.ERROR, "meter.failed"
    try:
        with suppress(StoreUnavailable):
            await components.meter.record(outcome)
            level, event = logging.INFO, "call.settled"
    finally:  # also when it was given up, or has a bug: what is not in the table is in the log
        log.log(level, event, extra=log_fields(outcome))
    # A busy workspace's account is in parts, and two accounts are not read for it: those are the sweeper's.
    if (
        event == "call.settled"
        and observation.account_snapshot is not None
        and observation.account_snapshot.scope.shards == 1
    ):
        actual = billed_amounts(outcome.bill)
        await send_budget_alerts(
            components.ledger, components.events, observation.account_snapshot, components.clock(), outcome.hold, actual
        )
    if observation.resolution is not None:
        await _announce_cooldowns(
            components, observation, observation.resolution, store_answers=event == "call.settled"
        )


async def _announce_cooldowns(
    components: Components, observation: Observation, resolution: Resolution, *, store_answers: bool
) -> None:
    """Other processes of deployments that cool down, where the store `answers`; one that is dead changes nothing."""
    if observation.deployment is not None and observation.first_event_at is not None:
        components.balancer.record_end(
            observation.deployment, resolution, observation.call, observation.status, observation.error_code
        )
    for cooling in components.balancer.take_announcements():
        fields = {
            "deployment": cooling.name,
            "workspace_id": cooling.deployment_key.workspace_id,
            "until": cooling.ends_at,
        }
        log.warning("deployment.cooling", extra=fields)
        if store_answers:
            with suppress(StoreUnavailable):
                await components.cooldowns.tell(*cooling.deployment_key, cooling.ends_at)
