"""The end of a call: its bill, its one record, budget alerts, and cooldowns announced to other processes."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from tidegate.catalog import CatalogModel, price_options
from tidegate.domain.call import Call, SentAttempt
from tidegate.domain.deployment import Resolution
from tidegate.domain.settlement import billed_amounts
from tidegate.domain.usage import ArrivedReply, Bill, TokenCounts
from tidegate.errors import StoreUnavailable
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation, log_fields
from tidegate.policy.metering.billing import add_attempts, calculate_bill, empty_bill

log = logging.getLogger(__name__)

_UNREPORTED = "tidegate.policy.metering.unreported"


async def update_bill(components: Components, observation: Observation) -> Bill:
    """Calculate the bill of what the call has used so far; `observation.bill` is set to it."""
    observation.bill = await offload(observation.call.request.size, partial(_bill, components, observation))
    return observation.bill


def _bill(components: Components, observation: Observation) -> Bill:
    call, answering = observation.call, observation.answering
    if answering is None:
        bill = empty_bill(call.request, call.workspace)
    else:
        options = price_options(call.request.body, observation.price_fields)
        model = components.catalog.find_model(answering.deployment.model_id, options)
        generated, estimate = observation.generated_text(), None
        if observation.usage is None or observation.status != "ok":
            reply = ArrivedReply(generated, is_complete=observation.status == "ok")
            estimate = load(_UNREPORTED, "unreported_tokens")(answering, call.request, model, components.clock(), reply)
        bill = calculate_bill(
            observation.usage, call.request, generated, call.workspace, model, call.started_at, estimate
        )
    others = [attempt for attempt in observation.sent if attempt is not answering]
    return add_attempts(bill, unreported_attempts(components, call, others), call.started_at) if others else bill


def unreported_attempts(
    components: Components, call: Call, attempts: Sequence[SentAttempt]
) -> list[tuple[CatalogModel | None, TokenCounts]]:
    """Return the model and the estimated tokens of each attempt whose usage was never reported."""
    unreported_tokens, now = load(_UNREPORTED, "unreported_tokens"), components.clock()
    options = price_options(call.request.body)
    models = [components.catalog.find_model(attempt.deployment.model_id, options) for attempt in attempts]
    return [
        (model, unreported_tokens(attempt, call.request, model, now))
        for model, attempt in zip(models, attempts, strict=True)
    ]


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
