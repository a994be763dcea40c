"""Events of the batch function, as AWS sends them: tests/events/batch."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from msgspec.structs import replace

from tests.aws.script import ScriptedTransport, fault
from tests.batch.events import RecordedReplies
from tests.batch.world import NOON, PATH, BatchWorld, Provider, batch_world, jsonl, requests
from tests.s3_objects import root_key
from tests.store_worlds import REGION
from tidegate.aws.batch_triggers import MARGIN_SECONDS, BatchFunction, BatchHandler, open_batch_function
from tidegate.batch.endpoints import batch_endpoints
from tidegate.batch.messages import RunPart, Sweep, Validate, encode_message
from tidegate.batch.ports import Page, TryLater
from tidegate.domain.workspace import Workspace
from tidegate.errors import ConfigurationError, InvalidRequest, StoreUnavailable
from tidegate.settings import Settings
from tidegate.transport.aws_service import AwsService

EVENTS = Path(__file__).parents[1] / "events" / "batch"
WORK_QUEUE = f"https://sqs.{REGION}.amazonaws.com/123456789012/tidegate-work"
INTAKE_QUEUE = WORK_QUEUE.replace("work", "intake")
DEMO = Workspace("ws_demo", "Demo")


def event(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


@dataclass
class Running:
    """The function over a world in memory, and what it asks of SQS."""

    function: BatchFunction
    world: BatchWorld
    replies: RecordedReplies
    sqs: ScriptedTransport

    async def handle(self, content: Any, seconds: float = 60.0) -> Any:
        return await self.function.handle(content, seconds)

    @property
    def returned(self) -> list[tuple[object, object, object]]:
        """The messages that come again: the queue, the receipt handle and the seconds."""
        return [(body["QueueUrl"], body["ReceiptHandle"], body["VisibilityTimeout"]) for body in self.sqs.bodies]


@asynccontextmanager
async def running(provider: Provider | None = None, **options: Any) -> AsyncIterator[Running]:
    async with batch_world(provider, **options) as world:
        await world.memory.tenants.put_workspace(DEMO)
        replies, sqs = RecordedReplies(), ScriptedTransport([(200, {})] * 20)
        components = replace(world.components, replies=replies)
        service = AwsService(sqs, root_key, REGION, "sqs")
        yield Running(BatchFunction(components, service, WORK_QUEUE, "tidegate-batches"), world, replies, sqs)


@pytest.mark.parametrize("name", ["object_created", "sqs_object_created"])
async def test_an_object_becomes_a_batch(name: str) -> None:
    content = event("object_created")
    async with running() as found:
        data = jsonl(requests(1))
        content["detail"]["object"]["size"] = len(data)
        if name.startswith("sqs"):
            message = event(name)
            assert json.loads(message["Records"][0]["body"]) == event("object_created")
            message["Records"][0]["body"] = json.dumps(content)
            content = message
        await found.world.components.objects.put("workspaces/ws_demo/in/january.jsonl", data)
        for _ in range(2):
            assert await found.handle(content) in ({}, {"batchItemFailures": []})
        [batch] = await found.world.components.table.list_batches("ws_demo", Page(10))
        assert (batch.source, batch.endpoint, batch.input_bytes) == ("object", PATH, len(data))
        assert set(found.world.queue.sent) == {Validate("ws_demo", batch.id), Sweep()}


@pytest.mark.parametrize("key", ["a+b c.jsonl", "100%.jsonl", "ä%20b.jsonl"])
@pytest.mark.parametrize("encoded", [False, True])
async def test_names_with_signs_are_found_whether_they_are_encoded_or_not(key: str, encoded: bool) -> None:
    content = event("object_created")
    async with running() as found:
        path = f"workspaces/ws_demo/in/{key}"
        await found.world.components.objects.put(path, jsonl(requests(1)))
        content["detail"]["object"] = {"key": quote_plus(path, safe="/") if encoded else path, "etag": "1"}
        await found.handle(content)
        [batch] = await found.world.components.table.list_batches("ws_demo", Page(10))
        assert batch.input_key == path


async def test_an_object_that_is_written_again_is_another_batch_though_its_content_is_equal() -> None:
    content = event("object_created")
    async with running() as found:
        await found.world.components.objects.put("workspaces/ws_demo/in/january.jsonl", jsonl(requests(1)))
        del content["detail"]["object"]["size"]
        for sequencer in ("1", "2", "2"):
            content["detail"]["object"]["sequencer"] = sequencer
            await found.handle({**content, "id": sequencer})
        assert len(await found.world.components.table.list_batches("ws_demo", Page(10))) == 2


async def test_another_buckets_object_is_none_of_ours() -> None:
    content = event("object_created")
    async with running() as found:
        await found.world.components.objects.put("workspaces/ws_demo/in/january.jsonl", jsonl(requests(1)))
        content["detail"]["bucket"]["name"] = "other"
        assert await found.handle(content) == {}
        assert found.world.queue.sent == []


@pytest.mark.parametrize(
    ("name", "custom_id", "id"),
    [
        ("sqs_request", "tide-1", "059f36b4-87a3-44ab-83d2-661975830702"),
        ("batch_requested", "tide-2", "7bf73129-1428-4cd3-a780-95db273d1602"),
        ("sqs_batch_requested", "tide-2", "7bf73129-1428-4cd3-a780-95db273d1602"),
    ],
)
async def test_a_request_is_answered_and_charged_once(name: str, custom_id: str, id: str) -> None:
    async with running() as found:
        for _ in range(2):
            assert await found.handle(event(name)) in ({}, {"batchItemFailures": []})
        assert len(found.world.provider.prompts) == 1
        (queue, answer, attributes), _ = found.replies.sent
        assert (queue, answer["custom_id"], answer["response"]["status_code"]) == ("answers", custom_id, 200)
        assert attributes["message_id"] == id
        assert attributes.get("correlation_id") == ("job-7" if name == "sqs_request" else None)
        assert found.returned == []


async def test_a_reference_becomes_a_batch() -> None:
    async with running() as found:
        await found.world.components.objects.put("workspaces/ws_demo/held/january.jsonl", jsonl(requests(1)))
        assert await found.handle(event("sqs_reference")) == {"batchItemFailures": []}
        [batch] = await found.world.components.table.list_batches("ws_demo", Page(10))
        assert (batch.source, batch.metadata) == ("message", {"month": "1"})


async def test_messages_of_one_event_are_answered_each_for_itself() -> None:
    async with running() as found:
        assert await found.handle(event("sqs_several")) == {"batchItemFailures": []}
        results = {attributes["message_id"][-2:]: answer for _, answer, attributes in found.replies.sent}
        codes = {id: answer["error"] and answer["error"]["code"] for id, answer in results.items()}
        assert codes == {"05": None, "06": "invalid_json_line", "07": "workspace_forbidden", "08": None}


async def test_a_message_that_must_wait_comes_again_and_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    busy = Provider(
        lambda prompt, _: httpx.Response(429, json={"error": {"message": "busy"}}, headers={"retry-after": "70"})
    )
    async with running(busy) as found:
        records = event("sqs_several")["Records"]
        answer = await found.handle({"Records": records})
        ids = [record["messageId"] for record in (records[0], records[3])]
        assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == ids
        assert found.returned == [(INTAKE_QUEUE, "receipt-handle-5", 70), (INTAKE_QUEUE, "receipt-handle-8", 70)]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def steps(*messages: Any, tries: int = 1) -> Any:
    record = event("sqs_step")["Records"][0]
    record["attributes"]["ApproximateReceiveCount"] = str(tries)
    return {
        "Records": [
            {
                **record,
                "messageId": f"m-{number}",
                "receiptHandle": f"r-{number}",
                "body": encode_message(each).decode(),
            }
            for number, each in enumerate(messages)
        ]
    }


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The engine's messages and deadlines, and what it raises for the part of each number."""
    found: dict[str, Any] = {"messages": [], "raises": {}}

    async def handle(self: object, message: Any, deadline: float) -> None:
        found["messages"].append((message, deadline))
        if isinstance(message, RunPart) and message.number in found["raises"]:
            raise found["raises"][message.number]

    monkeypatch.setattr("tidegate.batch.engine.Engine.handle", handle)
    return found


