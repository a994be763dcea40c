"""How long files, uploads, batches and parts are stored."""

from tidegate.domain.batch import Batch, Part, StoredFile, Upload
from tidegate.domain.provider_pace import ProviderPace
from tidegate.domain.record import RETENTION_SECONDS

UPLOAD_SECONDS_AFTER_EXPIRY = 86400
"""A caller of an expired upload learns for a day that it has expired."""

PENDING_FILE_SECONDS = 2 * 86400
"""A pending file is forgotten when the bucket may delete what was sent to its presigned URL (`template.yaml`)."""

PART_SECONDS = 30 * 86400
"""Parts are stored for 30 days after their last change, which is longer than the longest completion window."""


def kept_until(value: StoredFile | Upload | Batch | Part | ProviderPace, now: float) -> float | None:
    """The time, in UTC seconds, at which a value that is written now expires; None if it is kept.

    A batch is kept while it is open, and then until 400 days after its creation, as long as records of calls.
    """
    match value:
        case StoredFile(status="pending"):
            ends_at = value.created_at + PENDING_FILE_SECONDS
            return ends_at if value.expires_at is None else min(ends_at, value.expires_at)
        case StoredFile():
            return value.expires_at
        case Upload():
            return value.expires_at + UPLOAD_SECONDS_AFTER_EXPIRY
        case Batch():
            return value.created_at + RETENTION_SECONDS if value.is_terminal else None
        case Part() | ProviderPace():
            return now + PART_SECONDS


def may_have_parts(batch: Batch, now: float) -> bool:
    """False if all parts of the batch have expired: none is changed after its completion window, but for minutes."""
    return now <= batch.expires_at + PART_SECONDS + 86400
