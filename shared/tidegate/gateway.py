"""The path of one call, as one straight line. If a rule is not visible here, it does not exist.

admit:   1. authenticate   2. validate
answer:  3. route   4. reserve   5. ask the provider, with its first event in hand   6. stamp and bill
         7. settle, whatever happened   8. tell of budgets that run out
"""

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, cast

from anyio import to_thread

from tidegate.catalog import Catalog
from tidegate.chat.completion import Chunk, Completion, Delta, Message
from tidegate.chat.json import Json
from tidegate.chat.parse import parse
from tidegate.chat.request import shortened
from tidegate.domain.account import rates
from tidegate.domain.call import Call, Surface, app_of
from tidegate.domain.ids import completion_id, ulid
from tidegate.domain.model import Deployment
from tidegate.domain.restrictions import UNKNOWN, Source
from tidegate.domain.settlement import amounts
from tidegate.domain.threshold import Watched
from tidegate.domain.usage import Bill
from tidegate.errors import NoRoom, StoreUnavailable, UnsupportedParameter
from tidegate.policy import budget, signatures
from tidegate.policy.authenticate import Authenticator
from tidegate.policy.bill import bill, to_wire
from tidegate.policy.budget import NO_LIMITS, Room
from tidegate.policy.observe import Observation, figures, to_the_end
from tidegate.policy.own import OwnKeys
from tidegate.policy.route import Router
from tidegate.policy.warn import LogEvents, warn
from tidegate.ports import Events, Ledger, Meter, Signatures, Usages
from tidegate.providers import Registry
from tidegate.providers.base import Provider
from tidegate.upstream.attempt import Upstream
from tidegate.upstream.fetch import Fetcher

log = logging.getLogger(__name__)

