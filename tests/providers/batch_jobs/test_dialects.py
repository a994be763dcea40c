"""Each provider's batch API: the requests that it gets, and what its replies say."""

from typing import Any

import msgspec
import pytest

from tidegate.domain.deployment import Deployment
from tidegate.json import Json, decode, encode
from tidegate.providers.base import KeyAuth, SigV4Auth, UpstreamRequest
from tidegate.providers.batch_jobs.protocol import (
    CANCELLED_RESULT,
    EXPIRED_RESULT,
    BatchJobs,
    JobPage,
    JobRequest,
    JobResult,
    JobSpec,
    JobState,
    JobStatus,
    UploadedFile,
)
from tidegate.providers.batch_jobs.registry import find_jobs

OPENAI = Deployment("openai", "gpt-5", "https://api.openai.com/v1", "OPENAI_API_KEY")
AZURE = Deployment("azure", "my-gpt", "https://mine.openai.azure.com", "AZURE_OPENAI_API_KEY", "2024-10-21")
ANTHROPIC = Deployment("anthropic", "claude-haiku-4-5", "https://api.anthropic.com", "ANTHROPIC_API_KEY")
GEMINI = Deployment("gemini", "gemini-2.5-flash", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY")
BEDROCK = Deployment(
    "bedrock", "amazon.nova-lite-v1:0", "https://bedrock-runtime.eu-west-1.amazonaws.com", None, None, "eu-west-1"
)
KEY = KeyAuth("x-api-key", "")


def jobs_of(deployment: Deployment) -> BatchJobs:
    jobs = find_jobs(deployment)
    assert jobs is not None
    return jobs


def job_spec(deployment: Deployment, endpoint: str, **fields: Any) -> JobSpec:
    return JobSpec(deployment, "tg1", endpoint, **fields)


def upstream(url: str, body: Json = None) -> UpstreamRequest:
    return UpstreamRequest(url, encode({"a": 1} if body is None else body))


def get(url: str, auth: Any = None, headers: dict[str, str] | None = None) -> JobRequest:
    return JobRequest("GET", UpstreamRequest(url, b"", headers or {}, auth or KeyAuth()))


def results(jobs: BatchJobs, entry: Json, lines: tuple[int, ...] = ()) -> list[JobResult]:
    return list(jobs.results("tg1", encode(entry), lines))


@pytest.mark.parametrize("provider", ["cohere", "vertex", "mistral", "together", "unheard-of"])
def test_providers_without_a_known_batch_api_have_none(provider: str) -> None:
    assert find_jobs(Deployment(provider, "m", "https://x.test/v1")) is None


def test_openai_gets_lines_with_our_keys_and_its_own_endpoint() -> None:
    jobs = jobs_of(OPENAI)
    chat = upstream("https://api.openai.com/v1/chat/completions", {"model": "gpt-5"})
    assert decode(jobs.line("tg1", 12, chat) or b"") == {
        "custom_id": "tg1-12",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-5"},
    }
    assert jobs.endpoint(upstream("https://api.openai.com/v1/responses")) == "/v1/responses"
    assert jobs.line("tg1", 1, upstream("https://api.openai.com/v1/images")) is None


def test_openai_gets_a_file_and_then_a_batch_with_our_reference() -> None:
    jobs, spec = jobs_of(OPENAI), job_spec(OPENAI, "/v1/chat/completions")
    upload = jobs.upload(spec, b'{"a":1}\n')
    assert upload is not None
    assert (upload.method, upload.request.url) == ("POST", "https://api.openai.com/v1/files")
    boundary = upload.request.headers["content-type"].partition("boundary=")[2]
    assert upload.request.body.decode().replace(boundary, "B").splitlines() == [
        "--B",
        'content-disposition: form-data; name="purpose"',
        "",
        "batch",
        "--B",
        'content-disposition: form-data; name="file"; filename="tg1.jsonl"',
        "content-type: application/jsonl",
        "",
        '{"a":1}',
        "",
        "--B--",
    ]
    assert jobs.parse_upload({"id": "file-9", "status": "processed"}) == UploadedFile("file-9", True)
    assert jobs.parse_upload({"id": "file-9", "status": "pending"}) == UploadedFile("file-9", False)
    assert jobs.upload_status(spec, "file-9") == get("https://api.openai.com/v1/files/file-9")
    create = jobs.create(spec, b"file-9")
    assert (create.method, create.request.url) == ("POST", "https://api.openai.com/v1/batches")
    assert decode(create.request.body) == {
        "input_file_id": "file-9",
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"tidegate_job": "tg1"},
    }
    assert jobs.status(spec, "batch_1") == get("https://api.openai.com/v1/batches/batch_1")
    assert jobs.cancel(spec, "batch_1").request.url == "https://api.openai.com/v1/batches/batch_1/cancel"
    ended = JobState("batch_1", "ended", ("file-out",))
    assert jobs.download(spec, ended, "file-out") == get("https://api.openai.com/v1/files/file-out/content")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("validating", "running"),
        ("in_progress", "running"),
        ("finalizing", "running"),
        ("cancelling", "running"),
        ("completed", "ended"),
        ("failed", "failed"),
        ("expired", "expired"),
        ("cancelled", "cancelled"),
        ("something new", "running"),
    ],
)
def test_openais_statuses_are_read(status: str, expected: JobStatus) -> None:
    body: Json = {
        "id": "batch_1",
        "status": status,
        "output_file_id": None,
        "error_file_id": "file-err",
        "request_counts": {"total": 3, "completed": 0, "failed": 3},
        "errors": {"object": "list", "data": [{"code": "token_limit_exceeded", "message": "…"}]},
    }
    assert jobs_of(OPENAI).parse_job(body) == JobState("batch_1", expected, ("file-err",), 3, "token_limit_exceeded")


