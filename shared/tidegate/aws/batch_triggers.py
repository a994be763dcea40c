"""Events that start the batch function on Lambda: messages of its two queues, objects, the schedule, and invocations.

| event | what it is |
|---|---|
| SQS, from the work queue | a step of the engine, see `batch.messages` |
| SQS, from another queue | a request, or one of the next two events |
| EventBridge "Object Created" of S3 | an object, perhaps a dropped one |
| EventBridge "BatchRequested" | a request, as its detail |
| EventBridge "Scheduled Event" | time for a sweep |
| `{"workspace_id": …, "requests": […]}` | an invocation, which is answered |

Sources: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html (read 2026-11)
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, cast
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes import S3EventBridgeNotificationEvent
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from msgspec import Struct

from tidegate.aws.batch_queue import SqsQueue, create_batch_queue
from tidegate.aws.batches import create_aws_batches
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.message_processor import MessageProcessor
from tidegate.aws.world import AwsWorld
from tidegate.batch.components import BatchComponents
from tidegate.batch.direct import answer_invocation
from tidegate.batch.dropped_objects import StoredObject, take_object
from tidegate.batch.endpoints import Endpoints
from tidegate.batch.engine import Engine
from tidegate.batch.intake import Envelope, parse_content, take_message
from tidegate.batch.messages import Sweep, decode_message
from tidegate.batch.ports import TryLater
from tidegate.compose import NO_OVERRIDES, Overrides
from tidegate.errors import ConfigurationError, InvalidRequest, StoreUnavailable
from tidegate.json import Json, JsonObject
from tidegate.settings import Settings
from tidegate.transport.aws_service import AwsService

log = logging.getLogger(__name__)

MARGIN_SECONDS = 5.0
"""The time of an invocation that is kept for what a step does when its time is over."""

FIRST_RETRY_SECONDS = 30.0
LAST_RETRY_SECONDS = 900.0
CORRELATION = "correlation_id"
"""The message attribute that answers repeat."""


class BatchFunction(Struct, frozen=True):
    """Handles the events of one process. Its connections belong to the event loop in which it was opened."""

    components: BatchComponents
    service: AwsService
    queue_url: str
    bucket: str

    async def handle(self, event: Json, seconds: float) -> JsonObject | PartialItemFailureResponse:
        """Handle an event within that time. A failed message comes again, and is named in the answer.

        Raises `InvalidRequest` and `WorkspaceForbidden` for an invocation that is not acceptable. What else it raises
        lets Lambda repeat the event, unless somebody waits for the answer.
        """
        deadline = self.components.clock() + seconds - MARGIN_SECONDS
        match event:
            case {"Records": [{"eventSource": "aws:sqs"}, *_]}:
                # All records of one event of Lambda are from one source.
                return await self._take_messages(cast("list[dict[str, Any]]", event["Records"]), deadline)
            case {"detail-type": "Scheduled Event"}:
                await Engine(self.components).handle(Sweep(), deadline)
            case {"detail-type": str(), "id": str(id)}:
                await self._take_content(Envelope(id, at=_seconds(event.get("time"))), event, deadline)
            case {"requests": _}:
                return await answer_invocation(self.components, event, deadline)
            case _:
                raise InvalidRequest("This event is not known: send workspace_id and requests.")
        return {}

    async def _take_messages(self, records: list[dict[str, Any]], deadline: float) -> PartialItemFailureResponse:
        processor = MessageProcessor()

        async def take(record: SQSRecord) -> None:
            await self._take_message(record, deadline)

        response = await processor.run(records, take)
        for record, failure in processor.failures():
            await self._return_message(record, failure)
        return response

    async def _take_message(self, record: SQSRecord, deadline: float) -> None:
        if _queue_name(record) == self.queue_url.rpartition("/")[2]:
            await Engine(self.components).handle(decode_message(record.body), deadline)
            return
        correlation = record.message_attributes[CORRELATION]
        text = correlation.get("stringValue") if correlation is not None else None
        envelope = Envelope(
            record.message_id,
            attempt=int(record.attributes.approximate_receive_count),
            at=int(record.attributes.sent_timestamp) / 1000,
            correlation=((CORRELATION, text),) if text else (),
        )
        await self._take_content(envelope, parse_content(record.body), deadline)

    async def _take_content(self, envelope: Envelope, content: Json, deadline: float) -> None:
        match content:
            case {
                "source": "aws.s3",
                "detail-type": "Object Created",
                "id": str(),
                "detail": {"bucket": {"name": str()}, "object": {"key": str()}},
            }:
                stored = await self._find_object(S3EventBridgeNotificationEvent(content))
                if stored is not None:
                    await take_object(self.components, stored)
            case {"detail-type": "BatchRequested", "id": str(id), "detail": detail}:
                envelope = Envelope(id, envelope.attempt, envelope.at, envelope.correlation)
                await take_message(self.components, envelope, detail, deadline)
            case _:
                await take_message(self.components, envelope, content, deadline)

    async def _find_object(self, event: S3EventBridgeNotificationEvent) -> StoredObject | None:
        """Return the object of an event; None for another bucket's."""
        detail = event.detail
        if detail.bucket.name != self.bucket:
            log.warning("object.of_another_bucket")
            return None
        # `detail.object.key` is decoded, but EventBridge has keys as they are, with their percent and plus signs.
        key = str(detail.object["key"])
        if await self.components.objects.size(key) is None:
            key = unquote_plus(key)
        version = detail.object.get("version-id") or detail.object.get("sequencer") or detail.object.etag
        return StoredObject(
            bucket=self.bucket,
            key=key,
            version=str(version),
            size=detail.object.size,
            event_id=event.get_id,
            at=_seconds(event.get("time")),
        )

    async def _return_message(self, record: SQSRecord, failure: BaseException) -> None:
        """Let a failed message come again sooner than after the visibility timeout, which is for dead workers."""
        facts = {"queue": _queue_name(record), "message_id": record.message_id}
        if isinstance(failure, TryLater):
            seconds = failure.seconds
        else:
            tries = int(record.attributes.approximate_receive_count)
            seconds = min(FIRST_RETRY_SECONDS * 2 ** min(tries - 1, 10), LAST_RETRY_SECONDS)
            log.error("message.failed", extra={**facts, "tries": tries}, exc_info=failure)
        queue = SqsQueue(self.service, f"{self.queue_url.rpartition('/')[0]}/{_queue_name(record)}")
        try:
            await queue.change_visibility(record.receipt_handle, seconds)
        except StoreUnavailable as error:
            log.warning("message.not_returned", extra={**facts, "error": error.message})


