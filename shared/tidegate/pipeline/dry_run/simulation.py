"""The turns of a dry run: how far a call would get at each deployment that may be asked."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from tidegate.catalog import CatalogModel, call_cost, price_options
from tidegate.chat.media import media_type_of_name
from tidegate.domain.account import Account, Reservation
from tidegate.domain.call import MAX_URLS, Call, Media
from tidegate.domain.deployment import Deployment
from tidegate.domain.limit_error import exceeded_limit, limit_error
from tidegate.domain.usage import TokenCounts
from tidegate.errors import InvalidRequest, LimitReached, TidegateError
from tidegate.json import Json, JsonObject
from tidegate.offload import offload
from tidegate.pipeline.components import Components
from tidegate.pipeline.dry_run.field_map import FieldExaminer
from tidegate.pipeline.dry_run.report import Step, request_json
from tidegate.pipeline.prepare import SHORTENING_TRIES, find_signatures, unsupported
from tidegate.policy.metering import reservation
from tidegate.policy.metering.refusal import RefusedCall
from tidegate.policy.routing import fallback
from tidegate.policy.routing.fallback import Candidate
from tidegate.providers.base import KeyAuth, Translator, UpstreamRequest
from tidegate.upstream.attempt import missing_key

MAX_REQUESTS = 16
MAX_BYTES = 512 * 1024
"""Limits on the requests that are translated and shown, fallbacks included; others are omitted, the first never."""

OFFLOAD_BYTES = 16 * 1024
"""The size from which on a request is translated in a thread: a dry run translates it once for each field."""

_MEDIA_TYPES = {
    "image_url": "image/png",
    "video_url": "video/mp4",
    "file": "application/pdf",
    "source": "application/pdf",
}
"""By content part, the media type that is assumed when the URL does not tell."""

_T = TypeVar("_T")


class Simulation(Struct):
    """One dry run. `requests` and `size` (bytes) count what was translated so far.

    `accounts`, by the kind of their scope, and `signatures` are read once and kept.
    """

    components: Components
    call: Call
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    signatures: Mapping[int, Json] | None = None
    examiner: FieldExaminer = field(default_factory=FieldExaminer)
    requests: int = 0
    size: int = 0

    async def steps(self, candidates: list[Candidate]) -> AsyncIterator[Step]:
        """Yield every possible turn in order; a context-window fallback follows the model that it replaces."""
        for candidate in candidates:
            when = "at once" if candidate is candidates[0] else "after a failure"
            async for step in self._steps_of(candidate, when):
                yield step
            bigger = fallback.context_window_fallback(candidate.request)
            while bigger is not None:
                async for step in self._steps_of(bigger, "when the context is too long"):
                    yield step
                bigger = fallback.context_window_fallback(bigger.request)

    async def _steps_of(self, candidate: Candidate, when: str) -> AsyncIterator[Step]:
        call, components = replace(self.call, request=candidate.request), self.components
        try:
            resolution = candidate.resolution or components.router.resolve(candidate.request.model, call.workspace)
        except TidegateError as error:
            yield Step(candidate, when, error=error)
            return
        resolution = components.balancer.peek_order(resolution, call)
        for deployment in resolution.deployments:
            step = Step(candidate, when, deployment, resolution.route)
            step.cools_until = components.balancer.cooldown_ends_at(deployment, resolution, call.workspace)
            try:
                reservation.allowed_deployments(call, replace(resolution, deployments=(deployment,)))
                await self._simulate(step, call, deployment)
            except TidegateError as error:
                step.error = error
            yield step

    async def _simulate(self, step: Step, call: Call, deployment: Deployment) -> None:
        """Fill in `step`, up to the request that would be sent. Raises the error that would end the call there."""
        self.requests, self.size = self.requests + 1, self.size + call.request.size
        if self.requests > 1 and (self.requests > MAX_REQUESTS or self.size > MAX_BYTES):
            step.fields["omitted"] = True
            return
        translator = self.components.providers.translator(deployment.provider, call.operation.name)
        call, stand_ins = await self._with_placeholders(call, translator, deployment)
        try:
            request = await offload_dry_run(call, partial(translator.build_request, call, deployment))
        except InvalidRequest:
            reasons = await offload_dry_run(call, partial(self.examiner.rejected_fields, translator, call, deployment))
            step.fields["refused"] = dict[str, Json](reasons)
            raise
        ignored = call.ignored + request.ignored
        step.fields["ignored"] = list[Json](ignored)
        if ignored and call.request.options.require_parameters:
            error = unsupported(deployment, ignored)
            step.fields["refused"] = dict.fromkeys(ignored, error.message)
            raise error
        model = self.components.catalog.find_model(deployment.model_id, price_options(call.request.body))
        unshortened = call
        try:
            call = await self._fit_limits(call, deployment.model_id, model, request.body)
            if call is not unshortened:
                request = await offload_dry_run(call, partial(translator.build_request, call, deployment))
        finally:
            worst_case = partial(reservation.worst_case_tokens, call, model, request.body)
            step.worst_case = await offload_dry_run(call, worst_case)
            step.fields |= _worst_case_json(call, model, step.worst_case)
            make_fields = partial(self._request_fields, translator, call, deployment, request, stand_ins)
            step.fields |= await offload_dry_run(call, make_fields)
        await self._check_key(request, deployment)

    def _request_fields(
        self,
        translator: Translator,
        call: Call,
        deployment: Deployment,
        request: UpstreamRequest,
        stand_ins: Mapping[bytes, bytes],
    ) -> JsonObject:
        """Return the request that would be sent, and the caller's fields that set its parts."""
        found = self.examiner.fields_sent_as(translator, call, deployment, request)
        ignored = call.ignored + request.ignored
        mapped = {name: list[Json](paths) for name, paths in found.paths.items() if paths or name not in ignored}
        return {
            "request": request_json(request, deployment, stand_ins, shows_url=self.components.shows_upstream_urls),
            "mapped": dict[str, Json](mapped),
            "unexamined": list[Json](found.unexamined),
        }

    async def _check_key(self, request: UpstreamRequest, deployment: Deployment) -> None:
        """Raise `NotConfigured` if the key of a route or a workspace is missing. Start-up checks the other keys."""
        components, secret = self.components, deployment.secret
        if secret is None or not isinstance(request.auth, KeyAuth):
            return
        workspace_secrets = components.workspace_keys.secrets_for(self.call.workspace, secret)
        default_secret = components.router.provider_configs[deployment.provider].secret
        if (workspace_secrets is not None or secret != default_secret) and not await (
            workspace_secrets or components.upstream.secrets
        ).get(secret):
            raise missing_key(secret)

    async def _with_placeholders(
        self, call: Call, translator: Translator, deployment: Deployment
    ) -> tuple[Call, Mapping[bytes, bytes]]:
        """Return the call with its signatures and stand-ins for media, and the label to show for each stand-in."""
        if self.components.keeps_reasoning and translator.signs_reasoning(call, deployment):
            if self.signatures is None:
                self.signatures = await find_signatures(self.components, call)
            call = replace(call, signatures=self.signatures)
        media: dict[str, Media] = {}
        labels: dict[bytes, bytes] = {}
        urls = translator.media_urls(call, deployment)
        if len(set(urls.values())) > MAX_URLS:
            raise InvalidRequest(f"A call may name at most {MAX_URLS} URLs.", param=list(urls)[MAX_URLS])
        for i, (path, url) in enumerate(urls.items()):
            stand_in = f"medium {i} of {call.id}".encode()
            media[url] = Media(media_type_of_name(url) or _MEDIA_TYPES.get(_part_of(path), "image/png"), stand_in)
            labels[b64encode(stand_in)] = labels[stand_in] = f"<the bytes of {path}>".encode()
        return replace(call, media=media), labels

    async def _fit_limits(self, call: Call, model_id: str, model: CatalogModel | None, sent: bytes) -> Call:
        """Return the call, shortened if needed to what its limits leave. Raises `LimitReached` and `ModelUnpriced`."""
        worst_case = partial(reservation.worst_case_reservation, model_id=model_id, model=model, sent=sent)
        needed = await offload_dry_run(call, partial(worst_case, call))
        if needed is None:
            return call
        refusal = await offload_dry_run(call, partial(RefusedCall, call, model, sent))
        max_tokens = refusal.first_max_tokens(needed) if reservation.adds_max_tokens(call) else None
        limit_error: LimitReached | None = None
        if max_tokens is None:
            limit_error = await self._limit_error(needed)
            max_tokens = refusal.max_tokens(limit_error) if limit_error else None
        for _ in range(SHORTENING_TRIES):
            if max_tokens is None:
                break
            shorter = replace(call, request=call.request.with_output_limit(max_tokens))
            needed = await offload_dry_run(call, partial(worst_case, shorter))
            limit_error = await self._limit_error(needed) if needed else None
            if limit_error is None:
                return shorter
            max_tokens = refusal.max_tokens(limit_error)
        if limit_error is not None:
            raise refusal.explained(limit_error)
        return call

    async def _limit_error(self, needed: Reservation) -> LimitReached | None:
        for scope in needed.scopes:
            if scope.kind not in self.accounts:
                self.accounts[scope.kind] = await self.components.ledger.account(scope, self.call.workspace.first_day)
            account = self.accounts[scope.kind]
            counted = account.holds.get(needed.hold.call_id)  # the dry run is counted as a call already
            exceeded = exceeded_limit(account, scope.unsharded, needed.hold, counted)
            if exceeded is not None:
                return limit_error(scope.unsharded, exceeded, self.call.started_at)
        return None


async def offload_dry_run(call: Call, work: Callable[[], _T]) -> _T:
    """Return `work()`; in a thread if the request is longer than `OFFLOAD_BYTES`."""
    return await offload(call.request.size, work, OFFLOAD_BYTES)


def _worst_case_json(call: Call, model: CatalogModel | None, tokens: TokenCounts) -> JsonObject:
    usd = call_cost(model, tokens, call.started_at) if model else None
    return {"max_output_tokens": tokens.output, "largest_cost_usd": None if usd is None else round(float(usd), 10)}


def _part_of(path: str) -> str:
    """Return the name of the content part: "image_url" for "messages[0].content[1].image_url.url"."""
    return path.rpartition("].")[2].partition(".")[0]
