"""The keeper on Lambda, started by a schedule every five minutes: a sweep, and a roll of all workspaces' records."""

import asyncio

from msgspec.structs import asdict

from tidegate.aws.aggregates import RollupResult, create_rollup
from tidegate.aws.function_log import FunctionLog
from tidegate.aws.sweeper import SweepResult, create_sweeper
from tidegate.aws.world import AwsWorld
from tidegate.errors import StoreUnavailable
from tidegate.settings import Settings

settings = Settings.from_env()
log = FunctionLog(settings, "keeper")


@log.wrap
def handler(event: object, context: object) -> dict[str, object]:
    """Sweep and roll once. Raises `StoreUnavailable` if a workspace could not be: the failure triggers the alarm."""
    swept, rolled = asyncio.run(_keep())
    log.logger.info("roller.ran", extra=asdict(rolled))
    if swept.failed or rolled.failed:
        failed = f"{swept.failed} of {swept.workspaces} workspaces could not be swept"
        raise StoreUnavailable(f"{failed}, the records of {rolled.failed} could not be rolled up.")
    return {**asdict(swept), "rolled": rolled.workspaces}


async def _keep() -> tuple[SweepResult, RollupResult]:
    async with AwsWorld(settings) as world:
        return await create_sweeper(world).run(), await create_rollup(world.store).run()