LONG_BYTES = 256 * 1024
"""Other calls should not wait until a longer request is translated and its words are counted."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets: a whole `completion`, or `batches` of chunks. `upstream_seconds` were spent waiting."""

    completion: Completion | None
    batches: AsyncGenerator[list[Chunk]] | None
    deployment: Deployment
    attempts: int
    ignored: tuple[str, ...]
    upstream_seconds: float
    room: Room = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything that a call needs, composed once per process."""

    authenticator: Authenticator
    router: Router
    providers: Registry
    upstream: Upstream
    meter: Meter
    ledger: Ledger
    usages: Usages
    signatures: Signatures
    fetcher: Fetcher
    catalog: Catalog
    events: Events = field(default_factory=LogEvents)
    timeout_seconds: float = 600.0
    clock: Callable[[], float] = time.time
    own_keys: OwnKeys = field(default_factory=OwnKeys)

    async def admit(
        self,
        surface: Surface,
        authorization: str | None,
        workspace_id: str | None,
        body: bytes,
        *,
        source: Source = UNKNOWN,
        app_id: str | None = None,
        deadline: float | None = None,
    ) -> Call:
        """The call that the body asks for, once the caller is known. `deadline` (UTC seconds) is the process's own.

        A stranger's body is not parsed: the key is checked first. A caller may shorten the call's time, not extend it.
        """
        now = self.clock()
        principal, workspace = await self.authenticator.authenticate(
            authorization, workspace_id, required_workspace=surface == "neuroflash", source=source
        )
        request = parse(body)
        latest = now + min(request.fields.timeout or self.timeout_seconds, self.timeout_seconds)
        return Call(
            id=ulid(now),
            surface=surface,
            request=request,
            principal=principal,
            workspace=workspace,
            started_at=now,
            deadline=latest if deadline is None else min(latest, deadline),
            app_id=app_of(app_id),
        )

    @asynccontextmanager
    async def answer(self, call: Call) -> AsyncGenerator[Answer]:
        """The answer to an admitted call. Leaving the context settles it: one outcome, one record, whatever happened.

        Raises `TidegateError`, also from the batches once the stream has begun.
        """
        seen = Observation(call)
        try:
            async with AsyncExitStack() as stack:
                with seen.failing():
                    answer = await self._ask(call, seen, stack)
                yield answer
        finally:
            await to_the_end(self._settle(seen))

    async def _ask(self, call: Call, seen: Observation, stack: AsyncExitStack) -> Answer:
        plan = self.router.plan(call.request.model, call.workspace)
        seen.deployment = deployment = plan.deployments[0]
        budget.check_model(call, deployment.model_id)
        provider = self.providers.load(deployment.provider)
        call = await self._equipped(call, provider, deployment)
        request = await _aside(call, partial(provider.build_request, call, deployment))
        ignored = call.request.ignored + request.ignored
        if ignored and call.request.fields.require_parameters:
            raise _unsupported(deployment, ignored)
        call, room = await self._reserve(call, deployment, seen)
        if room.max_tokens is not None:
            request = await _aside(call, partial(provider.build_request, call, deployment))
        asked_at = self.clock()
        seen.attempts = 1
        reply = await stack.enter_async_context(
            self.upstream.open(
                provider,
                request,
                secret=deployment.secret,
                stream=call.request.stream,
                seconds=call.deadline - asked_at,
                own=self.own_keys.of(call.workspace, deployment.secret),
            )
        )
        seen.first_event_at = self.clock()
        waited = seen.first_event_at - asked_at
        if reply.completion is not None:
            # Before anything is waited for again, what the provider charges is known; and what is kept, not hidden yet.
            signed = signatures.of_completion(reply.completion) if provider.signs_reasoning else None
            completion = await self._completed(reply.completion, seen)
            await self._keep(call, signed)
            return Answer(completion, None, deployment, seen.attempts, ignored, waited, room)
        assert reply.batches is not None  # noqa: S101  # a reply is one or the other
        batches = self._kept(call, reply.batches) if provider.signs_reasoning else reply.batches
        return Answer(None, self._streamed(batches, seen), deployment, seen.attempts, ignored, waited, room)

    async def _equipped(self, call: Call, provider: Provider, deployment: Deployment) -> Call:
        """The call with what its provider needs beside the request: fetched media, and signatures of earlier turns."""
        urls = provider.media_urls(call, deployment)
        if urls:
            call = replace(call, media=await self.fetcher.fetch(urls, call.deadline - self.clock()))
        earlier = signatures.needed(call.request.fields.messages) if provider.signs_reasoning else []
        if earlier:
            call = replace(call, signatures=await self.signatures.find(call.workspace.id, earlier))
        return call

    async def _reserve(self, call: Call, deployment: Deployment, seen: Observation) -> tuple[Call, Room]:
        """The call, once there is room for it: shortened to what there is, where its workspace wants that."""
        model_id = deployment.model_id
        model = self.catalog.find(model_id)
        asked = await _aside(call, partial(budget.reservation, call, model_id, model))
        if asked is None:
            return call, NO_LIMITS
        most: int | None = None
        try:
            seen.hold, account = await self.ledger.reserve(asked)
        except NoRoom as error:
            most = budget.shortened(call, model, error) if call.workspace.lowers_max_tokens else None
            if most is None:
                raise
            call = replace(call, request=shortened(call.request, most))
            asked = budget.reservation(call, model_id, model) or asked
            seen.hold, account = await self.ledger.reserve(asked)
        if account is None:
            return call, Room({}, most)
        seen.watched = Watched(call.workspace.id, asked.scopes[0], account, call.started_at, call.workspace.first_day)
        return call, Room(rates(account, asked.scopes[0], call.started_at), most)

    async def _kept(self, call: Call, batches: AsyncIterator[list[Chunk]]) -> AsyncGenerator[list[Chunk]]:
        collector = signatures.Collector()
        async for batch in batches:
            for chunk in batch:
                for choice in chunk["choices"]:
                    if choice["index"] == 0:
                        collector.add(choice["delta"])
            yield batch
        await self._keep(call, collector.to_keep())

    async def _keep(self, call: Call, signed: tuple[str, list[Json]] | None) -> None:
        if signed is None:
            return
        try:
            await self.signatures.keep(call.workspace.id, *signed)
        except StoreUnavailable:
            log.warning("signatures.lost", extra={"call_id": call.id})

    async def _completed(self, completion: Completion, seen: Observation) -> Completion:
        seen.saw_completion(completion)
        completion["usage"] = to_wire(seen.usage, await self._bill(seen))
        if _hides_reasoning(seen.call):
            for choice in completion["choices"]:
                _without_reasoning(choice["message"])
        stamp = _stamp(seen, "chat.completion")
        return cast(Completion, {**stamp, **completion, **stamp})

    async def _streamed(self, batches: AsyncIterator[list[Chunk]], seen: Observation) -> AsyncGenerator[list[Chunk]]:
        """The provider's chunks under our name; usage is held back for the one chunk that ends the stream."""
        stamp = _stamp(seen, "chat.completion.chunk")
        bare = {**stamp, "system_fingerprint": None}  # strict clients want the key, and few providers have one
        hides_reasoning = _hides_reasoning(seen.call)
        fingerprint: str | None = None
        with seen.failing():
            async for batch in batches:
                passed: list[Chunk] = []
                for chunk in batch:
                    seen.saw_chunk(chunk)
                    fingerprint = chunk.get("system_fingerprint") or fingerprint
                    if not chunk["choices"]:
                        continue
                    if hides_reasoning:
                        for choice in chunk["choices"]:
                            _without_reasoning(choice["delta"])
                    passed.append(cast(Chunk, {**bare, **chunk, **stamp}))
                if passed:
                    yield passed
            seen.status = "ok"
            usage = to_wire(seen.usage, await self._bill(seen))
        if _wants_usage(seen.call):
            yield [cast(Chunk, {**stamp, "choices": [], "usage": usage, "system_fingerprint": fingerprint})]

    async def _bill(self, seen: Observation) -> Bill:
        call, produced = seen.call, seen.produced()
        model = self.catalog.find(_model_id(seen))
        made = partial(bill, seen.usage, call.request, produced, call.workspace, model, at=call.started_at)
        seen.bill = await _aside(call, made)
        return seen.bill

    async def _settle(self, seen: Observation) -> None:
        if seen.bill is None and seen.is_charged:
            await self._bill(seen)
        outcome = seen.outcome(self.clock())
        level, event = logging.ERROR, "meter.failed"
        try:
            with suppress(StoreUnavailable):
                await self.meter.record(outcome)
                level, event = logging.INFO, "call.settled"
        finally:  # also when it was given up, or has a bug: what is not in the table is in the log
            log.log(level, event, extra=figures(outcome))
        # A busy workspace's account is in parts, and two accounts are not read for it: those are the sweeper's.
        if event == "call.settled" and seen.watched is not None and seen.watched.scope.shards == 1:
            actual = amounts(outcome.bill)
            await warn(self.ledger, self.events, seen.watched, self.clock(), outcome.hold, actual)


