"""The protocols of the stores and services behind the batch engine: table, objects, queue, callers, events."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from tidegate.batch.messages import Message
from tidegate.domain.batch import Batch, Part, StoredFile, Upload
from tidegate.domain.provider_pace import ProviderPace
from tidegate.domain.settlement import Settlement
from tidegate.domain.workspace import Principal, Workspace

BatchEventType = Literal["BatchValidated", "BatchProgress", "BatchCompleted", "BatchFailed", "BatchPaused"]

MAX_QUEUE_DELAY_SECONDS = 900.0
"""SQS's limit for the delay of a message. Source: SQS's quotas (read 2026-11)."""


PIECE_BYTES = 8 * 1024 * 1024
"""The largest piece of an object that is read at once, or kept in memory while an object is written."""


class TryLater(Exception):
    """A message cannot be handled now, and should come again in `seconds`. This is not a failure."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Page(Struct, frozen=True):
    """How to list: `limit` items after the id `after`, the newest first unless `is_ascending`."""

    limit: int
    after: str | None = None
    is_ascending: bool = False


class BatchTable(Protocol):
    """Files, uploads, batches and parts. Ids sort by time. All methods raise `StoreUnavailable`."""

    async def find_file(self, workspace_id: str, file_id: str) -> StoredFile | None:
        """The workspace's file, unless it has expired."""
        ...

    async def list_files(self, workspace_id: str, page: Page, purpose: str | None = None) -> Sequence[StoredFile]: ...

    async def delete_file(self, file: StoredFile) -> bool:
        """Delete the entry of the file; False if it is gone already."""
        ...

    async def find_upload(self, workspace_id: str, upload_id: str) -> Upload | None:
        """The workspace's upload, also after it has expired, for a day."""
        ...

    async def list_uploads(self, workspace_id: str, page: Page) -> Sequence[Upload]:
        """Uploads of the workspace with any status, also those that have expired, for a day."""
        ...

    async def find_batch(self, workspace_id: str, batch_id: str) -> Batch | None: ...

    async def list_batches(self, workspace_id: str, page: Page) -> Sequence[Batch]: ...

    async def find_parts(self, batch: Batch, numbers: Sequence[int]) -> Mapping[int, Part]:
        """The stored parts with these numbers; parts that were never fed are absent."""
        ...

    async def open_batches(self) -> Sequence[Batch]:
        """All batches of all workspaces that are not terminal."""
        ...

    async def find_pace(self, provider: str) -> ProviderPace:
        """The pace of batches at the provider, of version 0 if it was never saved."""
        ...

    async def save(self, *values: StoredFile | Upload | Batch | Part | ProviderPace) -> bool:
        """Write all values or none, at most 20, each with its version increased by one.

        False if one of them is not the stored version any more. A value of version 0 must not exist yet.
        """
        ...

    async def claim_once(self, claim: str, seconds: float) -> bool:
        """Claim a name, such as that of an event, for this time; False if somebody has it already."""
        ...


class ObjectWriter(Protocol):
    """Writes one object piece by piece. Holds at most `PIECE_BYTES` in memory. All methods raise `StoreUnavailable`.

    async with objects.writer(key) as writer:
        await writer.write(b"...")

    The object exists once the context is left, unless by an exception: then an existing one stays as it is.
    """

    size: int

    async def write(self, data: bytes) -> None: ...

    async def append_object(self, key: str, size: int) -> None:
        """Append the first `size` bytes of another object; a large one is copied inside the store.

        Raises `NotFound` if it does not exist, and `StoreUnavailable` if it is smaller.
        """
        ...

    async def __aenter__(self) -> "ObjectWriter": ...

    async def __aexit__(self, *error: object) -> None: ...


class BatchObjects(Protocol):
    """The objects of files and batches: a bucket, a folder, or memory. All methods raise `StoreUnavailable`."""

    async def put(self, key: str, data: bytes) -> None:
        """Write the object; an existing one is replaced."""
        ...

    async def size(self, key: str) -> int | None:
        """The size in bytes, None if the object does not exist."""
        ...

    async def read(self, key: str, first: int = 0, length: int | None = None) -> bytes | None:
        """At most `length` bytes from `first`, or all; None if the object does not exist."""
        ...

    def chunks(self, key: str, first: int = 0, length: int | None = None) -> AsyncGenerator[bytes]:
        """Read the object in pieces of at most `PIECE_BYTES`, each with a request of its own. Raises `NotFound`."""
        ...

    def writer(self, key: str, *, content_type: str = "application/jsonl") -> ObjectWriter: ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that do not exist do no harm."""
        ...

    async def list_keys(self, prefix: str) -> Sequence[str]:
        """The keys that begin with the prefix, in their order."""
        ...

    async def presigned_put(self, key: str, seconds: float, size: int) -> str | None:
        """A URL to which whoever has it may send this object, of exactly this size; None where that is impossible."""
        ...

    async def uri(self, key: str) -> str | None:
        """The object's address for other services of AWS, "s3://bucket/key"; None if they cannot read it."""
        ...


class BatchQueue(Protocol):
    """Delivers messages to workers, at least once each."""

    async def send(self, message: Message, delay_seconds: float = 0.0) -> None:
        """Send a message; it is delivered after `delay_seconds`, at most `MAX_QUEUE_DELAY_SECONDS`."""
        ...


class Callers(Protocol):
    """Who pays for a batch. A revoked key or a suspended workspace stops its batches."""

    async def find_caller(self, workspace_id: str, key_id: str | None) -> tuple[Principal, Workspace]:
        """The workspace now, and the key that created the batch, or a principal without limits for None.

        Raises `WorkspaceForbidden` and `InvalidKey`.
        """
        ...


class BatchEvents(Protocol):
    """Tells the operator's event bus, or the log, what happens to batches."""

    async def emit(self, event_type: BatchEventType, batch: Batch) -> None:
        """Send one event, whose detail is the batch as OpenAI shows it, and its workspace. Failures are logged."""
        ...


class Replies(Protocol):
    """Queues that get the answers to single requests. The operator names those that messages may choose."""

    def find_queue(self, reply_to: str | None) -> str | None:
        """The allowed queue with this URL or name, or the first one for None; None if there is no such queue."""
        ...

    async def send(self, queue: str, body: bytes, attributes: Mapping[str, str]) -> None:
        """Send a message to a queue of `find_queue`; it may arrive twice. Raises `StoreUnavailable`."""
        ...


class Webhooks(Protocol):
    """Sends events to the webhooks of workspaces."""

    async def send(self, workspace: Workspace, event_id: str, body: bytes) -> int | None:
        """POST the signed event once, and return the HTTP status; None without an answer.

        410 if the workspace has no webhook, or no secret to sign with. Raises `StoreUnavailable`.
        """
        ...


class Settlements(Protocol):
    """Settles many calls as one. The meters of all worlds implement it beside `Meter`."""

    async def settle(self, settlement: Settlement) -> bool:
        """Write the record, add to the counters and settle the hold in one transaction; False if it was done before.

        The hold that is booked under the settlement's call id is settled: a worker that has lost its part may have
        grown the one that is given.
        """
        ...
