"""Files, uploads, batches and their parts, as they are stored. Times are UTC seconds, amounts of money are USD.

A batch is a file of requests, one JSON object in each line. Its lines are divided into parts, and a worker answers one
part at a time. The status of a batch is one of OpenAI's:

    validating ─┬→ in_progress → finalizing → completed | expired | cancelled
                └→ failed            (cancelling before finalizing, if a caller cancelled it)

Every stored value has a `version`, which grows by one with each write: a write of an older one is refused.
Values that are `array_like` are stored by position, to be small: a new field goes to their end, with a default.
Source: https://platform.openai.com/docs/api-reference/batch (the types of openai-python, read 2026-11)
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from msgspec import Struct, convert, field
from msgspec.structs import astuple

from tidegate.domain.limits import Amounts
from tidegate.domain.money import exact_money
from tidegate.domain.workspace import BatchMode

FilePurpose = Literal["assistants", "batch", "batch_output", "fine-tune", "vision", "user_data", "evals"]
FileStatus = Literal["pending", "processed", "error"]
UploadStatus = Literal["pending", "completed", "cancelled", "expired"]
BatchStatus = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]
BatchEnding = Literal["completed", "expired", "cancelled"]
BatchSource = Literal["api", "object", "message"]
PauseReason = Literal["budget", "workspace", "key"]
PartStatus = Literal["queued", "running", "returned", "done"]
JobStage = Literal["creating", "running", "cancelling", "sorted", "ended", "refused"]

TERMINAL_STATUSES = frozenset({"failed", "completed", "expired", "cancelled"})


class StoredFile(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file of a workspace. `key` is its object's. A "pending" file waits for the upload to its presigned URL."""

    id: str
    workspace_id: str
    filename: str
    purpose: FilePurpose
    bytes: int
    key: str
    created_at: float
    expires_at: float | None = None
    status: FileStatus = "processed"
    version: int = 0


class Upload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file that arrives in parts, each an object of its own until the upload is completed.

    `received_parts` have arrived, with `received_bytes` together, which are never more than `bytes`.
    """

    id: str
    workspace_id: str
    filename: str
    purpose: FilePurpose
    bytes: int
    mime_type: str
    created_at: float
    expires_at: float
    file_seconds: float | None = None
    status: UploadStatus = "pending"
    file_id: str | None = None
    received_bytes: int = 0
    received_parts: int = 0
    version: int = 0


class BatchFault(Struct, frozen=True, array_like=True):
    """Why a batch failed validation: `code` is one of OpenAI's, `line` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class BatchUsage(Struct, frozen=True, array_like=True):
    """The usage of answered lines. `completed` and `failed` are numbers of lines; `cost_usd` leaves out unpriced ones.

    `lost` counts lines that were perhaps asked twice, because a worker died before it had recorded their answers, and
    `cached` those that a stored reply has answered.
    """

    completed: int = 0
    failed: int = 0
    lost: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    searches: int = 0
    words: int = 0
    input_words: int = 0
    unpriced: int = 0
    cost_usd: Decimal = Decimal(0)
    cached: int = 0

    def __add__(self, other: "BatchUsage") -> "BatchUsage":
        return sum_usages((self, other))

    @property
    def amounts(self) -> Amounts:
        """The amounts that are booked in accounts."""
        return Amounts(self.input_tokens + self.output_tokens, self.words, self.cost_usd)


@exact_money
def sum_usages(usages: Iterable[BatchUsage]) -> BatchUsage:
    """The usage of all of them. To sum many at once takes a tenth of the time of one addition after the other."""
    return convert(list(map(sum, zip(*map(astuple, usages), strict=True))), BatchUsage)


