"""What the gateway asks of the guardrails of one call."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from tidegate.domain.call import Call
from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.errors import TidegateError
from tidegate.json import Json


class GuardDryRun(Struct, frozen=True):
    """What each guardrail says of a prompt, `{name, on, verdict}`, the call as it would be made, and what ends it.

    A verdict is "pass", "mask", "block" or "unavailable"; "not_run" of one that reads answers only.
    """

    verdicts: list[Json]
    call: Call
    error: TidegateError | None


class Guard(Protocol):
    """The guardrails of one call. What it does with texts may raise `GuardrailViolation` and `GuardrailUnavailable`."""

    @property
    def header(self) -> str:
        """What the reply's headers say: "secrets;mode=window, length"."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of what runs, and how it is written: what one lets pass, another may not."""
        ...

    @property
    def buffers_stream(self) -> bool:
        """Whether nothing of a streamed answer is passed on before its end."""
        ...

    async def check_prompt(self, call: Call) -> Call:
        """The call as it may be made, its texts masked. Raises `InvalidRequest` for what cannot be checked."""
        ...

    async def check_reply(self, reply: Reply) -> Reply:
        """The answer as it may be passed on; the same object where nothing had to change."""
        ...

    def check_stream(self, batches: AsyncIterator[Sequence[ReplyChunk]]) -> AsyncGenerator[Sequence[ReplyChunk]]:
        """The chunks as they may be passed on. The caller closes both."""
        ...

    async def dry_run(self, call: Call) -> GuardDryRun:
        """The same as `prompt`, told instead of raised."""
        ...
