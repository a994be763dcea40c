"""Signed reasoning in the table: what only DynamoDB does."""

import pytest

from tests.store_worlds import aws_world
from tidegate.aws.signatures import MAX_BYTES, DynamoReasoningSignatures


@pytest.mark.parametrize("text", ["x" * MAX_BYTES, "水" * (MAX_BYTES // 3)])
async def test_what_is_too_large_for_an_item_is_not_kept(aws_endpoint: str, text: str) -> None:
    async with aws_world(aws_endpoint) as world:
        await world.signatures.keep("ws_a", "turn_1", [text])
        assert await world.signatures.find("ws_a", ["turn_1"]) == {}


async def test_an_item_that_somebody_else_wrote_is_no_reasoning(aws_endpoint: str) -> None:
    async with aws_world(aws_endpoint) as world:
        assert isinstance(world.signatures, DynamoReasoningSignatures)
        await world.signatures.keep("ws_a", "turn_1", [])
        assert await world.signatures.find("ws_a", ["turn_1"]) == {}