async def test_messages_of_the_work_queue_are_steps_of_the_engine(handled: dict[str, Any]) -> None:
    async with running() as found:
        assert await found.handle(event("sqs_step"), 900.0) == {"batchItemFailures": []}
        assert await found.handle(event("schedule"), 900.0) == {}
    assert [message for message, _ in handled["messages"]] == [Sweep(), Sweep()]
    deadlines = [round(deadline - NOON) for _, deadline in handled["messages"]]
    assert deadlines == [900 - MARGIN_SECONDS] * 2


async def test_a_step_can_only_come_from_the_work_queue(handled: dict[str, Any]) -> None:
    content = steps(RunPart("ws_demo", "batch_1", 0))
    content["Records"][0]["eventSourceARN"] = "arn:aws:sqs:eu-central-1:123456789012:tidegate-intake"
    async with running() as found:
        assert await found.handle(content) == {"batchItemFailures": []}
        assert [answer["error"]["code"] for _, answer, _ in found.replies.sent] == ["invalid_url"]
    assert handled["messages"] == []


@pytest.mark.parametrize(
    ("failure", "tries", "seconds", "is_error"),
    [
        (TryLater(33.0), 1, 33, False),
        (TryLater(33.2), 9, 34, False),
        (StoreUnavailable("down"), 1, 30, True),
        (RuntimeError("a fault of ours"), 2, 60, True),
        (ValueError("another"), 300, 900, True),
    ],
)
async def test_a_step_that_fails_comes_again_before_the_visibility_timeout(
    handled: dict[str, Any],
    failure: Exception,
    tries: int,
    seconds: int,
    is_error: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    handled["raises"] = {1: failure}
    parts = [RunPart("ws_demo", "batch_1", number) for number in range(3)]
    async with running() as found:
        answer = await found.handle(steps(*parts, tries=tries))
        assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
        assert found.returned == [(WORK_QUEUE, "r-1", seconds)]
    errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == (["message.failed"] if is_error else [])


async def test_if_all_messages_fail_the_function_still_answers(handled: dict[str, Any]) -> None:
    handled["raises"] = {0: TryLater(5.0), 1: RuntimeError("a fault of ours")}
    async with running() as found:
        found.sqs.answers[:] = [fault("AccessDenied")]
        answer = await found.handle(steps(*(RunPart("ws_demo", "batch_1", number) for number in range(2))))
        assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == ["m-0", "m-1"]


async def test_an_unknown_step_is_a_failed_message() -> None:
    content = event("sqs_step")
    content["Records"][0]["body"] = '{"step": "other"}'
    async with running() as found:
        answer = await found.handle(content)
        assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == [content["Records"][0]["messageId"]]


async def test_an_invocation_is_answered() -> None:
    async with running() as found:
        answer = await found.handle(event("invocation"))
        assert answer["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
        assert [result["custom_id"] for result in answer["results"]] == ["tide-1", "tide-2"]


@pytest.mark.parametrize("content", [None, [], {}, "text", {"Records": []}, {"Records": [{"eventSource": "aws:s3"}]}])
async def test_an_unknown_event_fails(content: Any) -> None:
    async with running() as found:
        with pytest.raises(InvalidRequest):
            await found.handle(content)


@pytest.mark.parametrize(
    "content",
    [
        {"source": "aws.s3", "detail-type": "Object Created"},
        {"source": "aws.s3", "detail-type": "Object Created", "id": "1", "detail": {"object": {"key": 5}}},
        {"detail-type": "BatchRequested", "id": 5, "detail": {}},
        {"detail-type": "BatchRequested", "id": "5", "detail": "x"},
    ],
)
async def test_a_message_that_only_looks_like_an_event_is_refused(content: Any) -> None:
    message = event("sqs_request")
    message["Records"][0]["body"] = json.dumps(content)
    async with running() as found:
        assert await found.handle(message) == {"batchItemFailures": []}
        assert [answer["response"] for _, answer, _ in found.replies.sent] == [None]


async def test_the_function_needs_a_bucket_and_a_queue() -> None:
    settings = Settings.from_env({"TIDEGATE_TABLE": "t", "AWS_REGION": REGION})
    with pytest.raises(ConfigurationError):
        await open_batch_function(settings, batch_endpoints({}))


def test_all_events_are_handled_in_one_loop() -> None:
    loops: list[object] = []

    class Function:
        async def handle(self, content: Any, seconds: float) -> Any:
            loops.append(asyncio.get_running_loop())
            return {"seconds": seconds}

    async def opening() -> Any:
        loops.append(asyncio.get_running_loop())
        return Function()

    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 1500

    handler = BatchHandler(opening())
    assert [handler({}, Context()), handler({}, None)] == [{"seconds": 1.5}, {"seconds": 60.0}]
    assert len(loops) == 3 and len(set(map(id, loops))) == 1
    handler.close()
