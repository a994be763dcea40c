"""The gateway over invented data: both planes in this process, with a clock that stands still."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager

from tests.screenshots.invented_calls import keep_trace, record_calls
from tests.screenshots.tenants import NOW, create_batches, create_tenants
from tests.served import served_in_thread
from tidegate.api.admin.app import build_admin
from tidegate.api.app import ENDPOINTS, build_app
from tidegate.aws.aggregates import create_rollup
from tidegate.aws.control import create_aws_control
from tidegate.aws.gateway import create_aws_gateway
from tidegate.aws.traces import create_traces
from tidegate.local.admin import PlaneRouter
from tidegate.local.background_batches import LocalBatches, open_batches
from tidegate.local.listener import listen
from tidegate.local.openapi_routes import document_routes
from tidegate.local.serve import open_gateway
from tidegate.local.stores import DEMO_OVERRIDES, Planes, local_settings
from tidegate.memory.batch_queue import MemoryBatchQueue
from tidegate.settings import Settings
from tidegate.sqlite.batches import create_folder_batches
from tidegate.sqlite.folder import DataFolder
from tidegate.sqlite.world import SqliteWorld

PROVIDERS = ("OPENAI", "ANTHROPIC", "GEMINI", "MISTRAL")


def invented_settings() -> Settings:
    return local_settings(
        {f"{name}_API_KEY": "not-a-key" for name in PROVIDERS} | {"TIDEGATE_TRANSPORT": "aiohttp"}, None
    )


async def fill(folder: DataFolder) -> str:
    """Fill a new data folder, and sum up its calls. Returns the id of the call that has a trace."""
    now = [NOW]
    async with SqliteWorld(folder, invented_settings(), clock=lambda: now[0]) as world:
        control = create_aws_control(world)
        await create_tenants(control)
        call_id = await record_calls(world.store, lambda at: now.__setitem__(0, at))
        now[0] = NOW
        await keep_trace(create_traces(world), call_id)
        await create_batches(world.store)
        await create_rollup(world.store).run()
    return call_id


@asynccontextmanager
async def _open_planes(folder: DataFolder) -> AsyncGenerator[Planes]:
    async with SqliteWorld(folder, invented_settings(), clock=lambda: NOW) as world:
        gateway = await create_aws_gateway(world, DEMO_OVERRIDES)
        batches = create_folder_batches(world, gateway, ENDPOINTS, MemoryBatchQueue())
        yield Planes(gateway, create_aws_control(world, batches.objects), LocalBatches(batches))


@contextmanager
def serving_invented_data(folder: DataFolder) -> Iterator[tuple[str, str]]:
    """Serve a new data folder on any free port. Yields the address, and the id of the call that has a trace."""
    call_id = asyncio.run(fill(folder))
    admin = build_admin()
    gateway = build_app(
        lambda: open_gateway(_open_planes(folder), admin),
        invented_settings().server_options(),
        document_routes(),
        open_batches=lambda _: open_batches(admin.state.batches),
    )
    with served_in_thread(PlaneRouter(gateway, admin), listen("127.0.0.1", 0)) as url:
        yield url, call_id
