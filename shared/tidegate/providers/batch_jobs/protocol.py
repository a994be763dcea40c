"""The protocol of providers' batch APIs: lines in, one job, and a result for each line, in any order.

jobs = registry.find_jobs(deployment)
jobs.line(reference, 12, request)                     # one line of the job's input, or None
jobs.create(spec, content)                       # the request that creates the job
jobs.parse_job(body).status                       # "running", "ended", …
jobs.parse_result(spec.reference, data).line      # 12
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct, field

from tidegate.domain.deployment import Deployment
from tidegate.json import Json, JsonObject, decode_reply_or_none
from tidegate.providers.base import UpstreamRequest

JobStatus = Literal["running", "ended", "failed", "expired", "cancelled"]
"""The status of a job. All but "running" are final, and each may have results."""

Transfer = Literal["upload", "body", "bucket"]
"""How lines reach the provider: as a file that is uploaded, in the body that creates the job, or as an object."""

EXPIRED_RESULT, CANCELLED_RESULT = 0, -1
"""Statuses of results in place of an HTTP status: the provider did not answer the line before the job ended."""


class JobLimits(Struct, frozen=True):
    """The limits of a job. The provider promises to end it within `window_hours`.

    `max_bytes` is less than some providers allow, because the lines are in memory when they are sent.
    """

    transfer: Transfer
    max_lines: int
    max_bytes: int
    min_lines: int = 1
    window_hours: int = 24


class JobSpec(Struct, frozen=True):
    """The facts with which a job is created, and found. `reference` is ours and unique; it has letters and digits only.

    `endpoint` is that of its lines (`BatchJobs.endpoint`), `headers` are sent with them. A job over a bucket reads the
    object `input_uri`, writes below `output_uri`, and has the permissions of `role`.
    """

    deployment: Deployment
    reference: str
    endpoint: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    input_uri: str | None = None
    output_uri: str | None = None
    role: str | None = None


class JobRequest(NamedTuple):
    """A request of a batch API, with its HTTP method."""

    method: str
    request: UpstreamRequest


class JobState(Struct, frozen=True):
    """A job as the provider tells it. `files` are those with its results; `lines` is their number, if it is told."""

    id: str
    status: JobStatus
    files: tuple[str, ...] = ()
    lines: int | None = None
    reason: str | None = None


class UploadedFile(NamedTuple):
    """A file of lines at the provider; until it `is_ready`, no job of it can be created."""

    id: str
    is_ready: bool


class JobPage(NamedTuple):
    """One page of a list of jobs: those that may have the searched reference, and where the next page begins."""

    jobs: tuple[JobState, ...]
    next: str | None


class JobResult(NamedTuple):
    """The answer to a line: its HTTP status, or `EXPIRED_RESULT` or `CANCELLED_RESULT`, and its body.

    `line` is None if the result does not belong to the job.
    """

    line: int | None
    status: int
    body: Json


class BatchJobs(Protocol):
    """The batch API of one provider. Pure; for failures, `Translator.parse_error` reads the replies.

    Methods raise `ValueError` for a reply that is not of the documented form.
    """

    @property
    def limits(self) -> JobLimits: ...

    def endpoint(self, request: UpstreamRequest) -> str | None:
        """Return the endpoint of a translated line, None if the batch API does not support it."""
        ...

    def line(self, reference: str, line: int, request: UpstreamRequest) -> bytes | None:
        """Return the line with its end, as the job reads it; None if the batch API does not support the request."""
        ...

    def upload(self, spec: JobSpec, content: bytes) -> JobRequest | None:
        """Return the request that uploads the lines, None where none is needed."""
        ...

    def parse_upload(self, body: Json) -> UploadedFile:
        """Return the file that was uploaded or looked up."""
        ...

    def upload_status(self, spec: JobSpec, file_id: str) -> JobRequest:
        """Return the request that looks up an uploaded file."""
        ...

    def create(self, spec: JobSpec, content: bytes) -> JobRequest:
        """Return the request that creates the job. `content` has the lines, or the id of the uploaded file."""
        ...

    def look_up(self, spec: JobSpec, page: str | None) -> JobRequest:
        """Return the request that lists jobs among which that of the spec would be, on its first or another page."""
        ...

    def parse_jobs(self, spec: JobSpec, body: Json, created_after: float) -> JobPage:
        """Return the jobs that are, or may be, that of the spec; it was not created before the given time."""
        ...

    def status(self, spec: JobSpec, job_id: str) -> JobRequest: ...

    def parse_job(self, body: Json) -> JobState:
        """Return the state of a job that was created or looked up."""
        ...

    def cancel(self, spec: JobSpec, job_id: str) -> JobRequest: ...

    def download(self, spec: JobSpec, job: JobState, file: str) -> JobRequest | None:
        """Return the request for one of the job's files; None if it is an object in the bucket."""
        ...

    def results(self, reference: str, data: bytes, lines: Sequence[int]) -> Iterator[JobResult]:
        """Read the results in `data`: one line of a file, or the whole document if `is_document`.

        `lines` are the numbers of the job's lines in the order in which they were sent.
        """
        ...

    @property
    def is_document(self) -> bool:
        """True if results are one JSON document, and not a file with a line for each."""
        ...


class NoUpload:
    """Base of the batch APIs that need no upload."""

    def upload(self, spec: JobSpec, content: bytes) -> JobRequest | None:
        return None

    def parse_upload(self, body: Json) -> UploadedFile:
        raise ValueError("Nothing is uploaded.")

    def upload_status(self, spec: JobSpec, file_id: str) -> JobRequest:
        raise ValueError("Nothing is uploaded.")


def line_key(reference: str, line: int) -> str:
    """Return the key that a line carries. It has the job's reference: another job's results are not taken for ours."""
    return f"{reference}-{line}"


def line_of(reference: str, key: Json) -> int | None:
    """Return the line that a key names, None if it is not a key of the job."""
    prefix, _, number = key.rpartition("-") if isinstance(key, str) else ("", "", "")
    return int(number) if prefix == reference and number.isascii() and number.isdigit() else None


def json_object(body: Json) -> JsonObject:
    """Return the object that a reply is. Raises `ValueError` if it is something else."""
    if not isinstance(body, dict):
        raise ValueError("The reply is not a JSON object.")
    return body


def list_of(body: Json) -> tuple[list[JsonObject], bool]:
    """Return the objects in a list of OpenAI's or Anthropic's form, and whether another page follows.

    Raises `ValueError` if it is something else.
    """
    match body:
        case {"data": list(items)}:
            found = [item for item in items if isinstance(item, dict)]
            return found, body.get("has_more") is True and bool(found)
        case _:
            raise ValueError("The reply is not a list.")


def text_of(body: JsonObject, name: str) -> str:
    """Return a text of the object. Raises `ValueError` if it is missing or empty."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"The reply has no text {name!r}.")
    return value


def result_object(data: bytes) -> JsonObject:
    """Return the object in a line of results. Raises `ValueError` if it is something else."""
    return json_object(decode_reply_or_none(data))