def test_openais_batch_of_a_crashed_process_is_found_by_its_metadata() -> None:
    jobs, spec = jobs_of(OPENAI), job_spec(OPENAI, "/v1/chat/completions")
    assert jobs.look_up(spec, None) == get("https://api.openai.com/v1/batches?limit=100")
    assert jobs.look_up(spec, "b2") == get("https://api.openai.com/v1/batches?limit=100&after=b2")
    items: list[Json] = [
        {"id": "b1", "status": "in_progress", "metadata": None, "created_at": 2000},
        {"id": "b2", "status": "in_progress", "metadata": {"tidegate_job": "tg1"}, "created_at": 2000},
    ]
    assert jobs.parse_jobs(spec, {"data": items, "has_more": True}, 1900.0) == JobPage(
        (JobState("b2", "running"),), "b2"
    )
    assert jobs.parse_jobs(spec, {"data": items, "has_more": True}, 3000.0).next is None
    assert jobs.parse_jobs(spec, {"data": [], "has_more": False}, 0.0) == JobPage((), None)


def test_openais_results_are_read() -> None:
    jobs = jobs_of(OPENAI)
    answer: Json = {"status_code": 200, "request_id": "r", "body": {"choices": []}}
    fault: Json = {"status_code": 400, "request_id": "r", "body": {"error": {"message": "no"}}}
    assert results(jobs, {"custom_id": "tg1-7", "response": answer, "error": None}) == [
        JobResult(7, 200, {"choices": []})
    ]
    assert results(jobs, {"custom_id": "tg1-8", "response": fault, "error": None}) == [
        JobResult(8, 400, {"error": {"message": "no"}})
    ]
    for code, status in (("batch_expired", EXPIRED_RESULT), ("batch_cancelled", CANCELLED_RESULT)):
        entry: Json = {"custom_id": "tg1-9", "response": None, "error": {"code": code, "message": "…"}}
        assert results(jobs, entry) == [JobResult(9, status, None)]
    other: Json = {"custom_id": "tg1-9", "response": None, "error": {"code": "odd", "message": "m"}}
    assert results(jobs, other) == [JobResult(9, 500, {"error": {"code": "odd", "message": "m"}})]


@pytest.mark.parametrize("key", ["tg2-7", "7", "tg1-", "tg1-x", "tg1-²", 7, None])
def test_results_of_other_jobs_have_no_line(key: Json) -> None:
    entry: Json = {"custom_id": key, "response": {"status_code": 200, "body": {}}}
    assert results(jobs_of(OPENAI), entry) == [JobResult(None, 200, {})]


