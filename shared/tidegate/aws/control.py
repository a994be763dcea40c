"""The control plane on AWS: the operator's use cases over the table and the vault."""

from tidegate.aws.aggregates import DynamoAggregates
from tidegate.aws.batch_table import DynamoBatchTable
from tidegate.aws.cooldowns import DynamoProviderStates
from tidegate.aws.ledger import DynamoLedger
from tidegate.aws.resources import DynamoResources
from tidegate.aws.response_states import create_response_states
from tidegate.aws.tenants import DynamoUsageReader
from tidegate.aws.traces import create_traces
from tidegate.aws.world import AwsWorld
from tidegate.batch.ports import BatchObjects
from tidegate.batch.workspace_cleanup import WorkspaceCleanup
from tidegate.control.control import Control


def create_aws_control(world: AwsWorld, batch_objects: BatchObjects | None = None) -> Control:
    """Compose the control plane of a world, which must stay open.

    Without `batch_objects`, the objects of a deleted workspace are left to the lifecycle of the bucket.
    """
    store, oidc = world.store, world.settings.oidc
    return Control(
        DynamoResources(store),
        DynamoUsageReader(store),
        DynamoLedger(store),
        store.clock,
        world.vault,
        issuer=oidc.url if oidc else None,
        batches=WorkspaceCleanup(DynamoBatchTable(store), batch_objects),
        aggregates=DynamoAggregates(store),
        providers=DynamoProviderStates(store),
        traces=create_traces(world),
        response_states=create_response_states(world),
    )
