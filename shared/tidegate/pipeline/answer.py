"""The answer of a call, as its endpoint gets it."""

from collections.abc import AsyncGenerator, Sequence

from msgspec import Struct

from tidegate.domain.call import FailedAttempt
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.policy.metering.reservation import UNLIMITED_HEADROOM, Headroom


class Answer(Struct, frozen=True):
    """The answer of a call: a whole `reply`, or `batches` of chunks.

    `upstream_seconds` is the time spent waiting for providers. `headers` are those of the observation.
    """

    reply: Reply | None
    batches: AsyncGenerator[Sequence[ReplyChunk]] | None
    deployment: Deployment
    attempts: int
    failed_attempts: tuple[FailedAttempt, ...]
    ignored: tuple[str, ...]
    upstream_seconds: float
    headroom: Headroom = UNLIMITED_HEADROOM
    headers: tuple[tuple[str, str], ...] = ()