@pytest.mark.parametrize("data", [b"<html>Bad Gateway</html>", b"[]", b'{"custom_id": "tg1-1"}', b""])
@pytest.mark.parametrize("deployment", [OPENAI, ANTHROPIC], ids=lambda each: each.provider)
def test_what_is_not_a_result_is_refused(deployment: Deployment, data: bytes) -> None:
    with pytest.raises(ValueError):
        list(jobs_of(deployment).results("tg1", data, ()))


@pytest.mark.parametrize("body", [None, [], "<html>", {}, {"id": ""}, {"id": 1, "status": "completed"}])
@pytest.mark.parametrize("deployment", [OPENAI, ANTHROPIC, GEMINI, BEDROCK], ids=lambda each: each.provider)
def test_what_is_not_a_job_is_refused(deployment: Deployment, body: Json) -> None:
    with pytest.raises(ValueError):
        jobs_of(deployment).parse_job(body)


def test_azure_has_the_batch_api_of_its_resource() -> None:
    jobs, spec = jobs_of(AZURE), job_spec(AZURE, "/chat/completions")
    version, auth = "?api-version=2024-10-21", KeyAuth("api-key", "")
    root = "https://mine.openai.azure.com/openai"
    live = upstream(f"{root}/deployments/my-gpt/chat/completions{version}")
    assert jobs.endpoint(live) == "/chat/completions"
    assert jobs.status(spec, "b1") == get(f"{root}/batches/b1{version}", auth)
    assert jobs.look_up(spec, None) == get(f"{root}/batches?limit=100&api-version=2024-10-21", auth)
    newer = msgspec.structs.replace(AZURE, base_url=f"{root}/v1", api_version=None)
    assert jobs_of(newer).status(spec, "b1") == get(f"{root}/v1/batches/b1", auth)
    assert find_jobs(msgspec.structs.replace(AZURE, base_url="https://mine.services.ai.azure.com/models")) is None


def test_anthropic_gets_the_requests_in_the_body() -> None:
    jobs = jobs_of(ANTHROPIC)
    spec = job_spec(ANTHROPIC, "/v1/messages", headers={"anthropic-beta": "b1"})
    request = upstream("https://api.anthropic.com/v1/messages", {"model": "claude-haiku-4-5"})
    lines = [jobs.line("tg1", number, request) or b"" for number in (4, 5)]
    assert jobs.upload(spec, b"".join(lines)) is None
    create = jobs.create(spec, b"".join(lines))
    assert create.request.url == "https://api.anthropic.com/v1/messages/batches"
    assert create.request.headers == {
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "b1",
    }
    assert decode(create.request.body) == {
        "requests": [
            {"custom_id": "tg1-4", "params": {"model": "claude-haiku-4-5"}},
            {"custom_id": "tg1-5", "params": {"model": "claude-haiku-4-5"}},
        ]
    }
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "b1"}
    url = "https://api.anthropic.com/v1/messages/batches/msgbatch_1"
    assert jobs.status(spec, "msgbatch_1") == get(url, KEY, headers)
    assert jobs.download(spec, JobState("msgbatch_1", "ended"), "results") == get(f"{url}/results", KEY, headers)
    assert jobs.cancel(spec, "msgbatch_1").request.url == f"{url}/cancel"


def anthropic_batch(status: str, created_at: str = "2026-11-21T12:00:00Z", **counts: int) -> Json:
    return {"id": "msgbatch_1", "processing_status": status, "request_counts": {**counts}, "created_at": created_at}


def test_anthropics_statuses_are_read() -> None:
    jobs = jobs_of(ANTHROPIC)
    assert jobs.parse_job(anthropic_batch("in_progress", processing=5)) == JobState("msgbatch_1", "running", (), 5)
    assert jobs.parse_job(anthropic_batch("canceling", processing=5)) == JobState("msgbatch_1", "running", (), 5)
    ended = anthropic_batch("ended", succeeded=2, errored=1, canceled=1, expired=1)
    assert jobs.parse_job(ended) == JobState("msgbatch_1", "ended", ("results",), 5)


def test_anthropics_batches_since_the_order_may_be_ours() -> None:
    jobs, spec = jobs_of(ANTHROPIC), job_spec(ANTHROPIC, "/v1/messages")
    page: Json = {
        "data": [
            anthropic_batch("in_progress", "2026-11-21T12:00:00Z", processing=5),
            anthropic_batch("ended", "2026-11-21T11:00:00Z", succeeded=5),
        ],
        "has_more": True,
    }
    noon = 1_795_262_400.0
    assert jobs.parse_jobs(spec, page, noon + 30) == JobPage((JobState("msgbatch_1", "running", (), 5),), None)
    assert len(jobs.parse_jobs(spec, page, noon - 7200).jobs) == 2
    assert jobs.parse_jobs(spec, page, noon - 7200).next == "msgbatch_1"


