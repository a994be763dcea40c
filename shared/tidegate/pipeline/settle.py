"""The end of a call: its bill, its one record, budget alerts, cooldowns told to other processes, and telemetry."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from tidegate.call_line import log_call
from tidegate.catalog import CatalogModel, price_options
from tidegate.domain.budget_alerts import AccountSnapshot, may_have_crossed
from tidegate.domain.call import Call, Outcome, SentAttempt
from tidegate.domain.deployment import Cooldown, Deployment
from tidegate.domain.record import CallRecord, call_record
from tidegate.domain.settlement import billed_amounts, held_bill
from tidegate.domain.usage import Bill, TokenCounts
from tidegate.errors import StoreUnavailable
from tidegate.lazy import load
from tidegate.offload import offload
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation, log_fields
from tidegate.pipeline.shield import run_shielded
from tidegate.policy.metering.billing import add_attempts, calculate_bill, empty_bill
from tidegate.ports import CallContent, Telemetry

log = logging.getLogger(__name__)

_UNREPORTED = "tidegate.policy.metering.unreported"


async def update_bill(components: Components, observation: Observation) -> Bill:
    """Calculate the bill of what the call has used so far; `observation.bill` is set to it.

    If that fails, the bill is what the call holds: a call is settled, whatever a provider has reported.
    """
    try:
        bill = await offload(observation.call.request.size, partial(_bill, components, observation))
    # Whatever a provider has reported, a fault in reading it must not leave the call unsettled.
    except Exception:
        bill = _bill_of_hold(observation)
    observation.bill = bill
    return bill


def update_short_bill(components: Components, observation: Observation) -> Bill:
    """Do what `update_bill` does, at once: for a call whose request is not larger than `LONG_BYTES`."""
    try:
        bill = _bill(components, observation)
    # As in `update_bill`: a fault must not leave the call unsettled.
    except Exception:
        bill = _bill_of_hold(observation)
    observation.bill = bill
    return bill


def _bill_of_hold(observation: Observation) -> Bill:
    """Log the exception that is handled, and return the bill of all that the call holds."""
    log.exception("bill.failed", extra={"call_id": observation.call.id})
    return held_bill(observation.hold, observation.call.workspace)


def _bill(components: Components, observation: Observation) -> Bill:
    call, answering, sent = observation.call, observation.answering, observation.sent
    if answering is None:
        bill = empty_bill(call.request, call.workspace)
    else:
        bill = _answer_bill(components, observation, answering)
        if len(sent) == 1 and sent[0] is answering:
            return bill
    others = [attempt for attempt in sent if attempt is not answering]
    return add_attempts(bill, unreported_attempts(components, call, others), call.started_at) if others else bill


def _answer_bill(components: Components, observation: Observation, answering: SentAttempt) -> Bill:
    """Return the bill of the attempt that answers; its tokens are estimated as far as they were not reported."""
    call, usage = observation.call, observation.usage
    model = _model_of(components, observation, answering.deployment)
    bill: Bill | None = None
    if usage is not None and observation.status == "ok":
        bill = calculate_bill(usage, call.request, observation, call.workspace, model, call.started_at)
    if bill is None or bill.tokens.usage_fault == "refused":
        unreported_tokens, now = load(_UNREPORTED, "unreported_tokens"), components.clock()
        estimate = unreported_tokens(answering, model, now, observation.arrived_reply(now))
        bill = calculate_bill(usage, call.request, observation, call.workspace, model, call.started_at, estimate)
    if model is not None and usage is not None and "provider_cost" in usage:
        at_least_reported = load("tidegate.policy.metering.reported_cost", "at_least_reported")
        return at_least_reported(bill, usage, model)
    return bill


def _model_of(components: Components, observation: Observation, deployment: Deployment) -> CatalogModel | None:
    """Return the row with the prices of the reply so far; None if the catalogue has none."""
    request, price_fields = observation.call.request, observation.price_fields
    options = () if request.is_plain and not price_fields else price_options(request.body, price_fields)
    target = None if options else observation.target_of(deployment)
    return components.catalog.find_model(deployment.model_id, options) if target is None else target.model


def unreported_attempts(
    components: Components, call: Call, attempts: Sequence[SentAttempt]
) -> list[tuple[CatalogModel | None, TokenCounts]]:
    """Return the model and the estimated tokens of each attempt whose usage was never reported."""
    unreported_tokens, now = load(_UNREPORTED, "unreported_tokens"), components.clock()
    options = price_options(call.request.body)
    models = [components.catalog.find_model(attempt.deployment.model_id, options) for attempt in attempts]
    estimates: list[TokenCounts] = []
    for model, attempt in zip(models, attempts, strict=True):
        estimate = attempt.estimate if attempt.ended_at is not None else None
        if estimate is None:
            estimate = attempt.estimate = unreported_tokens(attempt, model, now)
        estimates.append(estimate)
    return list(zip(models, estimates, strict=True))


async def settle(components: Components, observation: Observation, *, is_shielded: bool = True) -> Outcome:
    """Record the outcome of the call and return it. If the store is down, only the log line has it.

    Without `is_shielded`, a cancellation can interrupt the caller: only what follows the record is shielded from it.
    """
    if observation.bill is None and observation.is_charged:
        await update_bill(components, observation)
    outcome, is_recorded = observation.outcome(components.clock()), False
    record: CallRecord | None = None
    try:
        try:
            record = await components.meter.record(outcome)
            is_recorded = True
        except StoreUnavailable:
            pass
        # The bill is the reason: what the call holds is recorded.
        except Exception:
            log.exception("settlement.failed", extra={"call_id": outcome.call.id})
            observation.bill = held_bill(observation.hold, observation.call.workspace)
            outcome = observation.outcome(components.clock())
            is_recorded = await _write_record(components, outcome)
    finally:  # also after a timeout; without a record, the line has the bill
        usual_level = logging.INFO if outcome.call.batch_id is None else logging.DEBUG
        level, event = (usual_level, "call.settled") if is_recorded else (logging.ERROR, "meter.failed")
        if level > logging.DEBUG or log.isEnabledFor(level):  # a batch logs its parts
            log_call(log, level, event, log_fields(outcome, record or call_record(outcome)))
    snapshot = observation.account_snapshot
    cooldowns = () if components.balancer.ordering is None else _observe_end(components, observation)
    # The sweeper checks sharded accounts: one shard does not tell how much of the budget is used.
    if not is_recorded or snapshot is None or snapshot.scope.shards > 1 or not may_have_crossed(snapshot):
        snapshot = None
    if cooldowns or snapshot is not None:
        telling = _tell_others(components, outcome, cooldowns, snapshot, store_answers=is_recorded)
        await (telling if is_shielded else run_shielded(telling))
    return outcome


async def send_telemetry(
    open_telemetry: Callable[[], Telemetry], outcome: Outcome, content: CallContent | None
) -> None:
    """Send the settled call to the operator's collector."""
    try:
        await open_telemetry().send(outcome, content)
    # A fault in it must not fail a call that has succeeded.
    except Exception:
        log.exception("telemetry.failed", extra={"call_id": outcome.call.id})


