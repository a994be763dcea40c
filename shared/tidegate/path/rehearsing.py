"""A dry run: what would become of a call. No provider is asked, nothing is held, kept or recorded.

Media that the gateway would fetch are not fetched either: words in angle brackets stand in their place.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import TypeVar

from anyio import to_thread

from tidegate.catalog import Model, cost
from tidegate.chat.json import Json, JsonObject
from tidegate.chat.media import type_of_name
from tidegate.chat.request import shortened
from tidegate.domain.account import Account, Reservation, refusal
from tidegate.domain.call import Call, Media
from tidegate.domain.estimate import estimate_prompt
from tidegate.domain.model import Deployment
from tidegate.errors import ModelNotAllowed, NoRoom, NotConfigured, TidegateError
from tidegate.path.asking import unsupported
from tidegate.path.mapping import mapped, refusals
from tidegate.path.parts import Parts
from tidegate.path.showing import Step, entry, shown_request, told
from tidegate.policy import budget, fallback, signatures
from tidegate.policy.cache import wish_of
from tidegate.policy.fallback import Candidate
from tidegate.policy.retry import DEFAULT_RETRIES
from tidegate.policy.tries import Tries
from tidegate.providers.base import Provider

MOST_REQUESTS = 16
MOST_BYTES = 4 * 1024 * 1024
"""What is shown of the requests that would be sent, those of fallbacks among them: beyond, they are left out."""

QUICK_BYTES = 16 * 1024
"""A longer request is translated in a thread: that is done once for each of its fields."""

_KINDS = {"image_url": "image/png", "video_url": "video/mp4", "file": "application/pdf", "source": "application/pdf"}
"""What a medium is taken to be whose URL does not tell, by the part that names it."""

_T = TypeVar("_T")


@dataclass(slots=True)
class _Rehearsal:
    """`accounts` are those that were read, by the kind of their scope; `requests` and their `size` what is shown."""

    parts: Parts
    call: Call
    accounts: dict[str, Account] = field(default_factory=dict[str, Account])
    requests: int = 0
    size: int = 0

    async def steps(self, candidates: list[Candidate]) -> AsyncIterator[Step]:
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
                budget.permitted(call, replace(plan, deployments=(deployment,)))
                await self._play(step, call, deployment)
            except TidegateError as error:
                step.error = error
            yield step

    async def _play(self, step: Step, call: Call, deployment: Deployment) -> None:
        """As far as to the request that would be sent. Raises what would end the call there."""
        provider = self.parts.providers.load(deployment.provider)
        call, stand_ins = await self._equipped(call, provider, deployment)
        step.shown["refused"] = dict[str, Json](await _aside(call, partial(refusals, provider, call, deployment)))
        request = await _aside(call, partial(provider.build_request, call, deployment))
        ignored = call.request.ignored + request.ignored
        step.shown["ignored"] = list[Json](ignored)
        if ignored and call.request.fields.require_parameters:
            refused = unsupported(deployment, ignored)
            step.shown["refused"] = dict.fromkeys(ignored, refused.message)
            raise refused
        model = self.parts.catalog.find(deployment.model_id)
        most = _most(call, model)
        try:
            call = await self._fitted(call, deployment.model_id, model)
            most = _most(call, model)
        finally:
            step.shown |= most
            step.shown |= await _aside(call, partial(self._request, provider, call, deployment, stand_ins))

    def _request(
        self, provider: Provider, call: Call, deployment: Deployment, stand_ins: Mapping[bytes, bytes]
    ) -> JsonObject:
        """The request that would be sent, and what of it follows from which of the caller's fields."""
        request = provider.build_request(call, deployment)
        self.requests, self.size = self.requests + 1, self.size + len(request.body)
        if self.requests > 1 and (self.requests > MOST_REQUESTS or self.size > MOST_BYTES):
            return {"omitted": True}
        ways, ignored = mapped(provider, call, deployment, request), call.request.ignored + request.ignored
        told = {name: list[Json](paths) for name, paths in ways.items() if paths or name not in ignored}
        return {"request": shown_request(request, deployment, stand_ins), "mapped": dict[str, Json](told)}

    async def _equipped(
        self, call: Call, provider: Provider, deployment: Deployment
    ) -> tuple[Call, Mapping[bytes, bytes]]:
        """The call as asking would equip it, and by what stands in for media, the words that are shown for it."""
        earlier = signatures.needed(call.request.fields.messages) if provider.signs_reasoning else []
        if earlier:
            call = replace(call, signatures=await self.parts.signatures.find(call.workspace.id, earlier))
        media: dict[str, Media] = {}
        shown: dict[bytes, bytes] = {}
        for i, (path, url) in enumerate(provider.media_urls(call, deployment).items()):
            stand_in = f"medium {i} of {call.id}".encode()
            media[url] = Media(type_of_name(url) or _KINDS.get(_part_of(path), "image/png"), stand_in)
            shown[b64encode(stand_in)] = shown[stand_in] = f"<the bytes of {path}>".encode()
        return replace(call, media=media), shown

    async def _fitted(self, call: Call, model_id: str, model: Model | None) -> Call:
        """The call as there would be room for it now. Raises `NoRoom` and `ModelUnpriced`."""
        asked = await _aside(call, partial(budget.reservation, call, model_id, model))
        refused = await self._refused(asked) if asked else None
        if refused is None:
            return call
        most = budget.shortened(call, model, refused) if call.workspace.lowers_max_tokens else None
        if most is None:
            raise refused
        call = replace(call, request=shortened(call.request, most))
        asked = budget.reservation(call, model_id, model)
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
                return budget.refused(scope.whole, why, self.call.started_at)
        return None