def test_anthropics_results_are_read() -> None:
    jobs = jobs_of(ANTHROPIC)

    def read(**result: Json) -> list[JobResult]:
        return results(jobs, {"custom_id": "tg1-3", "result": {**result}})

    assert read(type="succeeded", message={"id": "msg"}) == [JobResult(3, 200, {"id": "msg"})]
    error: Json = {"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens"}}
    assert read(type="errored", error=error) == [JobResult(3, 400, error)]
    overloaded: Json = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    assert read(type="errored", error=overloaded) == [JobResult(3, 529, overloaded)]
    assert read(type="expired") == [JobResult(3, EXPIRED_RESULT, None)]
    assert read(type="canceled") == [JobResult(3, CANCELLED_RESULT, None)]


def test_gemini_gets_the_requests_in_the_body() -> None:
    jobs = jobs_of(GEMINI)
    root = "https://generativelanguage.googleapis.com/v1beta"
    request = upstream(f"{root}/models/gemini-2.5-flash:generateContent", {"contents": []})
    endpoint = jobs.endpoint(request)
    assert endpoint == "v1beta/models/gemini-2.5-flash"
    spec = job_spec(GEMINI, endpoint)
    lines = b"".join(jobs.line("tg1", number, request) or b"" for number in (4, 5))
    create = jobs.create(spec, lines)
    assert create.request.url == f"{root}/models/gemini-2.5-flash:batchGenerateContent"
    assert create.request.auth == KeyAuth("x-goog-api-key", "")
    assert decode(create.request.body) == {
        "batch": {
            "displayName": "tg1",
            "inputConfig": {
                "requests": {
                    "requests": [
                        {"request": {"contents": []}, "metadata": {"key": "tg1-4"}},
                        {"request": {"contents": []}, "metadata": {"key": "tg1-5"}},
                    ]
                }
            },
        }
    }
    assert jobs.status(spec, "batches/9").request.url == f"{root}/batches/9"
    assert jobs.cancel(spec, "batches/9").request.url == f"{root}/batches/9:cancel"
    assert jobs.look_up(spec, "p").request.url == f"{root}/batches?pageSize=100&pageToken=p"


def gemini_batch(state: str, *responses: Json, **fields: Json) -> dict[str, Json]:
    output: Json = {"inlinedResponses": {"inlinedResponses": list(responses)}} if responses else {}
    return {"name": "batches/9", "metadata": {"state": state, "displayName": "tg1", "output": output}, **fields}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("BATCH_STATE_PENDING", "running"),
        ("BATCH_STATE_RUNNING", "running"),
        ("BATCH_STATE_SUCCEEDED", "ended"),
        ("BATCH_STATE_FAILED", "failed"),
        ("BATCH_STATE_CANCELLED", "cancelled"),
        ("BATCH_STATE_EXPIRED", "expired"),
    ],
)
def test_geminis_states_are_read(state: str, expected: JobStatus) -> None:
    assert jobs_of(GEMINI).parse_job(gemini_batch(state)) == JobState("batches/9", expected)
    failed = gemini_batch("", done=True, error={"code": 8, "status": "RESOURCE_EXHAUSTED"})
    assert jobs_of(GEMINI).parse_job(failed) == JobState("batches/9", "failed", reason="RESOURCE_EXHAUSTED")


def test_geminis_batch_of_a_crashed_process_is_found_by_its_name() -> None:
    jobs, spec = jobs_of(GEMINI), job_spec(GEMINI, "v1beta/models/m")
    other: Json = {"name": "batches/8", "metadata": {"displayName": "tg2"}}
    listed: Json = {"operations": [other, gemini_batch("BATCH_STATE_RUNNING")], "nextPageToken": "p2"}
    assert jobs.parse_jobs(spec, listed, 0.0) == JobPage((JobState("batches/9", "running"),), "p2")
    assert jobs.parse_jobs(spec, {}, 0.0) == JobPage((), None)


