"""The requests to batch APIs, validated by the types of the providers' own SDKs."""

from typing import Any

import botocore.session
from anthropic.types.messages.batch_create_params import BatchCreateParams as AnthropicParams
from anthropic.types.messages.message_batch import MessageBatch
from botocore.validate import ParamValidator
from openai.types.batch import Batch
from openai.types.batch_create_params import BatchCreateParams
from pydantic import TypeAdapter

from tidegate.domain.deployment import Deployment
from tidegate.json import decode, encode
from tidegate.providers.base import UpstreamRequest
from tidegate.providers.batch_jobs.protocol import BatchJobs, JobSpec
from tidegate.providers.batch_jobs.registry import find_jobs


def jobs_of(deployment: Deployment) -> BatchJobs:
    jobs = find_jobs(deployment)
    assert jobs is not None
    return jobs


def test_openais_client_would_send_this_batch_and_read_this_status() -> None:
    deployment = Deployment("openai", "gpt-5", "https://api.openai.com/v1", "OPENAI_API_KEY")
    jobs = jobs_of(deployment)
    create = jobs.create(JobSpec(deployment, "tg1", "/v1/chat/completions"), b"file-1")
    TypeAdapter(BatchCreateParams).validate_python(decode(create.request.body), strict=True)
    known = Batch(
        id="batch_1",
        object="batch",
        endpoint="/v1/chat/completions",
        input_file_id="file-1",
        completion_window="24h",
        created_at=1,
        status="completed",
        output_file_id="file-2",
    )
    state = jobs.parse_job(decode(known.to_json()))
    assert (state.id, state.status, state.files) == ("batch_1", "ended", ("file-2",))


def test_anthropics_client_would_send_this_batch_and_read_this_status() -> None:
    deployment = Deployment("anthropic", "claude-haiku-4-5", "https://api.anthropic.com", "ANTHROPIC_API_KEY")
    jobs = jobs_of(deployment)
    messages = [{"role": "user", "content": "Hello"}]
    body = encode({"model": "claude-haiku-4-5", "max_tokens": 10, "messages": messages})
    line = jobs.line("tg1", 3, UpstreamRequest("https://api.anthropic.com/v1/messages", body))
    create = jobs.create(JobSpec(deployment, "tg1", "/v1/messages"), line or b"")
    TypeAdapter(AnthropicParams).validate_python(decode(create.request.body), strict=False)
    known: Any = {
        "id": "msgbatch_1",
        "type": "message_batch",
        "processing_status": "ended",
        "request_counts": {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0},
        "created_at": "2026-11-21T12:00:00Z",
        "expires_at": "2026-11-22T12:00:00Z",
        "ended_at": None,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": None,
    }
    MessageBatch.model_validate(known, strict=False)
    assert jobs.parse_job(known).status == "ended"


def test_aws_would_send_these_requests() -> None:
    deployment = Deployment(
        "bedrock", "amazon.nova-lite-v1:0", "https://bedrock-runtime.eu-west-1.amazonaws.com", region="eu-west-1"
    )
    jobs = jobs_of(deployment)
    role = "arn:aws:iam::111122223333:role/batches"
    spec = JobSpec(deployment, "01M7YZMHG0KN1VT4V3NHNSC4DPp0", "Converse", {}, "s3://b/in.jsonl", "s3://b/out/", role)
    model: Any = botocore.session.get_session().get_service_model("bedrock")
    operation = model.operation_model("CreateModelInvocationJob")
    report: Any = ParamValidator().validate(decode(jobs.create(spec, b"").request.body), operation.input_shape)
    assert report.generate_report() == ""
    assert operation.http["requestUri"] == "/model-invocation-job"
    stop, get = model.operation_model("StopModelInvocationJob"), model.operation_model("GetModelInvocationJob")
    root = "https://bedrock.eu-west-1.amazonaws.com"
    assert jobs.cancel(spec, "abc").request.url == root + stop.http["requestUri"].replace("{jobIdentifier}", "abc")
    assert jobs.status(spec, "abc").request.url == root + get.http["requestUri"].replace("{jobIdentifier}", "abc")
    statuses = set(get.output_shape.members["status"].enum)
    ended = {name for name in statuses if jobs.parse_job({"jobArn": "a/b", "status": name}).status != "running"}
    assert ended == {"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"}
