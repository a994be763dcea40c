"""Prepares a call for one deployment: translates it, with its media and signatures, and reserves its worst case."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import CatalogModel, price_options
from tidegate.domain.account import Account, Reservation, rate_statuses
from tidegate.domain.budget_alerts import AccountSnapshot
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.limits import NO_AMOUNTS, Amounts
from tidegate.domain.settlement import billed_amounts
from tidegate.errors import InvalidRequest, LimitReached, UnsupportedParameter
from tidegate.json import Json
from tidegate.lazy import load
from tidegate.offload import LONG_BYTES, offload
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.plan import Target
from tidegate.pipeline.settle import unreported_attempts
from tidegate.pipeline.shield import run_shielded
from tidegate.policy.metering import reservation
from tidegate.policy.metering.billing import add_attempts, empty_bill
from tidegate.policy.metering.reservation import UNLIMITED_HEADROOM, Headroom, Refusal
from tidegate.providers.base import Translator, UpstreamRequest

SHORTENING_TRIES = 6
"""Tries of a reservation for a shorter answer: another limit can refuse it, or parallel calls have taken the rest."""


class PreparedCall(Struct):
    """A call that is translated for one deployment. `covers_hedge`: the reservation covers its hedge as well.

    `target` is what the plan knows of the deployment, None if it is not the plan's. `headroom` and `covers_hedge` are
    known once its worst case is reserved.
    """

    call: Call
    translator: Translator
    deployment: Deployment
    request: UpstreamRequest
    ignored: tuple[str, ...]
    headroom: Headroom
    target: Target | None = None
    covers_hedge: bool = False


_Reserved: TypeAlias = tuple[PreparedCall, Reservation, Account | None]


async def prepare(
    components: Components,
    call: Call,
    deployment: Deployment,
    observation: Observation,
    hedge_deployment: Deployment | None = None,
    earlier: PreparedCall | None = None,
) -> PreparedCall:
    """Translate the call for `deployment` and reserve its worst case; if possible, that of the hedge as well.

    The translation of an `earlier` attempt at this deployment is used again, unless its answer was shortened.
    Raises `TidegateError` if this deployment cannot take the call; another one perhaps can.
    """
    observation.deployment = deployment
    if earlier is not None and earlier.deployment is deployment and earlier.headroom.max_tokens is None:
        prepared = replace(earlier, headroom=UNLIMITED_HEADROOM, covers_hedge=False)
    else:
        target = observation.target_of(deployment)
        if target is not None and call.request.is_plain and call.request.size <= LONG_BYTES:  # nothing to wait for
            request = target.translator.build_request(call, deployment)
            prepared = _translated(call, target.translator, deployment, request, UNLIMITED_HEADROOM, target)
        else:
            prepared = await translate(components, call, deployment, UNLIMITED_HEADROOM, target)
    observation.ignored = prepared.ignored
    if observation.plan is not None and observation.plan.accounts == ():
        return prepared if hedge_deployment is None else replace(prepared, covers_hedge=True)
    return await _reserve(components, prepared, observation, hedge_deployment)


async def translate(
    components: Components, call: Call, deployment: Deployment, headroom: Headroom, target: Target | None = None
) -> PreparedCall:
    """Translate the call for `deployment`. Raises `InvalidRequest` for a value that cannot be translated."""
    if target is None:
        translator = components.providers.translator(deployment.provider, call.operation.name)
    else:
        translator = target.translator
    if not call.request.is_plain:
        call = await _with_media_and_signatures(components, call, translator, deployment)
    if call.request.size <= LONG_BYTES:
        request = translator.build_request(call, deployment)
    else:
        request = await offload(call.request.size, partial(translator.build_request, call, deployment))
    return _translated(call, translator, deployment, request, headroom, target)


def _translated(
    call: Call,
    translator: Translator,
    deployment: Deployment,
    request: UpstreamRequest,
    headroom: Headroom,
    target: Target | None,
) -> PreparedCall:
    """Return the call with its request for the provider, unless the caller requires a field that is ignored."""
    ignored, origin = call.ignored + request.ignored, call.request.origin
    if origin is not None and not request.is_native:
        ignored = (*ignored, *origin.ignored)
    if ignored and call.request.options.require_parameters:
        raise unsupported(deployment, ignored)
    return PreparedCall(call, translator, deployment, request, ignored, headroom, target)


async def _with_media_and_signatures(
    components: Components, call: Call, translator: Translator, deployment: Deployment
) -> Call:
    """Return the call with the media and the reasoning signatures that its provider needs."""
    urls = translator.media_urls(call, deployment)
    if urls:
        call = replace(call, media=await components.open_fetcher().fetch(urls, call.deadline - components.clock()))
    if components.keeps_reasoning and translator.signs_reasoning(call, deployment):
        signatures = await find_signatures(components, call)
        if signatures:
            call = replace(call, signatures=signatures)
    return call


async def find_signatures(components: Components, call: Call) -> Mapping[int, Json]:
    """Return the stored reasoning of earlier turns, by the index of their message."""
    turns = await offload(call.request.size, call.request.reasoning_turns)
    if not turns:
        return {}
    found = await components.open_signatures().find(call.workspace.id, list(turns.values()))
    return {index: found[turn] for index, turn in turns.items() if turn in found}


async def count_call(components: Components, observation: Observation) -> None:
    """Count the call in its rates before work that no reservation covers. Raises `RateLimited`."""
    needed = None if observation.hold else reservation.count_reservation(observation.call)
    if needed is not None:
        await _replace_hold(components, observation, needed)


async def _reserve(
    components: Components, prepared: PreparedCall, observation: Observation, hedge_deployment: Deployment | None
) -> PreparedCall:
    """Return the call once its worst case is reserved, with the headroom that is left.

    If a limit is reached, a call without `max_tokens` gets one that fits, and that of others is lowered where the
    workspace allows it.
    """
    accounts = None if observation.plan is None else observation.plan.accounts
    call, sent, model_id = prepared.call, prepared.request.body, prepared.deployment.model_id
    model = _priced_model(components, prepared)
    spent = await _spent(components, call, observation) if observation.sent else NO_AMOUNTS

    def worst_case(call: Call) -> Reservation | None:
        return reservation.worst_case_reservation(call, model_id, model, sent, spent, accounts)

    size = call.request.size
    needed = worst_case(call) if size <= LONG_BYTES else await offload(size, partial(worst_case, call))
    if needed is None:
        prepared.covers_hedge = True
        return prepared
    reserve = partial(_replace_hold, components, observation)
    both: Reservation | None = None
    shorter: _Reserved | None = None
    account: Account | None = None
    if reservation.is_large(needed) and reservation.adds_max_tokens(call):
        refusal = await _refused_call(call, model, sent, spent)
        max_tokens = refusal.first_max_tokens(needed)
        shorter = await _reserve_shorter(prepared, worst_case, reserve, refusal, max_tokens)
    if shorter is None:
        try:
            if hedge_deployment is not None:
                both = await _reservation_for_both(components, prepared, needed, hedge_deployment)
            account = await (reserve(needed) if both is None else _reserve_both_or_one(reserve, both, needed))
        except LimitReached as error:
            refusal = await _refused_call(call, model, sent, spent)
            shorter = await _reserve_shorter(prepared, worst_case, reserve, refusal, refusal.max_tokens(error))
            if shorter is None:
                raise refusal.explained(error) from None
    if shorter is not None:
        prepared, needed, account = shorter
        observation.record("shortened", str(prepared.headroom.max_tokens))
    if both is not None:
        prepared.covers_hedge = observation.hold is not None and observation.hold.amounts == both.hold.amounts
    if account is not None:
        scope, now = needed.scopes[0], call.started_at
        observation.account_snapshot = AccountSnapshot(call.workspace.id, scope, account, now, call.workspace.first_day)
        prepared.headroom = Headroom(rate_statuses(account, scope, now), prepared.headroom.max_tokens)
    return prepared


def _priced_model(components: Components, prepared: PreparedCall) -> CatalogModel | None:
    """Return the row with the prices that the request asks for; None if the catalogue has none."""
    request, target = prepared.call.request, prepared.target
    if target is not None and request.is_plain:
        return target.model
    options = price_options(request.body)
    if target is not None and not options:
        return target.model
    return components.catalog.find_model(prepared.deployment.model_id, options)


async def _reserve_shorter(
    prepared: PreparedCall,
    worst_case: Callable[[Call], Reservation | None],
    reserve: Callable[[Reservation], Awaitable[Account | None]],
    refusal: Refusal,
    max_tokens: int | None,
) -> _Reserved | None:
    """Reserve for an answer of `max_tokens` or fewer, and translate the call for it; None if that is not possible.

    Another limit can refuse the shorter answer, or parallel calls have taken what was left. Raises `LimitReached`.
    """
    call, size = prepared.call, prepared.call.request.size
    for _ in range(SHORTENING_TRIES):
        if max_tokens is None:
            return None
        shorter = replace(call, request=call.request.with_output_limit(max_tokens))
        try:
            build_request = partial(prepared.translator.build_request, shorter, prepared.deployment)
            request = await offload(size, build_request)
        except InvalidRequest:  # the answer would be too short for another field, such as a budget of reasoning
            return None
        needed = await offload(size, partial(worst_case, shorter))
        if needed is None:
            return None
        try:
            account = await reserve(needed)
        except LimitReached as error:
            next_max_tokens = refusal.max_tokens(error)
            if next_max_tokens is None or next_max_tokens >= max_tokens:
                raise refusal.explained(error) from None
            max_tokens = next_max_tokens
        else:
            headroom = Headroom({}, max_tokens)
            return replace(prepared, call=shorter, request=request, headroom=headroom), needed, account
    return None


async def _refused_call(call: Call, model: CatalogModel | None, sent: bytes, spent: Amounts) -> Refusal:
    make: Callable[..., Refusal] = load("tidegate.policy.metering.refusal", "RefusedCall")
    return await offload(call.request.size, partial(make, call, model, sent, spent))


async def _spent(components: Components, call: Call, observation: Observation) -> Amounts:
    """Return what the call's earlier attempts are charged; the next one is held in addition."""
    attempts = await offload(call.request.size, partial(unreported_attempts, components, call, tuple(observation.sent)))
    bill = add_attempts(empty_bill(call.request, call.workspace), attempts, call.started_at)
    return replace(billed_amounts(bill), words=0)


