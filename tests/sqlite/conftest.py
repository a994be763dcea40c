from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tidegate.aws.store import Store
from tidegate.sqlite.client import SqliteClient
from tidegate.sqlite.folder import DataFolder


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A data folder that exists, and is empty."""
    made = DataFolder(tmp_path / "data")
    made.create()
    return made


@pytest.fixture
async def client(folder: DataFolder) -> AsyncIterator[SqliteClient]:
    """The client of the folder's table."""
    opened = SqliteClient(folder.database)
    yield opened
    opened.close()


@pytest.fixture
def store(client: SqliteClient) -> Store:
    return Store(client, "table")
