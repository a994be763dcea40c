"""Asking a provider: what it needs beside the request, the room that the call takes, and its reply's first events."""

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

from tidegate.chat.request import shortened
from tidegate.domain.account import rates
from tidegate.domain.call import Call
from tidegate.domain.model import Deployment
from tidegate.domain.threshold import Watched
from tidegate.errors import NoRoom, UnsupportedParameter
from tidegate.path.parts import Parts, aside
from tidegate.policy import budget, signatures
from tidegate.policy.budget import NO_LIMITS, Room
from tidegate.policy.observe import Observation
from tidegate.providers.base import Provider
from tidegate.upstream.attempt import Reply


@dataclass(frozen=True, slots=True)
class Asked:
    """A provider that began to answer. `ignored` are the fields that it cannot honour, `waited` is in seconds."""

    provider: Provider
    deployment: Deployment
    reply: Reply
    ignored: tuple[str, ...]
    waited: float
    room: Room


async def ask(parts: Parts, call: Call, seen: Observation, stack: AsyncExitStack) -> Asked:
    """The reply of the provider that the model's name selects, whose connection is `stack`'s to close."""
    plan = parts.router.plan(call.request.model, call.workspace)
    seen.deployment = deployment = plan.deployments[0]
    budget.check_model(call, deployment.model_id)
    provider = parts.providers.load(deployment.provider)
    call = await _equipped(parts, call, provider, deployment)
    request = await aside(call, partial(provider.build_request, call, deployment))
    ignored = call.request.ignored + request.ignored
    if ignored and call.request.fields.require_parameters:
        raise _unsupported(deployment, ignored)
    call, room = await _reserve(parts, call, deployment, seen)
    if room.max_tokens is not None:
        request = await aside(call, partial(provider.build_request, call, deployment))
    asked_at = parts.clock()
    seen.attempts = 1
    reply = await stack.enter_async_context(
        parts.upstream.open(
            provider,
            request,
            secret=deployment.secret,
            stream=call.request.stream,
            seconds=call.deadline - asked_at,
            own=parts.own_keys.of(call.workspace, deployment.secret),
        )
    )
    seen.first_event_at = parts.clock()
    return Asked(provider, deployment, reply, ignored, seen.first_event_at - asked_at, room)


async def _equipped(parts: Parts, call: Call, provider: Provider, deployment: Deployment) -> Call:
    """The call with what its provider needs beside the request: fetched media, and signatures of earlier turns."""
    urls = provider.media_urls(call, deployment)
    if urls:
        call = replace(call, media=await parts.fetcher.fetch(urls, call.deadline - parts.clock()))
    earlier = signatures.needed(call.request.fields.messages) if provider.signs_reasoning else []
    if earlier:
        call = replace(call, signatures=await parts.signatures.find(call.workspace.id, earlier))
    return call


async def _reserve(parts: Parts, call: Call, deployment: Deployment, seen: Observation) -> tuple[Call, Room]:
    """The call, once there is room for it: shortened to what there is, where its workspace wants that."""
    model_id = deployment.model_id
    model = parts.catalog.find(model_id)
    asked = await aside(call, partial(budget.reservation, call, model_id, model))
    if asked is None:
        return call, NO_LIMITS
    most: int | None = None
    try:
        seen.hold, account = await parts.ledger.reserve(asked)
    except NoRoom as error:
        most = budget.shortened(call, model, error) if call.workspace.lowers_max_tokens else None
        if most is None:
            raise
        call = replace(call, request=shortened(call.request, most))
        asked = budget.reservation(call, model_id, model) or asked
        seen.hold, account = await parts.ledger.reserve(asked)
    if account is None:
        return call, Room({}, most)
    seen.watched = Watched(call.workspace.id, asked.scopes[0], account, call.started_at, call.workspace.first_day)
    return call, Room(rates(account, asked.scopes[0], call.started_at), most)


def _unsupported(deployment: Deployment, ignored: tuple[str, ...]) -> UnsupportedParameter:
    names = ", ".join(ignored)
    return UnsupportedParameter(f"{deployment.model_id} cannot honour: {names}.", param=ignored[0])