async def _reservation_for_both(
    components: Components, prepared: PreparedCall, needed: Reservation, hedge_deployment: Deployment
) -> Reservation | None:
    """Return the reservation for the deployment and its hedge; None if it cannot be calculated."""
    call, hedge_id = prepared.call, hedge_deployment.model_id
    hedge_model = components.catalog.find_model(hedge_id, price_options(call.request.body))
    return await offload(
        call.request.size,
        partial(reservation.worst_case_with_hedge, call, needed, hedge_id, hedge_model, prepared.request.body),
    )


async def _reserve_both_or_one(
    reserve: Callable[[Reservation], Awaitable[Account | None]], both: Reservation, needed: Reservation
) -> Account | None:
    """Reserve `both`, for the deployment and its hedge; if that exceeds a limit, reserve `needed`."""
    with suppress(LimitReached):
        return await reserve(both)
    return await reserve(needed)


async def _replace_hold(components: Components, observation: Observation, needed: Reservation) -> Account | None:
    """Reserve in place of the call's hold, if it has one. Return the account after the write, if it is known."""
    if observation.hold is None:
        observation.hold, account = await components.ledger.reserve(needed)
        observation.record("reserved")
        return account
    account = None

    async def replace_hold() -> None:
        nonlocal account
        observation.hold, account = await components.ledger.reserve(needed, observation.hold)
        observation.record("reserved")

    await run_shielded(replace_hold())  # a cancellation would leave it unknown which of the two holds is booked
    return account


def unsupported(deployment: Deployment, ignored: tuple[str, ...]) -> UnsupportedParameter:
    """Return the error for a call with `require_parameters` whose deployment would ignore fields."""
    names = ", ".join(ignored)
    return UnsupportedParameter(f"{deployment.model_id} does not support these fields: {names}.", param=ignored[0])
