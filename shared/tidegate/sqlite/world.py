"""Connections of a process over one data folder: the table in SQLite, objects in files.

The rest is that of `aws.world`: the gateway, the control plane and the sweeper are composed by `aws.gateway`,
`aws.control` and `aws.sweeper`.
"""

import time
from collections.abc import Callable
from types import TracebackType

from msgspec import Struct

from tidegate.aws.store import Store
from tidegate.aws.sweeper import Sweeper, create_sweeper
from tidegate.aws.world import AwsWorld
from tidegate.settings import Settings
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.expiry import delete_expired
from tidegate.sqlite.folder import DataFolder
from tidegate.sqlite.objects import FileObjects
from tidegate.sqlite.vault import TableVault
from tidegate.transport.base import Transport


class SqliteWorld(AwsWorld):
    """An `AwsWorld` whose table, objects and vault are in a data folder. Leaving its context closes the folder, too."""

    def __init__(
        self,
        folder: DataFolder,
        settings: Settings,
        *,
        http: Transport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the folder, which is created unless it exists. Raises `ConfigurationError` if it cannot be used."""
        folder.create()
        self.client, self.files = SqliteClient(folder.database), FileObjects(folder.objects)
        vault = TableVault(Store(self.client, settings.table, clock))
        super().__init__(settings, client=self.client, vault=vault, objects=self.files, http=http, clock=clock)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, traceback)
        self.client.close()


class FolderSweeper(Struct, frozen=True):
    """Runs the sweeper over a data folder, and then deletes what has expired in it."""

    sweeper: Sweeper
    client: SqliteClient
    files: FileObjects

    async def run(self) -> None:
        """Make one run. Raises `StoreUnavailable`."""
        await self.sweeper.run()
        await delete_expired(self.client, self.files, self.sweeper.store.clock())


def create_folder_sweeper(world: SqliteWorld) -> FolderSweeper:
    """Create the sweeper of a world, which must stay open."""
    return FolderSweeper(create_sweeper(world), world.client, world.files)
