"""The batch engine's components on AWS: DynamoDB, a bucket, a queue, and the event bus or the log.

The local server has another queue, and on a data folder other objects, over the same table.
"""

from collections.abc import Mapping

from tidegate.aws.batch_callers import DynamoCallers
from tidegate.aws.batch_objects import S3BatchObjects
from tidegate.aws.batch_table import DynamoBatchTable
from tidegate.aws.bucket import Bucket
from tidegate.aws.dynamo import DynamoClient
from tidegate.aws.meter import DynamoMeter
from tidegate.aws.s3_client import S3Client
from tidegate.aws.world import AwsWorld
from tidegate.batch.components import BatchComponents
from tidegate.batch.endpoints import batch_endpoints
from tidegate.batch.event_log import LogBatchEvents
from tidegate.batch.ports import BatchEvents, BatchObjects, BatchQueue, Replies
from tidegate.batch.webhook import WebhookSender
from tidegate.domain.batch_options import parse_batch_options
from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface
from tidegate.gateway import Gateway
from tidegate.lazy import load
from tidegate.transport.aws_service import AwsService
from tidegate.transport.media_fetcher import MediaFetcher


def create_aws_batches(
    world: AwsWorld,
    gateway: Gateway,
    endpoints: Mapping[str, tuple[Surface, Operation]],
    queue: BatchQueue | None = None,
) -> BatchComponents | None:
    """Compose the components over the gateway of a world, which must stay open; None if there is no bucket or queue.

    `queue` replaces the queue that the settings name.
    """
    bucket = batch_bucket(world)
    queue = queue if queue is not None else _configured_queue(world)
    if bucket is None or queue is None:
        return None
    return compose_batches(world, gateway, endpoints, queue, S3BatchObjects(S3Client(bucket)))


def compose_batches(
    world: AwsWorld,
    gateway: Gateway,
    endpoints: Mapping[str, tuple[Surface, Operation]],
    queue: BatchQueue,
    objects: BatchObjects,
) -> BatchComponents:
    """Compose the components of a world with this queue and these objects."""
    settings, store = world.settings, world.store
    has_claims = settings.oidc is not None and settings.oidc.workspaces_claim is not None
    return BatchComponents(
        table=DynamoBatchTable(store),
        objects=objects,
        queue=queue,
        callers=DynamoCallers(store, has_claims),
        events=_events(world),
        settlements=DynamoMeter(store),
        gateway=gateway,
        endpoints=batch_endpoints(endpoints),
        options=parse_batch_options(settings.batch_options),
        replies=_replies(world),
        webhooks=WebhookSender(MediaFetcher(world.http), world.vault, store.clock),
        clock=store.clock,
    )


def batch_bucket(world: AwsWorld) -> Bucket | None:
    """Return the bucket that the settings name, with the credentials of the table's client; None if they name none."""
    settings, client = world.settings, world.store.client
    if settings.batch_bucket is None or not isinstance(client, DynamoClient):
        return None
    transport, keys, aws = client.service.transport, client.service.keys, settings.aws
    return Bucket(AwsService(transport, keys, aws.region, "s3", aws.s3_endpoint), settings.batch_bucket)


def _configured_queue(world: AwsWorld) -> BatchQueue | None:
    settings = world.settings
    if settings.batch_queue is None:
        return None
    create = load("tidegate.aws.batch_queue", "create_batch_queue")
    return create(world.http, world.signing_keys, settings.aws, settings.batch_queue)


def _replies(world: AwsWorld) -> Replies | None:
    settings = world.settings
    if not settings.reply_queues:
        return None
    create = load("tidegate.aws.batch_queue", "create_replies")
    return create(world.http, world.signing_keys, settings.aws, settings.reply_queues)


def _events(world: AwsWorld) -> BatchEvents:
    settings = world.settings
    if settings.event_bus is None:
        return LogBatchEvents()
    create = load("tidegate.aws.batch_events", "create_batch_events")
    return create(world.http, world.signing_keys, settings.aws, settings.event_bus)
