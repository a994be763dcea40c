"""The path of one call, as one straight line. If a rule is not visible here, it does not exist.

admit:   1. authenticate   2. validate
answer:  3. route   4. reserve   5. ask the provider, with its first event in hand   6. stamp and bill
         7. settle, whatever happened   8. tell of budgets that run out
rehearse: what all of that would come to (`dry_run`), without asking, holding or keeping anything
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module

from tidegate.chat.json import JsonObject
from tidegate.chat.parse import parse
from tidegate.domain.call import Call, Surface, app_of
from tidegate.domain.ids import ulid
from tidegate.domain.restrictions import UNKNOWN, Source
from tidegate.path.asking import ask
from tidegate.path.parts import Parts
from tidegate.path.replying import Answer, reply
from tidegate.path.settling import settle
from tidegate.policy.observe import Observation, to_the_end

__all__ = ["Answer", "Gateway"]


@dataclass(frozen=True, slots=True)
class Gateway(Parts):
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
            session_id=session_id,
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
                    asked = await ask(self, call, seen, stack)
                    answer = await reply(self, asked, seen)
                yield answer
        finally:
            await to_the_end(settle(self, seen))

    async def rehearse(self, call: Call) -> JsonObject:
        """What would become of an admitted call, as JSON. Nobody is asked, and nothing is held, kept or recorded."""
        return await import_module("tidegate.path.rehearsing").rehearse(self, call)