async def _write_record(components: Components, outcome: Outcome) -> bool:
    """Write the record. False if the store is down, or if the outcome cannot be written."""
    try:
        await components.meter.record(outcome)
    except StoreUnavailable:
        return False
    # The caller has its answer: the log line tells that the call is not on record.
    except Exception:
        log.exception("settlement.failed", extra={"call_id": outcome.call.id})
        return False
    return True


def _observe_end(components: Components, observation: Observation) -> Sequence[Cooldown]:
    """Tell the balancer that the call has ended. Return the cooldowns that other processes do not know."""
    balancer, resolution, deployment = components.balancer, observation.resolution, observation.deployment
    if resolution is None:
        return ()
    if deployment is not None and observation.first_event_at is not None:
        balancer.record_end(deployment, resolution, observation.call, observation.status, observation.error_code)
    return balancer.take_announcements()


async def _tell_others(
    components: Components,
    outcome: Outcome,
    cooldowns: Sequence[Cooldown],
    snapshot: AccountSnapshot | None,
    *,
    store_answers: bool,
) -> None:
    """Announce new cooldowns to other processes, unless the store is down, and send the budget alerts of an account."""
    for cooling in cooldowns:
        fields = {
            "deployment": cooling.name,
            "workspace_id": cooling.deployment_key.workspace_id,
            "until": cooling.ends_at,
        }
        log.warning("deployment.cooling", extra=fields)
        if store_answers:
            with suppress(StoreUnavailable):
                await components.cooldowns.tell(*cooling.deployment_key, cooling.ends_at, cooling.name)
    if snapshot is not None:
        actual, now = billed_amounts(outcome.bill), components.clock()
        send_budget_alerts = load("tidegate.policy.metering.alerts", "send_budget_alerts")
        alerts = components.open_budget_alerts()
        await send_budget_alerts(components.ledger, alerts, snapshot, now, outcome.hold, actual)