async def open_batch_function(
    settings: Settings, endpoints: Endpoints, overrides: Overrides = NO_OVERRIDES
) -> BatchFunction:
    """Open the function's world, for as long as the process lives, in the event loop that will handle its events.

    Raises `ConfigurationError` without the settings of batches, and `StoreUnavailable`.
    """
    if settings.batch_bucket is None or settings.batch_queue is None:
        raise ConfigurationError("TIDEGATE_BATCH_BUCKET and TIDEGATE_BATCH_QUEUE are not set.")
    world = AwsWorld(settings)
    queue = create_batch_queue(world.http, world.signing_keys, settings.aws, settings.batch_queue)
    components = create_aws_batches(world, await create_aws_gateway(world, overrides), endpoints, queue)
    if components is None:
        raise ConfigurationError("The settings of batches are not complete.")
    return BatchFunction(components, queue.queue.service, settings.batch_queue, settings.batch_bucket)


class BatchHandler:
    """The function as Lambda calls it: all events are handled in one event loop, to which connections belong.

    `asyncio.run` would close its loop after each event.
    """

    def __init__(self, opening: Awaitable[BatchFunction]) -> None:
        self._loop = asyncio.new_event_loop()
        self._function = self._loop.run_until_complete(opening)

    def __call__(self, event: Json, context: object) -> Mapping[str, object]:
        remaining: Callable[[], int] | None = getattr(context, "get_remaining_time_in_millis", None)
        seconds = remaining() / 1000 if remaining is not None else 60.0
        return self._loop.run_until_complete(self._function.handle(event, seconds))

    def close(self) -> None:
        self._loop.close()


def _queue_name(record: SQSRecord) -> str:
    return record.event_source_arn.rpartition(":")[2]


def _seconds(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return time.time()
