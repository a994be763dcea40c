"""Prepares a call for one deployment: translates it, with its media and signatures, and reserves its worst case."""

from contextlib import suppress
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import CatalogModel
from tidegate.domain.account import Account, Hold, Reservation, rate_statuses
from tidegate.domain.budget_alerts import AccountSnapshot
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.errors import LimitReached, UnsupportedParameter
from tidegate.offload import offload
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.policy.metering import reservation
from tidegate.policy.metering.reservation import UNLIMITED_HEADROOM, Headroom
from tidegate.providers.base import Translator, UpstreamRequest


class PreparedCall(Struct, frozen=True):
    """A call that is translated for one deployment. `covers_hedge`: the reservation covers its hedge as well."""

    call: Call
    translator: Translator
    deployment: Deployment
    request: UpstreamRequest
    ignored: tuple[str, ...]
    headroom: Headroom
    covers_hedge: bool = False


async def prepare(
    components: Components,
    call: Call,
    deployment: Deployment,
    observation: Observation,
    hedge_deployment: Deployment | None = None,
) -> PreparedCall:
    """Translate the call for `deployment` and reserve its worst case; if possible, that of the hedge as well.

    Raises `TidegateError` if this deployment cannot take the call; another one perhaps can.
    """
    observation.deployment = deployment
    prepared = await translate(components, call, deployment, UNLIMITED_HEADROOM)
    call, headroom, covers_hedge = await _reserve(components, prepared.call, deployment, observation, hedge_deployment)
    request = prepared.request
    if headroom.max_tokens is not None:
        request = await offload(call.request.size, partial(prepared.translator.build_request, call, deployment))
    return replace(prepared, call=call, request=request, headroom=headroom, covers_hedge=covers_hedge)


async def translate(components: Components, call: Call, deployment: Deployment, headroom: Headroom) -> PreparedCall:
    """Translate the call for `deployment`. Raises `InvalidRequest` for a value that cannot be translated."""
    translator = components.providers.translator(deployment.provider, call.operation.name)
    call = await _with_media_and_signatures(components, call, translator, deployment)
    request = await offload(call.request.size, partial(translator.build_request, call, deployment))
    ignored = call.request.ignored + request.ignored
    if ignored and call.request.options.require_parameters:
        raise unsupported(deployment, ignored)
    return PreparedCall(call, translator, deployment, request, ignored, headroom)


async def _with_media_and_signatures(
    components: Components, call: Call, translator: Translator, deployment: Deployment
) -> Call:
    """Return the call with the media and the reasoning signatures that its provider needs."""
    urls = translator.media_urls(call, deployment)
    if urls:
        call = replace(call, media=await components.open_fetcher().fetch(urls, call.deadline - components.clock()))
    tool_call_ids = call.request.reasoning_turns() if translator.signs_reasoning else []
    if tool_call_ids:
        call = replace(call, signatures=await components.open_signatures().find(call.workspace.id, tool_call_ids))
    return call


async def _reserve(
    components: Components,
    call: Call,
    deployment: Deployment,
    observation: Observation,
    hedge_deployment: Deployment | None,
) -> tuple[Call, Headroom, bool]:
    """Return the call once its worst case is reserved, the headroom that is left, and whether the hedge is covered.

    If a limit is reached and the workspace allows it, the call's `max_tokens` is lowered to what fits.
    """
    model_id = deployment.model_id
    model = components.catalog.find_model(model_id)
    if observation.hold is not None:  # of the previous deployment, which did not answer
        # Cleared first: the release may be cancelled, and a call whose hold is gone could not be recorded with it.
        hold, observation.hold = observation.hold, None
        await components.ledger.release(hold)
    needed = await offload(call.request.size, partial(reservation.worst_case_reservation, call, model_id, model))
    if needed is None:
        return call, UNLIMITED_HEADROOM, True
    max_tokens: int | None = None
    try:
        both = (
            await _reservation_for_both(components, call, needed, model, hedge_deployment) if hedge_deployment else None
        )
        observation.hold, account = await _reserve_both_or_one(components, both, needed)
    except LimitReached as error:
        both = None
        max_tokens = reservation.affordable_max_tokens(call, model, error) if call.workspace.lowers_max_tokens else None
        if max_tokens is None:
            raise
        call = replace(call, request=call.request.with_output_limit(max_tokens))
        needed = reservation.worst_case_reservation(call, model_id, model) or needed
        observation.hold, account = await components.ledger.reserve(needed)
    covers_hedge = both is not None and observation.hold.amounts == both.hold.amounts
    if account is None:
        return call, Headroom({}, max_tokens), covers_hedge
    observation.account_snapshot = AccountSnapshot(
        call.workspace.id, needed.scopes[0], account, call.started_at, call.workspace.first_day
    )
    return call, Headroom(rate_statuses(account, needed.scopes[0], call.started_at), max_tokens), covers_hedge


async def _reservation_for_both(
    components: Components, call: Call, needed: Reservation, model: CatalogModel | None, hedge_deployment: Deployment
) -> Reservation | None:
    """Return the reservation for the deployment and its hedge; None if it cannot be calculated."""
    hedge_model = components.catalog.find_model(hedge_deployment.model_id)
    return await offload(
        call.request.size,
        partial(reservation.worst_case_with_hedge, call, needed, model, hedge_deployment.model_id, hedge_model),
    )


async def _reserve_both_or_one(
    components: Components, both: Reservation | None, needed: Reservation
) -> tuple[Hold, Account | None]:
    """Reserve `both`, for the deployment and its hedge; if that is None or exceeds a limit, reserve `needed`."""
    if both is not None:
        with suppress(LimitReached):
            return await components.ledger.reserve(both)
    return await components.ledger.reserve(needed)


def unsupported(deployment: Deployment, ignored: tuple[str, ...]) -> UnsupportedParameter:
    """Return the error for a call with `require_parameters` whose deployment would ignore fields."""
    names = ", ".join(ignored)
    return UnsupportedParameter(f"{deployment.model_id} does not support these fields: {names}.", param=ignored[0])