async def rehearse(parts: Parts, call: Call) -> JsonObject:
    """What would become of the call, as JSON.

    Raises what no candidate can change: `InvalidRequest` for those that are named, and `ModelNotFound`.
    """
    guard = parts.guards.of(call)
    guarded = await guard.rehearse(call) if guard else None
    call = guarded.call if guarded else call
    candidates = _candidates(parts, call)
    steps = [step async for step in _Rehearsal(parts, call).steps(candidates)]
    first, error = _ending(candidates, steps)
    ends = guarded and guarded.error
    first, error = (None, ends) if ends else (first, error)
    retries = call.request.fields.num_retries
    return {
        "object": "tidegate.dry_run",
        "id": call.id,
        "model": call.request.model,
        "asked_first": first.model_id if first else None,
        "error": told(error),
        "guardrails": guarded.verdicts if guarded else [],
        "cache": _cache(call),
        "plan": [entry(step) for step in steps],
        "estimate": await _aside(call, partial(_estimate, parts, call, first)),
        "num_retries": DEFAULT_RETRIES if retries is None else retries,
        "deadline_seconds": round(call.deadline - parts.clock(), 3),
    }


def _cache(call: Call) -> JsonObject | None:
    """Whether an equal call's reply would be looked for, and how long this one's kept; None where caching is off."""
    wish = wish_of(call)
    if wish is None:
        return None
    return {
        "looked_up": wish.looks,
        "max_age_seconds": wish.max_age_seconds,
        "keep_seconds": wish.keep_seconds,
        "namespace": wish.namespace,
    }


def _candidates(parts: Parts, call: Call) -> list[Candidate]:
    try:
        return fallback.candidates(call.request, parts.router, parts.catalog, call.workspace)
    except NotConfigured:  # which its own turn will tell
        return [Candidate("model", call.request)]


def _ending(candidates: list[Candidate], steps: list[Step]) -> tuple[Deployment | None, TidegateError | None]:
    """Who would be asked first, or else what the caller would be told."""
    heard: TidegateError | None = None
    waiting = candidates
    while waiting:
        candidate, *waiting = waiting
        first, error = _tried([step for step in steps if step.candidate is candidate])
        if error is None:
            return first, None
        heard = fallback.told(heard, error)
        waiting = fallback.after(error, candidate, waiting)
    return None, heard


def _tried(steps: list[Step]) -> tuple[Deployment | None, TidegateError | None]:
    """The same of one candidate's deployments."""
    faults = {step.deployment: step.error for step in steps if step.deployment}
    permitted = [each for each, error in faults.items() if not isinstance(error, ModelNotAllowed)]
    if not permitted:
        return None, steps[0].error
    tries = Tries(permitted)
    while (error := faults[tries.deployment]) is not None:
        tries.failed(error, at=0.0)
        if not tries.is_fresh:
            return None, tries.told
    return tries.deployment, None


def _most(call: Call, model: Model | None) -> JsonObject:
    tokens = budget.longest(call, model)
    usd = cost(model, tokens, call.started_at) if model else None
    return {"max_output_tokens": tokens.output, "largest_cost_usd": _number(usd)}


def _number(usd: Decimal | None) -> float | None:
    return None if usd is None else round(float(usd), 10)


def _estimate(parts: Parts, call: Call, first: Deployment | None) -> JsonObject:
    """Of the call as it was sent: what it is, and what would be held for it."""
    tokens = budget.longest(call, parts.catalog.find(first.model_id) if first else None)
    return {
        "prompt_tokens": estimate_prompt(call.request.fields),
        "with_margin": tokens.input,
        "max_output_tokens": tokens.output,
        "words": budget.charged_words(call, tokens),
    }


def _part_of(path: str) -> str:
    """ "image_url" of "messages[0].content[1].image_url.url"."""
    return path.rpartition("].")[2].partition(".")[0]


async def _aside(call: Call, work: Callable[[], _T]) -> _T:
    return await to_thread.run_sync(work) if call.request.size > QUICK_BYTES else work()
