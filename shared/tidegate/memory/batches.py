"""The batch engine's components in memory."""

from collections.abc import Mapping

from tidegate.batch.components import BatchComponents
from tidegate.batch.endpoints import batch_endpoints
from tidegate.batch.event_log import LogBatchEvents
from tidegate.batch.ports import BatchQueue
from tidegate.batch.webhook import WebhookSender
from tidegate.domain.batch_options import parse_batch_options
from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface
from tidegate.gateway import Gateway
from tidegate.memory.batch_callers import MemoryCallers
from tidegate.memory.world import MemoryWorld
from tidegate.transport.media_fetcher import MediaFetcher


def create_memory_batches(
    world: MemoryWorld, gateway: Gateway, endpoints: Mapping[str, tuple[Surface, Operation]], queue: BatchQueue
) -> BatchComponents:
    """Compose the components over the gateway and the stores of a world, which must stay open."""
    oidc = world.settings.oidc
    return BatchComponents(
        table=world.batch_table,
        objects=world.batch_objects,
        queue=queue,
        callers=MemoryCallers(world.tenants, has_claims=oidc is not None and oidc.workspaces_claim is not None),
        events=LogBatchEvents(),
        settlements=world.meter,
        gateway=gateway,
        endpoints=batch_endpoints(endpoints),
        options=parse_batch_options(world.settings.batch_options),
        webhooks=WebhookSender(MediaFetcher(world.http), world.vault),
    )
