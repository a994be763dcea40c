"""The batch function's artifact in AWS's runtime emulator, with the event files, against an embedded AWS."""

import json
import platform
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.artifact.world import Site, emulated_batch_function, runs_here, site
from tests.emulators.process import ROOT
from tidegate.domain.workspace import Workspace

pytestmark = [
    pytest.mark.slow,
    runs_here,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the emulator is an x86_64 Linux program"),
]

EVENTS = ROOT / "tests" / "events" / "batch"
REGION = "eu-central-1"
BUCKET = "tidegate-batches-of-the-artifact"
LINES = [
    {
        "custom_id": f"line-{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "openai/gpt-4.1-mini", "messages": [{"role": "user", "content": "High tide?"}]},
    }
    for number in range(5)
]


def event(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text().replace("tidegate-batches", BUCKET))


@dataclass
class Deployed:
    """The running function, with a bucket, two queues and a reply queue."""

    url: str
    http: httpx.AsyncClient
    site: Site
    s3: Any
    sqs: Any
    queues: dict[str, str]

    async def invoke(self, content: Any) -> Any:
        return (await self.http.post(self.url, json=content)).json()

    def messages(self, name: str, count: int = 10) -> list[dict[str, Any]]:
        """Receive messages of a queue, as records of an event."""
        names = {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]}
        received = self.sqs.receive_message(QueueUrl=self.queues[name], MaxNumberOfMessages=count, **names)
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {
                    key: {"stringValue": value["StringValue"], "dataType": "String"}
                    for key, value in message.get("MessageAttributes", {}).items()
                },
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:{self.queues[name].rpartition('/')[2]}",
                "awsRegion": REGION,
            }
            for message in received.get("Messages", [])
        ]

    async def work(self) -> None:
        """Deliver the messages of the work queue, as the event source mapping does, until none is due."""
        while records := self.messages("work", 1):
            answer = await self.invoke({"Records": records})
            assert answer == {"batchItemFailures": []}, answer
            self.sqs.delete_message(QueueUrl=self.queues["work"], ReceiptHandle=records[0]["receiptHandle"])

    def objects(self, prefix: str) -> dict[str, bytes]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {each["Key"]: self.s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in found}


@pytest.fixture
async def function(artifacts: Path, aws_endpoint: str, tmp_path: Path) -> AsyncIterator[Deployed]:
    async with site(artifacts / "BatchFunction", aws_endpoint, tmp_path) as found:
        await found.store.tenants.put_workspace(Workspace("ws_demo", "Demo"))
        s3, sqs = (boto3.client(name, endpoint_url=aws_endpoint, region_name=REGION) for name in ("s3", "sqs"))
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        named = {name: f"tidegate-{name}-{tmp_path.name}"[:70] for name in ("work", "intake", "answers")}
        queues = {name: sqs.create_queue(QueueName=queue)["QueueUrl"] for name, queue in named.items()}
        env = {
            "TIDEGATE_BATCH_BUCKET": BUCKET,
            "TIDEGATE_BATCH_QUEUE": queues["work"],
            "TIDEGATE_REPLY_QUEUE": f"arn:aws:sqs:{REGION}:123456789012:{named['answers']}",
            "TIDEGATE_LOG_LEVEL": "DEBUG",
        }
        async with (
            emulated_batch_function(found, tmp_path, **env) as url,
            httpx.AsyncClient(trust_env=False, timeout=60) as http,
        ):
            yield Deployed(url, http, found, s3, sqs, queues)
        for key in Deployed(url, http, found, s3, sqs, queues).objects(""):
            s3.delete_object(Bucket=BUCKET, Key=key)
        s3.delete_bucket(Bucket=BUCKET)


@pytest.mark.parametrize("name", ["object_created", "sqs_object_created"])
async def test_a_dropped_object_is_answered_line_by_line(function: Deployed, name: str) -> None:
    data = b"".join(json.dumps(line).encode() + b"\n" for line in LINES)
    function.s3.put_object(Bucket=BUCKET, Key="workspaces/ws_demo/in/january.jsonl", Body=data)
    content, s3_event = event(name), event("object_created")
    s3_event["detail"]["object"]["size"] = len(data)
    if name.startswith("sqs"):
        content["Records"][0]["body"] = json.dumps(s3_event)
    for _ in range(2):
        assert await function.invoke(content if name.startswith("sqs") else s3_event) in ({}, {"batchItemFailures": []})
    await function.work()
    [(key, results)] = function.objects("workspaces/ws_demo/out/").items()
    assert key.startswith("workspaces/ws_demo/out/january.jsonl/")
    answers = [json.loads(line) for line in results.splitlines()]
    assert [answer["custom_id"] for answer in answers] == [line["custom_id"] for line in LINES]
    assert [answer["response"]["status_code"] for answer in answers] == [200] * len(LINES)
    assert len(function.site.provider.requests) == len(LINES)
    assert function.objects("batches/") == {}


async def test_a_message_is_answered_once_on_the_reply_queue(function: Deployed) -> None:
    for _ in range(2):
        assert await function.invoke(event("sqs_request")) == {"batchItemFailures": []}
    replies = function.messages("answers")
    assert [json.loads(reply["body"])["response"]["status_code"] for reply in replies] == [200, 200]
    assert {key: value["stringValue"] for key, value in replies[0]["messageAttributes"].items()} == {
        "message_id": "059f36b4-87a3-44ab-83d2-661975830702",
        "correlation_id": "job-7",
        "custom_id": "tide-1",
        "workspace_id": "ws_demo",
        "status": "completed",
    }
    assert len(function.site.provider.requests) == 1


async def test_events_invocations_and_the_schedule_reach_the_same_function(function: Deployed) -> None:
    assert await function.invoke(event("batch_requested")) == {}
    [reply] = function.messages("answers")
    assert json.loads(reply["body"])["custom_id"] == "tide-2"
    assert await function.invoke(event("schedule")) == {}
    answer = await function.invoke(event("invocation"))
    assert [result["custom_id"] for result in answer["results"]] == ["tide-1", "tide-2"]
    assert answer["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    refused = await function.invoke({})
    assert refused["errorType"] == "InvalidRequest"


async def test_what_is_not_acceptable_is_refused_and_the_rest_is_answered(function: Deployed) -> None:
    assert await function.invoke(event("sqs_several")) == {"batchItemFailures": []}
    replies = [json.loads(reply["body"]) for reply in function.messages("answers")]
    codes = sorted(reply["error"]["code"] if reply["error"] else "answered" for reply in replies)
    assert codes == ["answered", "answered", "invalid_json_line", "workspace_forbidden"]


def test_the_artifact_holds_no_tool_no_framework_and_no_other_function(artifacts: Path) -> None:
    code = artifacts / "BatchFunction"
    assert {path.name for path in (code / "tidegate").iterdir()} & {"local", "cli", "control", "runtime"} == set()
    assert {path.parent.name for path in (code / "functions").rglob("app.py")} == {"batch"}
    assert {path.name for path in code.iterdir()} & {"uvicorn", "fastapi", "pydantic", "boto3", "botocore"} == set()
    size = sum(path.stat().st_size for path in code.rglob("*") if path.is_file())
    assert size < 60 * 1024 * 1024
