"""OpenAI's batch API: a file of lines is uploaded, and a batch of it created. Azure and Groq have the same one.

Sources, read in 2026-11: https://platform.openai.com/docs/api-reference/batch and the types of openai-python;
https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/batch; https://console.groq.com/docs/batch.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

from msgspec import Struct
from msgspec.structs import replace

from tidegate.domain.deployment import Deployment
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.azure import api_url
from tidegate.providers.base import Auth, KeyAuth, UpstreamRequest
from tidegate.providers.batch_jobs.protocol import (
    CANCELLED_RESULT,
    EXPIRED_RESULT,
    JobLimits,
    JobPage,
    JobRequest,
    JobResult,
    JobSpec,
    JobState,
    JobStatus,
    UploadedFile,
    json_object,
    line_key,
    line_of,
    list_of,
    result_object,
    text_of,
)

METADATA_KEY = "tidegate_job"
_CLOCK_SKEW_SECONDS = 60.0
_BOUNDARY = "tidegate-5f3c1e0b9a7d4c62"

_STATUSES: dict[str, JobStatus] = {
    "completed": "ended",
    "failed": "failed",
    "expired": "expired",
    "cancelled": "cancelled",
}
_UNREADY = ("pending", "running", "notRunning")
_UNANSWERED = {"batch_expired": EXPIRED_RESULT, "batch_cancelled": CANCELLED_RESULT}


class OpenAIJobs(Struct, frozen=True):
    """The batch API at one base URL. `endpoints` are those of lines, by the ends of the URLs of live calls.

    `version` is the query of every URL: Azure's version of its API.
    """

    base_url: str
    endpoints: dict[str, str]
    auth: Auth = KeyAuth()
    version: str = ""
    limits: JobLimits = JobLimits("upload", max_lines=50_000, max_bytes=32 * 1024 * 1024)
    is_document: bool = False

    def endpoint(self, request: UpstreamRequest) -> str | None:
        path = urlsplit(request.url).path
        return next((endpoint for end, endpoint in self.endpoints.items() if path.endswith(end)), None)

    def line(self, reference: str, line: int, request: UpstreamRequest) -> bytes | None:
        endpoint = self.endpoint(request)
        if endpoint is None:
            return None
        head = encode({"custom_id": line_key(reference, line), "method": "POST", "url": endpoint})
        return head[:-1] + b',"body":' + request.body + b"}\n"

    def upload(self, spec: JobSpec, content: bytes) -> JobRequest:
        parts = (
            f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="{spec.reference}.jsonl"\r\n'
            "content-type: application/jsonl\r\n\r\n"
        )
        body = b"".join((parts.encode(), content, f"\r\n--{_BOUNDARY}--\r\n".encode()))
        headers = {"content-type": f"multipart/form-data; boundary={_BOUNDARY}"}
        return JobRequest("POST", UpstreamRequest(self._url("/files"), body, headers, self.auth))

    def parse_upload(self, body: Json) -> UploadedFile:
        """Azure checks a file before a batch of it can be created."""
        file = json_object(body)
        return UploadedFile(text_of(file, "id"), file.get("status") not in _UNREADY)

    def upload_status(self, spec: JobSpec, file_id: str) -> JobRequest:
        return self._get(f"/files/{file_id}")

    def create(self, spec: JobSpec, content: bytes) -> JobRequest:
        body: JsonObject = {
            "input_file_id": content.decode(),
            "endpoint": spec.endpoint,
            "completion_window": "24h",
            "metadata": {METADATA_KEY: spec.reference},
        }
        return JobRequest("POST", UpstreamRequest(self._url("/batches"), encode(body), auth=self.auth))

    def look_up(self, spec: JobSpec, page: str | None) -> JobRequest:
        return self._get("/batches", {"limit": "100"} | ({"after": page} if page else {}))

    def parse_jobs(self, spec: JobSpec, body: Json, created_after: float) -> JobPage:
        found, has_more = list_of(body)
        ours = tuple(self.parse_job(item) for item in found if _reference(item) == spec.reference)
        is_last = not has_more or _is_before(found[-1], created_after - _CLOCK_SKEW_SECONDS)
        return JobPage(ours, None if is_last else text_of(found[-1], "id"))

    def status(self, spec: JobSpec, job_id: str) -> JobRequest:
        return self._get(f"/batches/{job_id}")

    def parse_job(self, body: Json) -> JobState:
        job = json_object(body)
        named = (job.get("output_file_id"), job.get("error_file_id"))
        counts = job.get("request_counts")
        total = counts.get("total") if isinstance(counts, dict) else None
        return JobState(
            id=text_of(job, "id"),
            status=_STATUSES.get(text_of(job, "status"), "running"),
            files=tuple(file for file in named if isinstance(file, str) and file),
            lines=total if isinstance(total, int) else None,
            reason=_reason(job),
        )

    def cancel(self, spec: JobSpec, job_id: str) -> JobRequest:
        return JobRequest("POST", UpstreamRequest(self._url(f"/batches/{job_id}/cancel"), b"", {}, self.auth))

    def download(self, spec: JobSpec, job: JobState, file: str) -> JobRequest:
        return self._get(f"/files/{file}/content")

    def results(self, reference: str, data: bytes, lines: Sequence[int]) -> Iterator[JobResult]:
        entry = result_object(data)
        line = line_of(reference, entry.get("custom_id"))
        match entry:
            case {"response": {"status_code": int(status), "body": body}}:
                yield JobResult(line, status, body)
            case {"error": {"code": str(code)}} if code in _UNANSWERED:
                yield JobResult(line, _UNANSWERED[code], None)
            case {"error": dict(error)}:
                yield JobResult(line, 500, {"error": error})
            case _:
                raise ValueError("The result has neither a response nor an error.")

    def _get(self, path: str, query: dict[str, str] | None = None) -> JobRequest:
        return JobRequest("GET", UpstreamRequest(self._url(path, query), b"", {}, self.auth))

    def _url(self, path: str, query: dict[str, str] | None = None) -> str:
        together = "&".join(each for each in (urlencode(query or {}), self.version) if each)
        return f"{self.base_url}{path}{'?' if together else ''}{together}"


def _is_before(job: JsonObject, time: float) -> bool:
    created = job.get("created_at")
    return isinstance(created, int | float) and created < time


def _reference(job: JsonObject) -> Json:
    metadata = job.get("metadata")
    return metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None


def _reason(job: JsonObject) -> str | None:
    """Return the code of the first error of a failed batch, such as "token_limit_exceeded"."""
    match job.get("errors"):
        case {"data": [{"code": str(code)}, *_]}:
            return code
        case _:
            return None


_OPENAI_ENDPOINTS = {"/chat/completions": "/v1/chat/completions", "/responses": "/v1/responses"}


def find_jobs(deployment: Deployment) -> OpenAIJobs | None:
    """Return the batch API of a deployment at OpenAI, Azure or Groq."""
    if deployment.provider == "azure":
        return _azure_jobs(deployment)
    endpoints = _OPENAI_ENDPOINTS if deployment.provider == "openai" else {"/chat/completions": "/v1/chat/completions"}
    return OpenAIJobs(deployment.base_url.rstrip("/"), endpoints)


def _azure_jobs(deployment: Deployment) -> OpenAIJobs | None:
    """Return the batch API of the deployment's resource. The `/models` API has none, and lines name the deployment."""
    chat = urlsplit(api_url(deployment, "/chat/completions"))
    path = chat.path.removesuffix("/chat/completions").partition("/deployments/")[0]
    if path.endswith("/models"):
        return None
    base_url = urlunsplit((chat.scheme, chat.netloc, path, "", ""))
    jobs = OpenAIJobs(base_url, {"/chat/completions": "/chat/completions"}, KeyAuth("api-key", ""), chat.query)
    return replace(jobs, limits=replace(jobs.limits, max_lines=100_000))
