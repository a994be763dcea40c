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

from tidegate.chat.parse import parse
from tidegate.domain.call import Call, Surface, app_of, idempotency_key_of
from tidegate.domain.ids import ulid
from tidegate.domain.restrictions import UNKNOWN, Source
from tidegate.json import JsonObject
from tidegate.pipeline.check_output import guarded
from tidegate.pipeline.components import Components
from tidegate.pipeline.dispatch import ask
from tidegate.pipeline.observation import Observation
from tidegate.pipeline.respond import Answer, reply
from tidegate.pipeline.settle import settle
from tidegate.pipeline.shield import run_shielded
from tidegate.policy.deadline import ahead, in_time, named, soonest

if TYPE_CHECKING:
    from tidegate.pipeline.reuse.reuse import Reusing

__all__ = ["Answer", "Gateway"]


async def _end(parts: Components, seen: Observation, reusing: "Reusing | None") -> None:
    """What follows every call: its reply is kept where that was wanted, and whatever comes of it, it is settled."""
    try:
        if reusing is not None:
            await reusing.end(seen)
    finally:
        await settle(parts, seen)


class Gateway(Components, frozen=True):
    """The path, over the parts that this process is composed of."""

    async def admit(
        self,
        surface: Surface,
        authorization: str | None,
        workspace_id: str | None,
        body: bytes,
        *,
        source: Source = UNKNOWN,
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
        moments = (deadline, named(request_deadline))
        # One that has passed before is `answer`'s to refuse, and on record then.
        async with in_time(ahead(now, moments), self.clock):
            principal, workspace = await self.authenticator.authenticate(
                authorization, workspace_id, required_workspace=surface == "neuroflash", source=source
            )
        request = parse(body)
        seconds = (self.timeout_seconds, request.fields.timeout, workspace.timeout_seconds)
        return Call(
            id=ulid(now),
            surface=surface,
            request=request,
            principal=principal,
            workspace=workspace,
            started_at=now,
            deadline=soonest(now, seconds, moments),
            app_id=app_of(app_id),
            session_id=session_id,
            idempotency_key=idempotency_key_of(idempotency_key),
        )

    @asynccontextmanager
    async def answer(self, call: Call) -> AsyncGenerator[Answer]:
        """The answer to an admitted call. Leaving the context settles it: one outcome, one record, whatever happened.

        Raises `TidegateError`, also from the batches once the stream has begun.
        """
        seen = Observation(call)
        reusing = self.reuse.of(call)
        try:
            async with AsyncExitStack() as stack:
                with seen.failing():
                    async with in_time(call.deadline, self.clock, late=seen.blamed):
                        answer = await self._answer(call, seen, reusing, stack)
                yield answer
        finally:
            await run_shielded(_end(self, seen, reusing))

    async def _answer(self, call: Call, seen: Observation, reusing: "Reusing | None", stack: AsyncExitStack) -> Answer:
        guard = self.guards.of(call)
        given = await reusing.replay(seen) if reusing else None
        if given is not None:
            return given
        if guard:
            call = seen.call = await guard.prompt(call)
        given = await reusing.look(self, call, seen, guard) if reusing else None
        if given is not None:
            return given
        asked = await ask(self, call, seen, stack)
        answer = await reply(self, asked, seen)
        if guard:
            answer = await guarded(self, guard, answer, seen)
        return reusing.keeping(asked, answer) if reusing else answer

    async def rehearse(self, call: Call) -> JsonObject:
        """What would become of an admitted call, as JSON. Nobody is asked, and nothing is held, kept or recorded."""
        return await import_module("tidegate.pipeline.dry_run.dry_run").rehearse(self, call)
