"""Messages in SQS queues, over SQS's JSON protocol and without an SDK: the data plane uses it as well.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html and
…/APIReference/API_SendMessage.html, …/API_ChangeMessageVisibility.html (read 2026-11)
"""

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from tidegate.aws.dynamo import Backoff
from tidegate.batch.messages import Message, encode_message
from tidegate.batch.ports import MAX_QUEUE_DELAY_SECONDS
from tidegate.errors import StoreUnavailable, UpstreamError
from tidegate.json import Json, JsonObject, encode
from tidegate.settings import AwsSettings
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import Timeouts, Transport
from tidegate.transport.sigv4 import AwsKeys

MAX_VISIBILITY_SECONDS = 43_200
"""SQS's limit: 12 hours after the message was received."""

_TIMEOUTS = Timeouts(total=5.0)
_RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})


class SqsQueue(Struct, frozen=True):
    """The queue at `url`. All methods raise `StoreUnavailable`; a message that is sent again may arrive twice."""

    service: AwsService
    url: str
    backoff: Backoff = Backoff(first_seconds=0.1)

    async def send(
        self, body: bytes, *, delay_seconds: float = 0.0, attributes: Mapping[str, str] | None = None
    ) -> None:
        """Send a message of JSON, with text attributes; those without a text are left out."""
        sent: JsonObject = {"QueueUrl": self.url, "MessageBody": body.decode()}
        if delay_seconds > 0:
            sent["DelaySeconds"] = math.ceil(min(delay_seconds, MAX_QUEUE_DELAY_SECONDS))
        texts: JsonObject = {
            name: {"DataType": "String", "StringValue": text} for name, text in (attributes or {}).items() if text
        }
        await self._call("SendMessage", {**sent, "MessageAttributes": texts} if texts else sent)

    async def change_visibility(self, receipt_handle: str, seconds: float) -> None:
        """Deliver a received message again in `seconds`, rounded up."""
        timeout = math.ceil(min(max(seconds, 0.0), MAX_VISIBILITY_SECONDS))
        sent: Json = {"QueueUrl": self.url, "ReceiptHandle": receipt_handle, "VisibilityTimeout": timeout}
        await self._call("ChangeMessageVisibility", sent)

    async def _call(self, action: str, payload: Json) -> None:
        body = encode(payload)
        for delay in self.backoff.delays():
            try:
                status, answer = await self.service.post(f"AmazonSQS.{action}", body, _TIMEOUTS, json_version="1.0")
            except (UpstreamError, TimeoutError) as error:
                if delay is None:
                    raise StoreUnavailable("SQS does not answer.", retry_after_seconds=1) from error
            else:
                if status == 200:
                    return
                may_pass = status in _RETRIED_STATUSES or b"Throttl" in answer
                if not may_pass or delay is None:
                    raise StoreUnavailable(f"SQS refused {action} (status {status}).", retry_after_seconds=1)
            await self.backoff.sleep(delay)


class SqsBatchQueue(Struct, frozen=True):
    """The port `BatchQueue`."""

    queue: SqsQueue

    async def send(self, message: Message, delay_seconds: float = 0.0) -> None:
        """See `BatchQueue.send`. The delay is rounded up to whole seconds."""
        await self.queue.send(encode_message(message), delay_seconds=delay_seconds)


class SqsReplies(Struct, frozen=True):
    """The port `Replies`: the queues with these URLs, in the region of the service."""

    service: AwsService
    queue_urls: Sequence[str]

    def find_queue(self, reply_to: str | None) -> str | None:
        """See `Replies.find_queue`. A queue's name is the last part of its URL."""
        named = (url for url in self.queue_urls if reply_to in (None, url, url.rpartition("/")[2]))
        return next(named, None)

    async def send(self, queue: str, body: bytes, attributes: Mapping[str, str]) -> None:
        """See `Replies.send`."""
        await SqsQueue(self.service, queue).send(body, attributes=attributes)


def create_batch_queue(transport: Transport, aws_keys: AwsKeys, aws: AwsSettings, url: str) -> SqsBatchQueue:
    """Create the queue of the engine. Opens nothing; the caller owns `transport`."""
    return SqsBatchQueue(SqsQueue(_service(transport, aws_keys, aws), url))


def create_replies(transport: Transport, aws_keys: AwsKeys, aws: AwsSettings, urls: Sequence[str]) -> SqsReplies:
    """Create the queues of answers with these URLs or ARNs. Opens nothing; the caller owns `transport`."""
    return SqsReplies(_service(transport, aws_keys, aws), tuple(map(queue_url, urls)))


def queue_url(name: str) -> str:
    """Return the URL of the queue with this ARN; a URL stays as it is."""
    match name.split(":"):
        case ["arn", partition, "sqs", region, account, queue]:
            domain = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
            return f"https://sqs.{region}.{domain}/{account}/{queue}"
        case _:
            return name


def _service(transport: Transport, aws_keys: AwsKeys, aws: AwsSettings) -> AwsService:
    return AwsService(transport, aws_keys, aws.region, "sqs", aws.sqs_endpoint)
