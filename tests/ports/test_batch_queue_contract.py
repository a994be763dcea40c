"""The contract of `BatchQueue`, for every implementation: in memory, and in SQS."""

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients.mocks import ministack
from tests.s3_objects import root_key
from tests.store_worlds import REGION
from tidegate.aws.batch_queue import SqsBatchQueue, SqsQueue
from tidegate.batch.messages import Compose, Message, Notify, PollJobs, RunPart, Sweep, Validate, decode_message
from tidegate.batch.ports import BatchQueue
from tidegate.json import decode, encode
from tidegate.memory.batch_queue import MemoryBatchQueue
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Timeouts
from tidegate.transport.reqwest import ReqwestTransport

MESSAGES: list[Message] = [
    Validate("ws_a", "batch_1"),
    RunPart("ws_a", "batch_1", 7),
    Compose("ws_a", "batch_1"),
    PollJobs("ws_a", "batch_1"),
    Sweep(),
    Notify("ws_a", "batch_1", "batch.completed", "evt_ü", attempt=2),
]


@dataclass(frozen=True)
class Room:
    """A queue, and what takes all messages that are due from it."""

    queue: BatchQueue
    take_due: Callable[[], Awaitable[list[Message]]]


@pytest.fixture(scope="session")
def ministack_sqs() -> Iterator[str]:
    with ministack("sqs") as url:
        yield url


@pytest.fixture
async def sqs(request: pytest.FixtureRequest) -> AsyncIterator[AwsService]:
    transport = ReqwestTransport()
    yield AwsService(transport, root_key, REGION, "sqs", request.getfixturevalue(request.param))
    await transport.close()


SQS = ["aws_endpoint", pytest.param("ministack_sqs", marks=pytest.mark.slow)]


async def call(sqs: AwsService, action: str, **payload: object) -> dict[str, Any]:
    post = await sqs.post(f"AmazonSQS.{action}", encode(payload), Timeouts(total=10), json_version="1.0")
    assert post[0] == 200, post[1]
    return decode(post[1] or b"{}")


async def new_queue(sqs: AwsService) -> SqsQueue:
    return SqsQueue(sqs, (await call(sqs, "CreateQueue", QueueName=f"queue-{uuid.uuid4()}"))["QueueUrl"])


async def received(queue: SqsQueue) -> list[dict[str, Any]]:
    options = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "VisibilityTimeout": 60}
    return (await call(queue.service, "ReceiveMessage", QueueUrl=queue.url, **options)).get("Messages", [])


@pytest.fixture(params=["memory", *SQS])
async def room(request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    if request.param == "memory":
        memory = MemoryBatchQueue()

        async def take() -> list[Message]:
            return memory.take_due(time.time())

        yield Room(memory, take)
        return
    transport = ReqwestTransport()
    queue = await new_queue(AwsService(transport, root_key, REGION, "sqs", request.getfixturevalue(request.param)))

    async def receive() -> list[Message]:
        return [decode_message(message["Body"]) for message in await received(queue)]

    yield Room(SqsBatchQueue(queue), receive)
    await transport.close()


async def test_every_message_arrives_as_it_was_sent(room: Room) -> None:
    for message in MESSAGES:
        await room.queue.send(message)
    arrived = await room.take_due()
    assert sorted(map(repr, arrived)) == sorted(map(repr, MESSAGES))


async def test_a_message_may_be_sent_twice(room: Room) -> None:
    await room.queue.send(Sweep())
    await room.queue.send(Sweep())
    assert await room.take_due() == [Sweep(), Sweep()]


async def test_a_delayed_message_comes_later(room: Room) -> None:
    await room.queue.send(RunPart("ws_a", "batch_1", 2), delay_seconds=0.4)
    await room.queue.send(RunPart("ws_a", "batch_1", 1))
    assert await room.take_due() == [RunPart("ws_a", "batch_1", 1)]
    ends_at = time.monotonic() + 10
    while not (arrived := await room.take_due()):
        assert time.monotonic() < ends_at
    assert arrived == [RunPart("ws_a", "batch_1", 2)]


async def test_a_message_can_be_delayed_for_fifteen_minutes_and_no_longer(room: Room) -> None:
    await room.queue.send(Sweep(), delay_seconds=86_400)
    assert await room.take_due() == []


@pytest.mark.parametrize("sqs", SQS, indirect=True)
async def test_a_received_message_comes_again_when_it_is_told_to(sqs: AwsService) -> None:
    queue = await new_queue(sqs)
    await queue.send(b"{}")
    [message] = await received(queue)
    assert await received(queue) == []
    await queue.change_visibility(message["ReceiptHandle"], 0)
    assert [again["Body"] for again in await received(queue)] == ["{}"]


@pytest.mark.parametrize("sqs", SQS, indirect=True)
async def test_a_reply_has_attributes(sqs: AwsService) -> None:
    queue = await new_queue(sqs)
    await queue.send(b'{"id": 1}', attributes={"correlation_id": "a/b=\xfc", "workspace_id": "ws_a", "empty": ""})
    [message] = await received(queue)
    attributes = {
        name: (value["DataType"], value["StringValue"]) for name, value in message["MessageAttributes"].items()
    }
    assert message["Body"] == '{"id": 1}'
    assert attributes == {"correlation_id": ("String", "a/b=\xfc"), "workspace_id": ("String", "ws_a")}