async def _aside(call: Call, work: Callable[[], _T]) -> _T:
    """What pure `work` gives. That of a long request is done in a thread, beside the other calls."""
    return await to_thread.run_sync(work) if call.request.size > LONG_BYTES else work()


def _model_id(seen: Observation) -> str:
    return seen.deployment.model_id if seen.deployment else seen.call.request.model


def _stamp(seen: Observation, kind: str) -> dict[str, object]:
    """What the gateway, and not the provider, says of a reply: the same for all chunks of a stream."""
    call = seen.call
    return {
        "id": completion_id(call.surface, call.started_at),
        "object": kind,
        "created": int(call.started_at),
        "model": _model_id(seen),
    }


def _hides_reasoning(call: Call) -> bool:
    return call.request.reasoning is not None and call.request.reasoning.exclude


def _wants_usage(call: Call) -> bool:
    options = call.request.fields.stream_options
    return call.surface == "neuroflash" or bool(options and options.include_usage)


def _without_reasoning(holder: Message | Delta) -> None:
    for name in ("reasoning", "reasoning_content", "reasoning_details"):
        holder.pop(name, None)


def _unsupported(deployment: Deployment, ignored: tuple[str, ...]) -> UnsupportedParameter:
    names = ", ".join(ignored)
    return UnsupportedParameter(f"{deployment.model_id} cannot honour: {names}.", param=ignored[0])
