"""Connections of a process over one data folder: the table in SQLite, objects in files.

The rest is that of `aws.world`: the gateway, the control plane and the sweeper are composed by `aws.gateway`,
`aws.control` and `aws.sweeper`.
"""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from msgspec import Struct

from tidegate.aws.store import Store
from tidegate.aws.sweeper import Sweeper
from tidegate.aws.world import AwsWorld
from tidegate.settings import Settings
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.expiry import delete_expired
from tidegate.sqlite.folder import DataFolder
from tidegate.sqlite.objects import FileObjects
from tidegate.sqlite.vault import TableVault
from tidegate.transport.base import Transport


class LocalSweeper(Struct, frozen=True):
    """Runs the sweeper, and deletes what has expired."""

    sweeper: Sweeper
    client: SqliteClient
    objects: FileObjects

    async def run(self) -> None:
        """Make one run. Raises `StoreUnavailable`."""
        await self.sweeper.run()
        await delete_expired(self.client, self.objects, self.sweeper.store.clock())


@asynccontextmanager
async def open_sqlite_world(
    folder: DataFolder, settings: Settings, *, http: Transport | None = None, clock: Callable[[], float] = time.time
) -> AsyncGenerator[AwsWorld]:
    """Open the data folder, which is created unless it exists; leaving the context closes it.

    Raises `ConfigurationError` if the folder cannot be used.
    """
    folder.create()
    client = SqliteClient(folder.database)
    try:
        vault = TableVault(Store(client, settings.table, clock))
        objects = FileObjects(folder.objects)
        async with AwsWorld(settings, client=client, vault=vault, objects=objects, http=http, clock=clock) as world:
            yield world
    finally:
        client.close()
