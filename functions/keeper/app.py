"""The keeper on Lambda: a sweep of `tidegate.aws.sweeper`, started by a schedule every five minutes."""

import asyncio

from msgspec.structs import asdict

from tidegate.aws import logs
from tidegate.aws.sweeper import SweepResult, create_sweeper
from tidegate.aws.world import AwsWorld
from tidegate.errors import StoreUnavailable
from tidegate.settings import Settings

settings = Settings.from_env()
logs.configure(settings.log_level)


def handler(event: object, context: object) -> dict[str, object]:
    """Run one sweep. Raises `StoreUnavailable` if a workspace could not be swept: the failure triggers the alarm."""
    swept = asyncio.run(_sweep())
    if swept.failed:
        raise StoreUnavailable(f"{swept.failed} of {swept.workspaces} workspaces could not be swept.")
    return asdict(swept)


async def _sweep() -> SweepResult:
    async with AwsWorld(settings) as world:
        return await create_sweeper(world).run()
