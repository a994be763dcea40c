"""What a deployment needs before it can be asked: the call in its words, what that needs beside, and room for it."""

from contextlib import suppress
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from tidegate.catalog import Model
from tidegate.chat.request import shortened
from tidegate.domain.account import Account, Hold, Reservation, rates
from tidegate.domain.budget_alerts import Watched
from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.errors import NoRoom, UnsupportedParameter
from tidegate.pipeline.components import Components
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.offload import offload_call
from tidegate.policy import reasoning_signatures
from tidegate.policy.metering import reservation
from tidegate.policy.metering.reservation import NO_LIMITS, Room
from tidegate.providers.base import Provider, UpstreamRequest


class Ready(Struct, frozen=True):
    """A call that one deployment can be asked for: translated, and with room reserved.

    `covers_both`: there is room for the deployment as well that may be asked beside it.
    """

    call: Call
    provider: Provider
    deployment: Deployment
    request: UpstreamRequest
    ignored: tuple[str, ...]
    room: Room
    covers_both: bool = False


async def ready_for(
    parts: Components, call: Call, deployment: Deployment, seen: Observation, also: Deployment | None = None
) -> Ready:
    """Raises what makes this deployment none that the call may go to, or can. `also` may be asked beside it."""
    seen.deployment = deployment
    ready = await translated(parts, call, deployment, NO_LIMITS)
    call, room, covers_both = await _reserve(parts, ready.call, deployment, seen, also)
    request = ready.request
    if room.max_tokens is not None:
        request = await offload_call(call, partial(ready.provider.build_request, call, deployment))
    return replace(ready, call=call, request=request, room=room, covers_both=covers_both)


async def translated(parts: Components, call: Call, deployment: Deployment, room: Room) -> Ready:
    """The call in the words of that deployment. Raises what cannot be said there."""
    provider = parts.providers.load(deployment.provider)
    call = await _equipped(parts, call, provider, deployment)
    request = await offload_call(call, partial(provider.build_request, call, deployment))
    ignored = call.request.ignored + request.ignored
    if ignored and call.request.fields.require_parameters:
        raise unsupported(deployment, ignored)
    return Ready(call, provider, deployment, request, ignored, room)


async def _equipped(parts: Components, call: Call, provider: Provider, deployment: Deployment) -> Call:
    """The call with what its provider needs beside the request: fetched media, and signatures of earlier turns."""
    urls = provider.media_urls(call, deployment)
    if urls:
        call = replace(call, media=await parts.fetcher.fetch(urls, call.deadline - parts.clock()))
    earlier = reasoning_signatures.needed(call.request.fields.messages) if provider.signs_reasoning else []
    if earlier:
        call = replace(call, signatures=await parts.signatures.find(call.workspace.id, earlier))
    return call


async def _reserve(
    parts: Components, call: Call, deployment: Deployment, seen: Observation, also: Deployment | None
) -> tuple[Call, Room, bool]:
    """The call, once there is room for it: shortened to what there is, where its workspace wants that.

    And whether there is room for the other deployment as well.
    """
    model_id = deployment.model_id
    model = parts.catalog.find(model_id)
    if seen.hold is not None:  # of another deployment, which did not answer
        # Forgotten first: a call that is cancelled now would settle a hold that may be gone, and have no record.
        hold, seen.hold = seen.hold, None
        await parts.ledger.release(hold)
    asked = await offload_call(call, partial(reservation.reservation, call, model_id, model))
    if asked is None:
        return call, NO_LIMITS, True
    most: int | None = None
    try:
        both = await _covering(parts, call, asked, model, also) if also else None
        seen.hold, account = await _book(parts, both, asked)
    except NoRoom as error:
        both = None
        most = reservation.shortened(call, model, error) if call.workspace.lowers_max_tokens else None
        if most is None:
            raise
        call = replace(call, request=shortened(call.request, most))
        asked = reservation.reservation(call, model_id, model) or asked
        seen.hold, account = await parts.ledger.reserve(asked)
    covers_both = both is not None and seen.hold.amounts == both.hold.amounts
    if account is None:
        return call, Room({}, most), covers_both
    seen.watched = Watched(call.workspace.id, asked.scopes[0], account, call.started_at, call.workspace.first_day)
    return call, Room(rates(account, asked.scopes[0], call.started_at), most), covers_both


async def _covering(
    parts: Components, call: Call, asked: Reservation, model: Model | None, also: Deployment
) -> Reservation | None:
    """Room for both, None where that cannot be said."""
    other = parts.catalog.find(also.model_id)
    return await offload_call(call, partial(reservation.covering, call, asked, model, also.model_id, other))


async def _book(parts: Components, both: Reservation | None, asked: Reservation) -> tuple[Hold, Account | None]:
    """Room for both, or else for the one alone."""
    if both is not None:
        with suppress(NoRoom):
            return await parts.ledger.reserve(both)
    return await parts.ledger.reserve(asked)


def unsupported(deployment: Deployment, ignored: tuple[str, ...]) -> UnsupportedParameter:
    """What a caller is told who wants every field honoured."""
    names = ", ".join(ignored)
    return UnsupportedParameter(f"{deployment.model_id} cannot honour: {names}.", param=ignored[0])
