"""What the caller gets."""

from collections.abc import AsyncGenerator, Sequence

from msgspec import Struct

from tidegate.domain.call import FailedAttempt
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Reply, ReplyChunk
from tidegate.policy.metering.reservation import UNLIMITED_HEADROOM, Headroom


class Answer(Struct, frozen=True):
    """What the caller gets: a whole `reply`, or `batches` of chunks.

    `upstream_seconds` were spent waiting for providers; `headers` say where the answer comes from.
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
