"""Bedrock's model invocation jobs: records of Converse in an object in S3, results in another one.

Records with tools or an answer schema are not supported: Bedrock refuses each of them
(https://github.com/crmne/ruby_llm, `protocols/converse/batches.rb`, read 2026-11).

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-data.html and
…/batch-inference-results.html, and botocore's model of the service "bedrock" (2026-11)
"""

from collections.abc import Iterator, Sequence
from urllib.parse import quote, urlsplit, urlunsplit

from msgspec import Struct

from tidegate.domain.deployment import Deployment
from tidegate.json import Json, JsonObject, decode, encode
from tidegate.providers.base import Auth, KeyAuth, SigV4Auth, UpstreamRequest
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
    result_object,
    text_of,
)

_UNSUPPORTED = frozenset({"toolConfig", "outputConfig"})
_STATUSES: dict[str, JobStatus] = {
    "Completed": "ended",
    "PartiallyCompleted": "ended",
    "Failed": "failed",
    "Stopped": "cancelled",
    "Expired": "expired",
}
_RECORD_DIGITS = 11
"""The length of the record ids in the documents."""


class BedrockJobs(NoUpload, Struct, frozen=True):
    """The control plane of Bedrock in one region.

    The least number of records is a quota of most models. Source: Bedrock's quotas ("Minimum number of records per
    batch inference job", 100 for most models, read 2026-11).
    """

    base_url: str
    auth: Auth
    limits: JobLimits = JobLimits("bucket", max_lines=50_000, max_bytes=1024 * 1024 * 1024, min_lines=100)
    is_document: bool = False

    def endpoint(self, request: UpstreamRequest) -> str | None:
        return "Converse" if request.url.endswith("/converse") else None

    def line(self, reference: str, line: int, request: UpstreamRequest) -> bytes | None:
        body = decode(request.body)
        if self.endpoint(request) is None or not isinstance(body, dict) or not _UNSUPPORTED.isdisjoint(body):
            return None
        return b'{"recordId":"%s","modelInput":%s}\n' % (f"{line:0{_RECORD_DIGITS}}".encode(), request.body)

    def create(self, spec: JobSpec, content: bytes) -> JobRequest:
        body: JsonObject = {
            "jobName": spec.reference,
            "clientRequestToken": spec.reference,
            "roleArn": spec.role,
            "modelId": spec.deployment.model,
            "modelInvocationType": spec.endpoint,
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": spec.input_uri, "s3InputFormat": "JSONL"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": spec.output_uri}},
            "timeoutDurationInHours": 24,
        }
        return JobRequest(
            "POST", UpstreamRequest(f"{self.base_url}/model-invocation-job", encode(body), auth=self.auth)
        )

    def look_up(self, spec: JobSpec, page: str | None) -> JobRequest:
        query = f"maxResults=100&nameContains={spec.reference}"
        return self._get(f"/model-invocation-jobs?{query}" + (f"&nextToken={quote(page, safe='')}" if page else ""))

    def parse_jobs(self, spec: JobSpec, body: Json, created_after: float) -> JobPage:
        listed = json_object(body)
        summaries = listed.get("invocationJobSummaries")
        found = [each for each in summaries if isinstance(each, dict)] if isinstance(summaries, list) else []
        page = listed.get("nextToken")
        ours = tuple(self.parse_job(each) for each in found if each.get("jobName") == spec.reference)
        return JobPage(ours, page if isinstance(page, str) and page else None)

    def status(self, spec: JobSpec, job_id: str) -> JobRequest:
        return self._get(f"/model-invocation-job/{job_id}")

    def parse_job(self, body: Json) -> JobState:
        """Return the state; the reply that creates a job has only its ARN."""
        job = json_object(body)
        status = job.get("status")
        state = _STATUSES.get(status, "running") if isinstance(status, str) else "running"
        total = job.get("totalRecordCount")
        return JobState(
            id=text_of(job, "jobArn").rpartition("/")[2],
            status=state,
            files=() if state == "running" else (".jsonl.out",),
            lines=total if isinstance(total, int) else None,
        )

    def cancel(self, spec: JobSpec, job_id: str) -> JobRequest:
        url = f"{self.base_url}/model-invocation-job/{job_id}/stop"
        return JobRequest("POST", UpstreamRequest(url, b"", {}, self.auth))

    def download(self, spec: JobSpec, job: JobState, file: str) -> None:
        return None

    def results(self, reference: str, data: bytes, lines: Sequence[int]) -> Iterator[JobResult]:
        record = result_object(data)
        record_id = record.get("recordId")
        is_ours = isinstance(record_id, str) and len(record_id) == _RECORD_DIGITS and record_id.isdecimal()
        line = int(record_id) if is_ours and isinstance(record_id, str) else None
        match record:
            case {"error": {"errorCode": int(status), "errorMessage": message}}:
                yield JobResult(line, status if status >= 400 else 500, {"message": message})
            case {"modelOutput": output}:
                yield JobResult(line, 200, output)
            case _:
                yield JobResult(line, 500, {"message": "The record has neither an output nor an error."})

    def _get(self, path: str) -> JobRequest:
        return JobRequest("GET", UpstreamRequest(f"{self.base_url}{path}", b"", {}, self.auth))


def find_jobs(deployment: Deployment) -> BedrockJobs:
    """Return the batch API in the deployment's region; another base URL than AWS's has both APIs."""
    parts = urlsplit(deployment.base_url.rstrip("/"))
    host = parts.netloc.replace("bedrock-runtime", "bedrock", 1)
    auth = KeyAuth() if deployment.secret else SigV4Auth("bedrock", deployment.region or "")
    return BedrockJobs(urlunsplit((parts.scheme, host, parts.path, "", "")), auth)