def test_geminis_results_are_read_by_their_keys() -> None:
    document = gemini_batch(
        "BATCH_STATE_SUCCEEDED",
        {"metadata": {"key": "tg1-5"}, "response": {"candidates": []}},
        {"metadata": {"key": "tg1-4"}, "error": {"code": 3, "message": "bad"}},
    )
    assert results(jobs_of(GEMINI), document, (4, 5)) == [
        JobResult(5, 200, {"candidates": []}),
        JobResult(4, 400, {"error": {"code": 3, "message": "bad"}}),
    ]


def test_geminis_results_without_keys_are_in_the_documented_order_if_none_lacks() -> None:
    document = gemini_batch("BATCH_STATE_SUCCEEDED", {"response": {"a": 1}}, {"response": {"b": 2}})
    jobs = jobs_of(GEMINI)
    assert results(jobs, document, (4, 9)) == [JobResult(4, 200, {"a": 1}), JobResult(9, 200, {"b": 2})]
    assert results(jobs, document, (4, 5, 9)) == [JobResult(None, 200, {"a": 1}), JobResult(None, 200, {"b": 2})]


def test_bedrock_gets_records_in_a_bucket_and_our_token() -> None:
    jobs = jobs_of(BEDROCK)
    root, auth = "https://bedrock.eu-west-1.amazonaws.com", SigV4Auth("bedrock", "eu-west-1")
    live = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse"
    assert decode(jobs.line("tg1", 12, upstream(live, {"messages": []})) or b"") == {
        "recordId": "00000000012",
        "modelInput": {"messages": []},
    }
    for unsupported in ("toolConfig", "outputConfig"):
        assert jobs.line("tg1", 12, upstream(live, {unsupported: {}})) is None
    spec = job_spec(BEDROCK, "Converse", input_uri="s3://b/in.jsonl", output_uri="s3://b/out/", role="arn:role")
    create = jobs.create(spec, b"")
    assert (create.request.url, create.request.auth) == (f"{root}/model-invocation-job", auth)
    assert decode(create.request.body) == {
        "jobName": "tg1",
        "clientRequestToken": "tg1",
        "roleArn": "arn:role",
        "modelId": "amazon.nova-lite-v1:0",
        "modelInvocationType": "Converse",
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://b/in.jsonl", "s3InputFormat": "JSONL"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://b/out/"}},
        "timeoutDurationInHours": 24,
    }
    assert jobs.status(spec, "abc").request.url == f"{root}/model-invocation-job/abc"
    assert jobs.cancel(spec, "abc").request.url == f"{root}/model-invocation-job/abc/stop"
    assert jobs.look_up(spec, None).request.url == f"{root}/model-invocation-jobs?maxResults=100&nameContains=tg1"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("Submitted", "running"),
        ("Validating", "running"),
        ("Scheduled", "running"),
        ("InProgress", "running"),
        ("Stopping", "running"),
        ("Completed", "ended"),
        ("PartiallyCompleted", "ended"),
        ("Failed", "failed"),
        ("Stopped", "cancelled"),
        ("Expired", "expired"),
    ],
)
def test_bedrocks_statuses_are_read(status: str, expected: JobStatus) -> None:
    arn = "arn:aws:bedrock:eu-west-1:111122223333:model-invocation-job/abc"
    files = () if expected == "running" else (".jsonl.out",)
    state = jobs_of(BEDROCK).parse_job({"jobArn": arn, "status": status, "totalRecordCount": 200})
    assert state == JobState("abc", expected, files, 200)
    assert jobs_of(BEDROCK).parse_job({"jobArn": arn}) == JobState("abc", "running")


def test_bedrocks_results_are_read() -> None:
    jobs = jobs_of(BEDROCK)
    answer: Json = {"recordId": "00000000012", "modelInput": {}, "modelOutput": {"output": {}}}
    fault: Json = {"recordId": "00000000013", "modelInput": {}, "error": {"errorCode": 400, "errorMessage": "no"}}
    assert results(jobs, answer) == [JobResult(12, 200, {"output": {}})]
    assert results(jobs, fault) == [JobResult(13, 400, {"message": "no"})]
    assert results(jobs, {"recordId": "CALL0000001", "modelOutput": {}}) == [JobResult(None, 200, {})]
