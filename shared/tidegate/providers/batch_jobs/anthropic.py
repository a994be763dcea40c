"""Anthropic's message batches: the requests are in the body that creates the batch.

The API has no place for a reference of ours: a batch whose creation was not answered is found by its time and its
number of requests, and known to be ours by the keys of its results.

Source: https://platform.claude.com/docs/en/api/creating-message-batches and the types of anthropic-sdk-python (2026-11)
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from tidegate.domain.deployment import Deployment
from tidegate.json import Json, JsonObject
from tidegate.providers.anthropic.provider import VERSION
from tidegate.providers.base import KeyAuth, UpstreamRequest
from tidegate.providers.batch_jobs.protocol import (
    CANCELLED_RESULT,
    EXPIRED_RESULT,
    JobLimits,
    JobPage,
    JobRequest,
    JobResult,
    JobSpec,
    JobState,
    NoUpload,
    json_object,
    line_key,
    line_of,
    list_of,
    result_object,
    text_of,
)

_ENDPOINT = "/v1/messages"
_AUTH = KeyAuth("x-api-key", "")
_CLOCK_SKEW_SECONDS = 60.0
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""HTTP statuses by the type of an error; that of all others is 500."""


class AnthropicJobs(NoUpload, Struct, frozen=True):
    base_url: str
    limits: JobLimits = JobLimits("body", max_lines=100_000, max_bytes=32 * 1024 * 1024)
    is_document: bool = False

    def endpoint(self, request: UpstreamRequest) -> str | None:
        return _ENDPOINT if request.url.endswith(_ENDPOINT) else None

    def line(self, reference: str, line: int, request: UpstreamRequest) -> bytes | None:
        if self.endpoint(request) is None:
            return None
        return b'{"custom_id":"%s","params":%s}\n' % (line_key(reference, line).encode(), request.body)

    def create(self, spec: JobSpec, content: bytes) -> JobRequest:
        body = b'{"requests":[%s]}' % content.rstrip(b"\n").replace(b"\n", b",")
        headers = {"content-type": "application/json", **self._headers(spec)}
        return JobRequest("POST", UpstreamRequest(self._url(), body, headers, _AUTH))

    def look_up(self, spec: JobSpec, page: str | None) -> JobRequest:
        return self._get(spec, f"?limit=100&after_id={page}" if page else "?limit=100")

    def parse_jobs(self, spec: JobSpec, body: Json, created_after: float) -> JobPage:
        found, has_more = list_of(body)
        recent = [item for item in found if _seconds(item.get("created_at")) >= created_after - _CLOCK_SKEW_SECONDS]
        is_last = not has_more or len(recent) < len(found)
        return JobPage(tuple(map(self.parse_job, recent)), None if is_last else text_of(found[-1], "id"))

    def status(self, spec: JobSpec, job_id: str) -> JobRequest:
        return self._get(spec, f"/{job_id}")

    def parse_job(self, body: Json) -> JobState:
        job = json_object(body)
        counts = job.get("request_counts")
        numbers = [count for count in counts.values() if isinstance(count, int)] if isinstance(counts, dict) else []
        has_ended = text_of(job, "processing_status") == "ended"
        return JobState(
            id=text_of(job, "id"),
            status="ended" if has_ended else "running",
            files=("results",) if has_ended else (),
            lines=sum(numbers) if numbers else None,
        )

    def cancel(self, spec: JobSpec, job_id: str) -> JobRequest:
        return JobRequest("POST", UpstreamRequest(self._url(f"/{job_id}/cancel"), b"", self._headers(spec), _AUTH))

    def download(self, spec: JobSpec, job: JobState, file: str) -> JobRequest:
        return self._get(spec, f"/{job.id}/results")

    def results(self, reference: str, data: bytes, lines: Sequence[int]) -> Iterator[JobResult]:
        entry = result_object(data)
        line = line_of(reference, entry.get("custom_id"))
        match entry.get("result"):
            case {"type": "succeeded", "message": message}:
                yield JobResult(line, 200, message)
            case {"type": "errored", "error": dict(error)}:
                yield JobResult(line, _status_of(error), error)
            case {"type": "expired"}:
                yield JobResult(line, EXPIRED_RESULT, None)
            case {"type": "canceled"}:
                yield JobResult(line, CANCELLED_RESULT, None)
            case _:
                raise ValueError("The result is of an unknown type.")

    def _url(self, path: str = "") -> str:
        return f"{self.base_url}{_ENDPOINT}/batches{path}"

    def _get(self, spec: JobSpec, path: str) -> JobRequest:
        return JobRequest("GET", UpstreamRequest(self._url(path), b"", self._headers(spec), _AUTH))

    def _headers(self, spec: JobSpec) -> dict[str, str]:
        return {"anthropic-version": VERSION, **spec.headers}


def _status_of(error: JsonObject) -> int:
    match error:
        case {"error": {"type": str(kind)}} | {"type": str(kind)}:
            return _STATUSES.get(kind, 500)
        case _:
            return 500


def _seconds(time: Json) -> float:
    """Return a time of RFC 3339 in UTC seconds; infinity if it is not one."""
    try:
        return datetime.fromisoformat(time).timestamp() if isinstance(time, str) else float("inf")
    except ValueError:
        return float("inf")


def find_jobs(deployment: Deployment) -> AnthropicJobs:
    """Return the batch API of a deployment at Anthropic."""
    return AnthropicJobs(deployment.base_url.rstrip("/"))
