"""A batch engine whose provider has a batch API."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from tests.batch.provider_jobs.fakes import FakeJobs
from tests.batch.world import BatchWorld, batch_world, requests
from tidegate.domain.batch import Batch
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.limits import Limits

MODE = {"tidegate_mode": "provider_batch"}
LIMITS = Limits(usd_per_month=Decimal(1000), tokens_per_day=10**9)


@asynccontextmanager
async def provider_world(provider: FakeJobs, **options: Any) -> AsyncGenerator[BatchWorld]:
    """A world in which calls and jobs go to this provider."""
    settings: dict[str, Any] = {"limits": LIMITS, "options": BatchOptions(part_lines=50), **options, **provider.env}
    async with batch_world(provider, **settings) as world:
        provider.install(world)
        yield world


async def run(world: BatchWorld, provider: FakeJobs, count: int = 120, **fields: Any) -> Batch:
    """Run a batch of so many lines to its end."""
    batch = await world.submit(requests(count, model=provider.model), metadata=MODE, **fields)
    await world.run_until_idle()
    return await world.batch(batch.id)
