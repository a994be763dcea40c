"""Batches of Gemini's generateContent on AI Studio. Requests and responses are in the bodies ("inlined").

Source: https://ai.google.dev/api/batch-api, and google-genai's `batches.py` (2026-11)
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from tidegate.domain.deployment import Deployment
from tidegate.json import Json, JsonObject, decode_reply_or_none, encode
from tidegate.providers.base import KeyAuth, UpstreamRequest
from tidegate.providers.batch_jobs.protocol import (
    JobLimits,
    JobPage,
    JobRequest,
    JobResult,
    JobSpec,
    JobState,
    JobStatus,
    NoUpload,
    json_object,
    line_key,
    line_of,
    text_of,
)

_METHOD = ":generateContent"
_AUTH = KeyAuth("x-goog-api-key", "")
_STATUSES: dict[Json, JobStatus] = {
    "BATCH_STATE_SUCCEEDED": "ended",
    "BATCH_STATE_FAILED": "failed",
    "BATCH_STATE_CANCELLED": "cancelled",
    "BATCH_STATE_EXPIRED": "expired",
}
_HTTP_STATUSES = {1: 499, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 14: 503}
"""HTTP statuses by the codes of google.rpc.Code (https://github.com/googleapis/googleapis); the others are 500."""


class GeminiJobs(NoUpload, Struct, frozen=True):
    """The API takes 20 MB of requests in a body. A job has few lines, because all of its answers are one document."""

    base_url: str
    limits: JobLimits = JobLimits("body", max_lines=500, max_bytes=16 * 1024 * 1024)
    is_document: bool = True

    def endpoint(self, request: UpstreamRequest) -> str | None:
        prefix = f"{self.base_url}/"
        is_supported = request.url.startswith(prefix) and request.url.endswith(_METHOD)
        return request.url.removeprefix(prefix).removesuffix(_METHOD) if is_supported else None

    def line(self, reference: str, line: int, request: UpstreamRequest) -> bytes | None:
        if self.endpoint(request) is None:
            return None
        return b'{"request":%s,"metadata":{"key":"%s"}}\n' % (request.body, line_key(reference, line).encode())

    def create(self, spec: JobSpec, content: bytes) -> JobRequest:
        requests = content.rstrip(b"\n").replace(b"\n", b",")
        body = b'{"batch":{"displayName":"%s","inputConfig":{"requests":{"requests":[%s]}}}}' % (
            spec.reference.encode(),
            requests,
        )
        url = f"{self.base_url}/{spec.endpoint}:batchGenerateContent"
        return JobRequest("POST", UpstreamRequest(url, body, auth=_AUTH))

    def look_up(self, spec: JobSpec, page: str | None) -> JobRequest:
        return self._get(f"batches?pageSize=100&pageToken={page}" if page else "batches?pageSize=100")

    def parse_jobs(self, spec: JobSpec, body: Json, created_after: float) -> JobPage:
        listed = json_object(body)
        operations = listed.get("operations")
        found = [each for each in operations if isinstance(each, dict)] if isinstance(operations, list) else []
        ours = tuple(self.parse_job(each) for each in found if _metadata(each).get("displayName") == spec.reference)
        page = listed.get("nextPageToken")
        return JobPage(ours, page if isinstance(page, str) and page else None)

    def status(self, spec: JobSpec, job_id: str) -> JobRequest:
        return self._get(job_id)

    def parse_job(self, body: Json) -> JobState:
        job = json_object(body)
        status = _STATUSES.get(_metadata(job).get("state"), "running")
        if status == "running" and job.get("done") is True:
            status = "failed" if "error" in job else "ended"
        match job.get("error"):
            case {"status": str(reason)}:
                pass
            case _:
                reason = None
        has_results = status != "running" and bool(_responses(job))
        return JobState(text_of(job, "name"), status, ("responses",) if has_results else (), reason=reason)

    def cancel(self, spec: JobSpec, job_id: str) -> JobRequest:
        headers = {"content-type": "application/json"}
        return JobRequest("POST", UpstreamRequest(f"{self.base_url}/v1beta/{job_id}:cancel", b"{}", headers, _AUTH))

    def download(self, spec: JobSpec, job: JobState, file: str) -> JobRequest:
        return self._get(job.id)

    def results(self, reference: str, data: bytes, lines: Sequence[int]) -> Iterator[JobResult]:
        """Read the document. Some have no metadata: then, and if no response lacks, the documented order holds."""
        responses = _responses(json_object(decode_reply_or_none(data)))
        found = [line_of(reference, _key(each)) for each in responses]
        if len(found) == len(lines) and all(_key(each) is None for each in responses):
            found = list(lines)
        for line, each in zip(found, responses, strict=True):
            match each:
                case {"error": dict(error)}:
                    yield JobResult(line, _status_of(error), {"error": error})
                case {"response": response}:
                    yield JobResult(line, 200, response)
                case _:
                    yield JobResult(line, 500, encode(each).decode())

    def _get(self, path: str) -> JobRequest:
        return JobRequest("GET", UpstreamRequest(f"{self.base_url}/v1beta/{path}", b"", {}, _AUTH))


def _metadata(job: JsonObject) -> JsonObject:
    metadata = job.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _responses(job: JsonObject) -> list[JsonObject]:
    """Return the responses of a finished operation, which are in its response, and in its metadata."""
    for place in (job.get("response"), _metadata(job).get("output")):
        match place:
            case {"inlinedResponses": {"inlinedResponses": list(items)}}:
                return [item for item in items if isinstance(item, dict)]
            case _:
                continue
    return []


def _key(response: JsonObject) -> Json:
    return _metadata(response).get("key")


def _status_of(error: JsonObject) -> int:
    code = error.get("code")
    if not isinstance(code, int):
        return 500
    return code if code >= 400 else _HTTP_STATUSES.get(code, 500)


def find_jobs(deployment: Deployment) -> GeminiJobs:
    """Return the batch API of a deployment on AI Studio."""
    return GeminiJobs(deployment.base_url.rstrip("/"))
