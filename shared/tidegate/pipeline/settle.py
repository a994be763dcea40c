"""The end of a call: its bill, its one record, budget alerts, and cooldowns announced to other processes."""

import logging
from contextlib import suppress
from functools import partial

from tidegate.domain.deployment import Resolution
from tidegate.domain.settlement import billed_amounts
from tidegate.domain.usage import Bill
from tidegate.errors import StoreUnavailable
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation, log_fields
from tidegate.policy.metering.billing import add_hedged_prompts, calculate_bill

log = logging.getLogger(__name__)


async def update_bill(components: Components, observation: Observation) -> Bill:
    """Calculate the bill of what the call has used so far; `observation.bill` is set to it."""
    call, generated = observation.call, observation.generated_text()
    model = components.catalog.find_model(observation.model_id)
    make_bill = partial(
        calculate_bill, observation.usage, call.request, generated, call.workspace, model, started_at=call.started_at
    )
    observation.bill = await offload(call.request.size, make_bill)
    if observation.hedges:
        hedged_models = [components.catalog.find_model(hedge.model_id) for hedge in observation.hedges]
        observation.bill = await offload(
            call.request.size,
            partial(add_hedged_prompts, observation.bill, call.request, hedged_models, call.started_at),
        )
    return observation.bill


async def settle(components: Components, observation: Observation) -> None:
    """Record the outcome of the call. If the store is down, only the log line has it."""
    if observation.bill is None and observation.is_charged:
        await update_bill(components, observation)
    outcome = observation.outcome(components.clock())
    level, event = logging.ERROR, "meter.failed"
    try:
        with suppress(StoreUnavailable):
            await components.meter.record(outcome)
            level, event = logging.INFO, "call.settled"
    finally:  # also after a timeout or a bug: a call without a record must have a log line
        log.log(level, event, extra=log_fields(outcome))
    is_recorded, snapshot = event == "call.settled", observation.account_snapshot
    # The sweeper checks sharded accounts: one shard does not tell how much of the budget is used.
    if is_recorded and snapshot is not None and snapshot.scope.shards == 1:
        actual, now = billed_amounts(outcome.bill), components.clock()
        send_budget_alerts = load("tidegate.policy.metering.alerts", "send_budget_alerts")
        alerts = components.open_budget_alerts()
        await send_budget_alerts(components.ledger, alerts, snapshot, now, outcome.hold, actual)
    if observation.resolution is not None:
        await _announce_cooldowns(components, observation, observation.resolution, store_answers=is_recorded)


async def _announce_cooldowns(
    components: Components, observation: Observation, resolution: Resolution, *, store_answers: bool
) -> None:
    """Announce new cooldowns to other processes; skipped when the store is down."""
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
