"""The batch engine's components over a data folder: the table in SQLite, objects as files."""

from collections.abc import Mapping

from tidegate.aws.batches import compose_batches
from tidegate.batch.components import BatchComponents
from tidegate.batch.ports import BatchQueue
from tidegate.domain.operation import Operation
from tidegate.domain.surface import Surface
from tidegate.gateway import Gateway
from tidegate.sqlite.batch_files import FileBatchObjects
from tidegate.sqlite.world import SqliteWorld


def create_folder_batches(
    world: SqliteWorld, gateway: Gateway, endpoints: Mapping[str, tuple[Surface, Operation]], queue: BatchQueue
) -> BatchComponents:
    """Compose the components over the gateway of a world, which must stay open."""
    return compose_batches(world, gateway, endpoints, queue, FileBatchObjects(world.files.folder))
