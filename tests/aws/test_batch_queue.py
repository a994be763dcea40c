"""What is sent to SQS, and what goes wrong with it."""

import pytest

from tests.aws.script import ScriptedTransport, fault, instantly
from tests.s3_objects import root_key
from tests.store_worlds import REGION
from tidegate.aws.batch_queue import SqsBatchQueue, SqsQueue, create_batch_queue, create_replies
from tidegate.aws.dynamo import Backoff
from tidegate.batch.messages import Sweep
from tidegate.errors import ProviderTimeout, ProviderUnreachable, StoreUnavailable
from tidegate.settings import AwsSettings
from tidegate.transport.aws_service import AwsService

URL = "https://sqs.eu-central-1.amazonaws.com/000000000000/batches"


def queue_over(transport: ScriptedTransport) -> SqsQueue:
    return SqsQueue(AwsService(transport, root_key, REGION, "sqs"), URL, Backoff(sleep=instantly))


@pytest.mark.parametrize(
    ("seconds", "delay"), [(0.0, {}), (-1.0, {}), (0.1, {"DelaySeconds": 1}), (60, {"DelaySeconds": 60}),
    (60.5, {"DelaySeconds": 61}), (900.5, {"DelaySeconds": 900})],
)  # fmt: skip
async def test_a_delay_is_rounded_up(seconds: float, delay: dict[str, int]) -> None:
    transport = ScriptedTransport([(200, {"MessageId": "1"})])
    await SqsBatchQueue(queue_over(transport)).send(Sweep(), seconds)
    [sent] = transport.requests
    assert (sent.method, sent.url) == ("POST", "https://sqs.eu-central-1.amazonaws.com/")
    assert (sent.headers["x-amz-target"], sent.headers["content-type"]) == (
        "AmazonSQS.SendMessage",
        "application/x-amz-json-1.0",
    )
    assert transport.bodies == [{"QueueUrl": URL, "MessageBody": '{"step":"sweep"}', **delay}]


@pytest.mark.parametrize(("seconds", "hidden"), [(-1, 0), (0.5, 1), (86_400, 43_200)])
async def test_a_message_is_hidden_for_twelve_hours_at_most(seconds: float, hidden: int) -> None:
    transport = ScriptedTransport([(200, {})])
    await queue_over(transport).change_visibility("handle", seconds)
    assert transport.actions == ["ChangeMessageVisibility"]
    assert transport.bodies == [{"QueueUrl": URL, "ReceiptHandle": "handle", "VisibilityTimeout": hidden}]


@pytest.mark.parametrize(
    "trouble",
    [(500, b""), (503, b"<html>"), fault("RequestThrottled"), ProviderTimeout("late"), ProviderUnreachable("x")],
)
async def test_what_may_pass_is_tried_four_times(trouble: object) -> None:
    transport = ScriptedTransport([trouble])
    with pytest.raises(StoreUnavailable, match="SQS"):
        await queue_over(transport).send(b"{}")
    assert len(transport.requests) == 4
    transport = ScriptedTransport([trouble, (200, {})])
    await queue_over(transport).send(b"{}")
    assert len(transport.requests) == 2


@pytest.mark.parametrize("trouble", [fault("QueueDoesNotExist"), (403, b"AccessDenied")])
async def test_what_is_refused_is_not_tried_again(trouble: object) -> None:
    transport = ScriptedTransport([trouble])
    with pytest.raises(StoreUnavailable, match=r"^SQS refused SendMessage \(status 40[03]\)"):
        await queue_over(transport).send(b"{}")
    assert len(transport.requests) == 1


def test_a_reply_goes_to_a_queue_that_the_operator_has_allowed() -> None:
    urls = ("https://sqs/1/answers", "https://sqs/1/others")
    replies = create_replies(ScriptedTransport([]), root_key, AwsSettings(REGION), urls)
    found = [replies.find_queue(reply_to) for reply_to in (None, "others", urls[1], "https://evil/1/others", "", "1")]
    assert found == [urls[0], urls[1], urls[1], None, None, None]
    assert create_replies(ScriptedTransport([]), root_key, AwsSettings(REGION), ()).find_queue(None) is None


@pytest.mark.parametrize(
    ("arn", "url"),
    [
        ("arn:aws:sqs:eu-west-1:123456789012:answers", "https://sqs.eu-west-1.amazonaws.com/123456789012/answers"),
        ("arn:aws-cn:sqs:cn-north-1:1:a", "https://sqs.cn-north-1.amazonaws.com.cn/1/a"),
    ],
)
def test_a_queue_may_be_named_by_its_arn(arn: str, url: str) -> None:
    replies = create_replies(ScriptedTransport([]), root_key, AwsSettings(REGION), [arn])
    assert replies.find_queue(None) == replies.find_queue(url.rpartition("/")[2]) == url


async def test_a_reply_is_one_message_with_attributes() -> None:
    transport = ScriptedTransport([(200, {})])
    replies = create_replies(transport, root_key, AwsSettings(REGION, sqs_endpoint="http://sqs"), ["http://sqs/1/a"])
    await replies.send("http://sqs/1/a", b"{}", {"status": "completed", "custom_id": ""})
    attributes = {"status": {"DataType": "String", "StringValue": "completed"}}
    assert transport.bodies == [{"QueueUrl": "http://sqs/1/a", "MessageBody": "{}", "MessageAttributes": attributes}]
    assert transport.requests[0].url == "http://sqs/"


async def test_the_settings_name_the_queue() -> None:
    transport = ScriptedTransport([(200, {})])
    await create_batch_queue(transport, root_key, AwsSettings(REGION, sqs_endpoint="http://sqs"), URL).send(Sweep())
    assert (transport.requests[0].url, transport.bodies[0]["QueueUrl"]) == ("http://sqs/", URL)
