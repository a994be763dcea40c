"""The path of one call, as one straight line. If a rule is not visible here, it does not exist.

admit:   1. authenticate   2. validate
answer:  3. claim the idempotency key   4. guardrails on the prompt   5. look into the cache   6. route   7. reserve
         8. ask the provider, with its first event in hand   9. stamp and bill   10. guardrails on the answer
         11. keep the reply, for either   12. settle, whatever happened   13. tell of budgets that run out
rehearse: what all of that would come to (`dry_run`), without asking, holding or keeping anything
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from tidegate.chat.parse import parse_chat_request
from tidegate.domain.call import Call, Surface, parse_app_id, parse_idempotency_key
from tidegate.domain.ids import ulid
from tidegate.domain.restrictions import UNKNOWN_SOURCE, RequestSource
from tidegate.json import JsonObject
from tidegate.pipeline.check_output import check_answer
from tidegate.pipeline.components import Components
from tidegate.pipeline.dispatch import dispatch
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.respond import Answer, respond
from tidegate.pipeline.settle import settle
from tidegate.pipeline.shield import run_shielded
from tidegate.policy.deadline import deadline_scope, earliest_deadline, next_deadline, parse_deadline

if TYPE_CHECKING:
    from tidegate.pipeline.reuse.reuse import CallReuse

__all__ = ["Answer", "Gateway"]


async def _finish(components: Components, observation: Observation, call_reuse: "CallReuse | None") -> None:
    """What follows every call: its reply is kept where that was wanted, and whatever comes of it, it is settled."""
    try:
        if call_reuse is not None:
            await call_reuse.store(observation)
    finally:
        await settle(components, observation)


class Gateway(Components, frozen=True):
    """The path, over the parts that this process is composed of."""

    async def admit(
        self,
        surface: Surface,
        authorization: str | None,
        workspace_id: str | None,
        body: bytes,
        *,
        source: RequestSource = UNKNOWN_SOURCE,
        app_id: str | None = None,
        session_id: str | None = None,
        idempotency_key: str | None = None,
        request_deadline: str | None = None,
        deadline: float | None = None,
    ) -> Call:
        """The call that the body asks for, once the caller is known. `deadline` (UTC seconds) is the process's own.

        A stranger's body is not parsed: the key is checked first. A caller and a workspace may shorten the call's time,
        not extend it; `request_deadline` is the caller's word, see `deadline.py`.
        """
        now = self.clock()
        moments = (deadline, parse_deadline(request_deadline))
        # One that has passed before is `answer`'s to refuse, and on record then.
        async with deadline_scope(next_deadline(now, moments), self.clock):
            principal, workspace = await self.authenticator.authenticate(
                authorization, workspace_id, required_workspace=surface == "neuroflash", source=source
            )
        request = parse_chat_request(body)
        seconds = (self.timeout_seconds, request.fields.timeout, workspace.timeout_seconds)
        return Call(
            id=ulid(now),
            surface=surface,
            request=request,
            principal=principal,
            workspace=workspace,
            started_at=now,
            deadline=earliest_deadline(now, seconds, moments),
            app_id=parse_app_id(app_id),
            session_id=session_id,
            idempotency_key=parse_idempotency_key(idempotency_key),
        )

    @asynccontextmanager
    async def answer(self, call: Call) -> AsyncGenerator[Answer]:
        """The answer to an admitted call. Leaving the context settles it: one outcome, one record, whatever happened.

        Raises `TidegateError`, also from the batches once the stream has begun.
        """
        observation = Observation(call)
        call_reuse = self.reuse.for_call(call)
        try:
            async with AsyncExitStack() as stack:
                with observation.recording_failures():
                    async with deadline_scope(call.deadline, self.clock, on_timeout=observation.as_provider_timeout):
                        answer = await self._answer(call, observation, call_reuse, stack)
                yield answer
        finally:
            await run_shielded(_finish(self, observation, call_reuse))

    async def _answer(
        self, call: Call, observation: Observation, call_reuse: "CallReuse | None", stack: AsyncExitStack
    ) -> Answer:
        guard_run = self.guardrails.for_call(call)
        stored_answer = await call_reuse.replay(observation) if call_reuse else None
        if stored_answer is not None:
            return stored_answer
        if guard_run:
            call = observation.call = await guard_run.check_prompt(call)
        stored_answer = await call_reuse.lookup(self, call, observation, guard_run) if call_reuse else None
        if stored_answer is not None:
            return stored_answer
        dispatched = await dispatch(self, call, observation, stack)
        answer = await respond(self, dispatched, observation)
        if guard_run:
            answer = await check_answer(self, guard_run, answer, observation)
        return call_reuse.record_answer(dispatched, answer) if call_reuse else answer

    async def dry_run(self, call: Call) -> JsonObject:
        """What would become of an admitted call, as JSON. Nobody is asked, and nothing is held, kept or recorded."""
        return await import_module("tidegate.pipeline.dry_run.dry_run").dry_run(self, call)
