"""The turns of a dry run: how far a call would come at each deployment that it may be put to."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import TypeVar

from anyio import to_thread
from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.catalog import Model, cost
from tidegate.chat.media import type_of_name
from tidegate.chat.request import shortened
from tidegate.domain.account import Account, Reservation, refusal
from tidegate.domain.call import Call, Media
from tidegate.domain.deployment import Deployment
from tidegate.errors import InvalidRequest, NoRoom, TidegateError
from tidegate.json import Json, JsonObject
from tidegate.pipeline.components import Components
from tidegate.pipeline.dry_run.field_map import mapped, refusals
from tidegate.pipeline.dry_run.report import Step, shown_request
from tidegate.pipeline.prepare import unsupported
from tidegate.policy import reasoning_signatures
from tidegate.policy.metering import reservation
from tidegate.policy.routing import fallback
from tidegate.policy.routing.fallback import Candidate
from tidegate.providers.base import KeyAuth, Provider, UpstreamRequest
from tidegate.upstream.attempt import without_key

MOST_REQUESTS = 16
MOST_BYTES = 4 * 1024 * 1024
"""What is shown of the requests that would be sent, those of fallbacks among them: beyond, they are left out."""

QUICK_BYTES = 16 * 1024
"""A longer request is translated in a thread: that is done once for each of its fields."""

_KINDS = {"image_url": "image/png", "video_url": "video/mp4", "file": "application/pdf", "source": "application/pdf"}
"""What a medium is taken to be whose URL does not tell, by the part that names it."""

_T = TypeVar("_T")


class Turns(Struct):
    """`accounts` are those that were read, by the kind of their scope, and so are `signatures`.

    Of `requests` and their `size`, so much was to be shown.
    """

    parts: Components
    call: Call
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    signatures: Mapping[str, Json] | None = None
    requests: int = 0
    size: int = 0

    async def all(self, candidates: list[Candidate]) -> AsyncIterator[Step]:
        """Every turn there may be, in order; bigger models after those that they stand in for."""
        for candidate in candidates:
            when = "at once" if candidate is candidates[0] else "after a failure"
            async for step in self._turn(candidate, when):
                yield step
            bigger = fallback.bigger_than(candidate.request)
            while bigger is not None:
                async for step in self._turn(bigger, "when the context is too long"):
                    yield step
                bigger = fallback.bigger_than(bigger.request)

    async def _turn(self, candidate: Candidate, when: str) -> AsyncIterator[Step]:
        call, parts = replace(self.call, request=candidate.request), self.parts
        try:
            plan = candidate.plan or parts.router.plan(candidate.request.model, call.workspace)
        except TidegateError as error:
            yield Step(candidate, when, error=error)
            return
        plan = parts.balancing.foreseen(plan, call)
        for deployment in plan.deployments:
            step = Step(candidate, when, deployment, plan.route)
            step.cools_until = parts.balancing.cools_until(deployment, plan, call)
            try:
                reservation.permitted(call, replace(plan, deployments=(deployment,)))
                await self._play(step, call, deployment)
            except TidegateError as error:
                step.error = error
            yield step

    async def _play(self, step: Step, call: Call, deployment: Deployment) -> None:
        """As far as to the request that would be sent. Raises what would end the call there."""
        provider = self.parts.providers.load(deployment.provider)
        call, stand_ins = await self._equipped(call, provider, deployment)
        try:
            request = await briefly(call, partial(provider.build_request, call, deployment))
        except InvalidRequest:
            step.shown["refused"] = dict[str, Json](await briefly(call, partial(refusals, provider, call, deployment)))
            raise
        ignored = call.request.ignored + request.ignored
        step.shown["ignored"] = list[Json](ignored)
        if ignored and call.request.fields.require_parameters:
            refused = unsupported(deployment, ignored)
            step.shown["refused"] = dict.fromkeys(ignored, refused.message)
            raise refused
        whole, model = call, self.parts.catalog.find(deployment.model_id)
        try:
            call = await self._fitted(call, deployment.model_id, model)
            if call is not whole:
                request = await briefly(call, partial(provider.build_request, call, deployment))
        finally:
            step.shown |= await briefly(call, partial(_most, call, model))
            step.shown |= await briefly(call, partial(self._shown, provider, call, deployment, request, stand_ins))
        await self._check_key(request, deployment)

    def _shown(
        self,
        provider: Provider,
        call: Call,
        deployment: Deployment,
        request: UpstreamRequest,
        stand_ins: Mapping[bytes, bytes],
    ) -> JsonObject:
        """The request that would be sent, and what of it follows from which of the caller's fields."""
        self.requests, self.size = self.requests + 1, self.size + len(request.body)
        if self.requests > 1 and (self.requests > MOST_REQUESTS or self.size > MOST_BYTES):
            return {"omitted": True}
        ways, ignored = mapped(provider, call, deployment, request), call.request.ignored + request.ignored
        told = {name: list[Json](paths) for name, paths in ways.items() if paths or name not in ignored}
        return {"request": shown_request(request, deployment, stand_ins), "mapped": dict[str, Json](told)}

    async def _check_key(self, request: UpstreamRequest, deployment: Deployment) -> None:
        """Raises `NotConfigured` where a route's own key, or a workspace's, is not there. Others were found before."""
        parts, secret = self.parts, deployment.secret
        if secret is None or not isinstance(request.auth, KeyAuth):
            return
        own = parts.own_keys.of(self.call.workspace, secret)
        usual = parts.router.endpoints[deployment.provider].secret
        if (own is not None or secret != usual) and not await (own or parts.upstream.secrets).get(secret):
            raise without_key(secret)

    async def _equipped(
        self, call: Call, provider: Provider, deployment: Deployment
    ) -> tuple[Call, Mapping[bytes, bytes]]:
        """The call as asking would equip it, and by what stands in for media, the words that are shown for it."""
        earlier = reasoning_signatures.needed(call.request.fields.messages) if provider.signs_reasoning else []
        if earlier:
            if self.signatures is None:
                self.signatures = await self.parts.signatures.find(call.workspace.id, earlier)
            call = replace(call, signatures=self.signatures)
        media: dict[str, Media] = {}
        shown: dict[bytes, bytes] = {}
        for i, (path, url) in enumerate(provider.media_urls(call, deployment).items()):
            stand_in = f"medium {i} of {call.id}".encode()
            media[url] = Media(type_of_name(url) or _KINDS.get(_part_of(path), "image/png"), stand_in)
            shown[b64encode(stand_in)] = shown[stand_in] = f"<the bytes of {path}>".encode()
        return replace(call, media=media), shown

    async def _fitted(self, call: Call, model_id: str, model: Model | None) -> Call:
        """The call as there would be room for it now. Raises `NoRoom` and `ModelUnpriced`."""
        asked = await briefly(call, partial(reservation.reservation, call, model_id, model))
        refused = await self._refused(asked) if asked else None
        if refused is None:
            return call
        most = reservation.shortened(call, model, refused) if call.workspace.lowers_max_tokens else None
        if most is None:
            raise refused
        call = replace(call, request=shortened(call.request, most))
        asked = reservation.reservation(call, model_id, model)
        refused = await self._refused(asked) if asked else None
        if refused is not None:
            raise refused
        return call

    async def _refused(self, asked: Reservation) -> NoRoom | None:
        for scope in asked.scopes:
            if scope.kind not in self.accounts:
                self.accounts[scope.kind] = await self.parts.ledger.account(scope, self.call.workspace.first_day)
            why = refusal(self.accounts[scope.kind], scope.whole, asked.hold)
            if why is not None:
                return reservation.refused(scope.whole, why, self.call.started_at)
        return None


async def briefly(call: Call, work: Callable[[], _T]) -> _T:
    """What pure `work` gives, which may be done for each of the call's fields: that of a long request in a thread."""
    return await to_thread.run_sync(work) if call.request.size > QUICK_BYTES else work()


def _most(call: Call, model: Model | None) -> JsonObject:
    tokens = reservation.longest(call, model)
    usd = cost(model, tokens, call.started_at) if model else None
    return {"max_output_tokens": tokens.output, "largest_cost_usd": None if usd is None else round(float(usd), 10)}


def _part_of(path: str) -> str:
    """ "image_url" of "messages[0].content[1].image_url.url"."""
    return path.rpartition("].")[2].partition(".")[0]
