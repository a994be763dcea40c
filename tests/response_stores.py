"""Stores of responses over a world's table, with a bucket or a folder."""

from pathlib import Path

from tests.store_worlds import World
from tests.trace_stores import traces_of
from tidegate.aws.response_states import DynamoResponseStates
from tidegate.aws.table import response_keys_item_key
from tidegate.aws.trace_keys import TraceKeys


async def responses_of(world: World, endpoint: str, folder: Path) -> DynamoResponseStates:
    traces = await traces_of(world, endpoint, folder)
    return DynamoResponseStates(traces.store, TraceKeys(traces.store, None, response_keys_item_key), traces.bucket)