class ProviderJob(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A batch at a provider. `reference` is ours and stored before the job is created, `job_id` is the provider's.

    `status` is "creating" until the provider has told `job_id`; "sorted" once its results are stored, by part, below
    the prefix `results`; "ended" once they are billed; "refused" if its parts are answered by calls instead.
    `reserved_id` is the call id of the job's hold, which its settlement replaces. `endpoint` is that of its lines, and
    `ending` how it ended at the provider.
    """

    provider: str
    deployment: str
    reference: str
    job_id: str | None = None
    status: JobStage = "creating"
    first_part: int = 0
    last_part: int = 0
    reserved_id: str | None = None
    created_at: float = 0.0
    polled_at: float = 0.0
    endpoint: str = ""
    results: str | None = None
    ending: str | None = None

    @property
    def is_open(self) -> bool:
        """True if the job is at the provider, or its results are not billed yet."""
        return self.status not in ("ended", "refused")


class Batch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A batch. `expires_at` is the end of its completion window; after it, unanswered lines are not asked any more.

    Parts are numbered from 0 to `parts - 1`. `fed` counts those that were handed to workers at least once; `running`
    are those that a worker has or will get; `returned` are those that a worker gave back unfinished, which come next.
    `usage` is that of done parts. `ending` is the status that a finalizing batch will get. While `pause` is set, no
    part is fed; a batch that waits for its budget has the amounts that were refused in `paused_needs`. `cursor` is the
    progress of validation or composition, and `step_lease_until` the end of the time for which one process has that
    step. `key_id` is None for a batch that came as an event: IAM has allowed it. `output_prefix` begins the names of
    the results of a dropped file. `announced_lines` are the answered lines in the last event of progress.
    `providers` are the names of the rates that its calls probably use: a provider, or with a key of the workspace's own
    `openai@ws_one`. `mode_reason` is why a batch that was to be a provider's is answered by calls. `jobs` are those at
    the provider, in the order of their parts, which count as fed.
    """

    id: str
    workspace_id: str
    key_id: str | None
    endpoint: str
    input_file_id: str
    input_key: str
    input_bytes: int
    completion_window: str
    created_at: float
    expires_at: float
    source: BatchSource = "api"
    mode: BatchMode = "calls"
    mode_reason: str | None = None
    metadata: dict[str, str] | None = None
    output_seconds: float | None = None
    output_prefix: str | None = None
    status: BatchStatus = "validating"
    errors: tuple[BatchFault, ...] = ()
    model: str | None = None
    providers: tuple[str, ...] = ()
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: float | None = None
    finalizing_at: float | None = None
    completed_at: float | None = None
    failed_at: float | None = None
    expired_at: float | None = None
    cancelling_at: float | None = None
    cancelled_at: float | None = None
    ending: BatchEnding = "completed"
    pause: PauseReason | None = None
    paused_at: float | None = None
    paused_needs: Amounts | None = None
    total: int = 0
    parts: int = 0
    fed: int = 0
    running: tuple[int, ...] = ()
    returned: tuple[int, ...] = ()
    usage: BatchUsage = BatchUsage()
    jobs: tuple[ProviderJob, ...] = ()
    cursor: dict[str, int | str] = field(default_factory=dict[str, int | str])
    step_lease_until: float = 0.0
    announced_lines: int = 0
    version: int = 0

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL_STATUSES

    @property
    def takes_parts(self) -> bool:
        """True if parts may be fed and their lines asked."""
        return self.status == "in_progress" and self.pause is None

    @property
    def has_open_jobs(self) -> bool:
        return any(job.is_open for job in self.jobs)


class Part(Struct, frozen=True, kw_only=True, array_like=True):
    """Some lines of a batch's input: `lines` of them from `first_line`, at `first_byte`, `length` bytes long.

    Lines are numbered from 0 in the whole batch. A worker has the part until `lease_until`, if `lease` is its token.
    `journal_objects` has a number for each attempt: so many of its journal objects are on record, and the answers in
    them are never asked again. `asked_to` is the line before which lines were perhaps asked. `usage` is that of all
    answers on record; `unsettled` is what of it is not settled yet, for the hold of the call id `slice_id`, which is
    booked on `slice_shard` of the workspace. `output_bytes` and `error_bytes` are the sizes of the objects of a done
    part.
    """

    batch_id: str
    workspace_id: str
    number: int
    first_line: int
    first_byte: int
    length: int
    lines: int
    status: PartStatus = "queued"
    queued_at: float = 0.0
    lease: str | None = None
    lease_until: float = 0.0
    journal_objects: tuple[int, ...] = ()
    asked_to: int = 0
    usage: BatchUsage = BatchUsage()
    slice_id: str | None = None
    slice_key_id: str | None = None
    unsettled: BatchUsage = BatchUsage()
    output_bytes: int = 0
    error_bytes: int = 0
    version: int = 0
    slice_shard: int = 0


class PartRange(Struct, frozen=True, array_like=True):
    """The place of a part in the input, as validation found it (`keys.ranges_key`)."""

    number: int
    first_line: int
    first_byte: int
    length: int
    lines: int

    def part_of(self, batch: Batch, queued_at: float) -> Part:
        """The part of the batch that has this place, before anybody has answered it."""
        return Part(
            batch_id=batch.id,
            workspace_id=batch.workspace_id,
            number=self.number,
            first_line=self.first_line,
            first_byte=self.first_byte,
            length=self.length,
            lines=self.lines,
            queued_at=queued_at,
        )
