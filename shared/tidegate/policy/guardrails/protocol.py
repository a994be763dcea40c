"""The interface of the guardrails of one call, for the gateway."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from tidegate.domain.call import Call
from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.errors import TidegateError
from tidegate.json import Json

HEADER = "x-tidegate-guardrails"
"""The header of a reply that names the guardrails which have checked it."""


class GuardDryRun(Struct, frozen=True):
    """The verdict of each guardrail, `{name, on, verdict}`, the call with its masked prompt, and the error to raise.

    A verdict is "pass", "mask", "block" or "unavailable", or "not_run" for a guardrail that checks answers only.
    """

    verdicts: list[Json]
    call: Call
    error: TidegateError | None


class Guard(Protocol):
    """The guardrails of one call. All checks raise `GuardrailViolation` and `GuardrailUnavailable`.

    Example:
        call = await guard.check_prompt(call)
        reply = await guard.check_reply(reply)
    """

    @property
    def header(self) -> str:
        """The value of the reply's header: "secrets;mode=window, length"."""
        ...

    @property
    def fingerprint(self) -> str:
        """A digest of all active guardrails with their fields: only calls with equal ones may share a cached answer."""
        ...

    @property
    def verdicts(self) -> Mapping[str, str]:
        """The verdict of each guardrail that has checked the call so far: the gravest of `GuardDryRun`'s."""
        ...

    @property
    def buffers_stream(self) -> bool:
        """True if a streamed answer is held back until it is complete."""
        ...

    @property
    def is_quick(self) -> bool:
        """True if to check the prompt is so little work that the call need not be booked before."""
        ...

    async def check_prompt(self, call: Call) -> Call:
        """Return the call with its prompt masked. Raises `InvalidRequest` for a request that cannot be checked."""
        ...

    async def check_reply(self, reply: Reply) -> Reply:
        """Return the answer, masked where needed; the object itself if nothing had to change."""
        ...

    def check_stream(self, batches: AsyncIterator[Sequence[ReplyChunk]]) -> AsyncGenerator[Sequence[ReplyChunk]]:
        """Yield the chunks, masked where needed. The caller closes `batches` and the returned generator."""
        ...

    async def dry_run(self, call: Call) -> GuardDryRun:
        """Check the prompt, and return violations instead of raising them."""
        ...
