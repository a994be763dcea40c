"""The batch engine's components of each store of the local server."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.world import KEY, WORKSPACE
from tidegate.api.app import ENDPOINTS
from tidegate.aws.batch_queue import SqsBatchQueue, SqsQueue, SqsReplies
from tidegate.aws.batches import create_aws_batches
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.tenants import DynamoKeys, DynamoTenants
from tidegate.aws.world import AwsWorld
from tidegate.batch.components import BatchComponents
from tidegate.batch.event_log import LogBatchEvents
from tidegate.control.authorization import COMMAND_LINE_ACTOR
from tidegate.control.workspace_deletion import delete_workspace
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.workspace import Principal
from tidegate.local.drop_folder import DropFolder
from tidegate.local.stores import LocalStore, StoreOptions, open_store
from tidegate.memory.batch_queue import MemoryBatchQueue
from tidegate.memory.batches import create_memory_batches
from tidegate.memory.world import MemoryWorld, create_memory_gateway
from tidegate.settings import AwsSettings, Settings
from tidegate.sqlite.batches import create_folder_batches
from tidegate.sqlite.folder import DataFolder
from tidegate.sqlite.world import SqliteWorld
from tidegate.transport.aws_service import AwsService

SETTINGS = Settings("t", AwsSettings("us-east-1"), batch_options={"part_lines": 7})
PATHS = {
    *(f"{prefix}/chat/completions" for prefix in ("/v1", "", "/openai/v1")),
    *(f"{prefix}/{name}" for prefix in ("/v1", "", "/openai/v1") for name in ("embeddings", "moderations", "rerank")),
    "/v2/rerank",
}


async def check(components: BatchComponents) -> None:
    assert set(components.endpoints) == PATHS
    assert (components.options, type(components.events)) == (BatchOptions(part_lines=7), LogBatchEvents)
    principal, workspace = await components.callers.find_caller(WORKSPACE.id, KEY.id)
    assert (principal, workspace) == (Principal(KEY.id, KEY.workspace_ids), WORKSPACE)
    await components.objects.put("files/ws_test/one", b"1")
    assert await components.objects.read("files/ws_test/one") == b"1"
    assert await components.table.open_batches() == []


async def test_components_in_memory() -> None:
    async with MemoryWorld(SETTINGS) as world:
        await world.tenants.put_workspace(WORKSPACE)
        await world.tenants.put_key(KEY)
        gateway = await create_memory_gateway(world)
        await check(create_memory_batches(world, gateway, ENDPOINTS, MemoryBatchQueue()))


async def test_components_over_a_data_folder(tmp_path: Path) -> None:
    async with SqliteWorld(DataFolder(tmp_path / "data"), SETTINGS) as world:
        await DynamoTenants(world.store).put_workspace(WORKSPACE)
        await DynamoKeys(world.store).put_key(KEY)
        gateway = await create_aws_gateway(world)
        await check(create_folder_batches(world, gateway, ENDPOINTS, MemoryBatchQueue()))
    assert (tmp_path / "data" / "objects" / "files" / "ws_test" / "one").read_bytes() == b"1"


async def test_a_table_without_a_bucket_has_no_batches() -> None:
    async with AwsWorld(SETTINGS) as world:
        assert create_aws_batches(world, await create_aws_gateway(world), ENDPOINTS) is None


async def test_components_on_aws_use_the_queues_of_the_settings() -> None:
    settings = replace(SETTINGS, batch_bucket="batches", batch_queue="https://sqs/1/steps")
    for reply_queues in ((), ("https://sqs/1/answers",)):
        async with AwsWorld(replace(settings, reply_queues=reply_queues)) as world:
            components = create_aws_batches(world, await create_aws_gateway(world), ENDPOINTS)
            assert components is not None
            service = AwsService(world.http, world.signing_keys, "us-east-1", "sqs")
            assert components.queue == SqsBatchQueue(SqsQueue(service, "https://sqs/1/steps"))
            assert components.replies == (SqsReplies(service, reply_queues) if reply_queues else None)


@pytest.mark.parametrize("store", ["local", "memory", "embedded"])
def test_each_store_of_the_local_server_has_an_engine_and_deletes_its_objects_with_the_workspace(
    store: str, tmp_path: Path
) -> None:
    env = {"TIDEGATE_BATCH_BUCKET": "real", "TIDEGATE_BATCH_QUEUE": "https://sqs.test/1/real", "HOME": str(tmp_path)}
    options = StoreOptions(store, DataFolder(tmp_path / "data"), embedded_port=0)

    async def use(opened: LocalStore) -> None:
        async with opened.open_planes() as planes:
            batches = planes.batches
            assert batches is not None and isinstance(batches.queue, MemoryBatchQueue)
            assert (batches.components.queue, batches.is_kept) == (batches.queue, store == "local")
            objects = batches.components.objects
            await objects.put("files/ws_demo/one", b"1")
            assert await objects.list_keys("files/") == ["files/ws_demo/one"]
            assert batches.drop_folder is None or batches.drop_folder.path.is_dir()
            await delete_workspace(planes.control, COMMAND_LINE_ACTOR, "ws_demo", force=True)
            assert await objects.list_keys("files/") == []
            assert batches.drop_folder == (
                DropFolder(tmp_path / "data" / "objects", "ws_demo") if store == "local" else None
            )

    with ExitStack() as stack:
        asyncio.run(use(open_store(options, env, stack)))
