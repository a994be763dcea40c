"""The contract of `ReasoningSignatures`, for every implementation."""

from tests.store_worlds import World
from tidegate.json import Json

DETAILS: list[Json] = [{"type": "reasoning.text", "text": "hm…", "signature": "abc==", "index": 0}]


async def test_what_is_kept_is_found_to_the_letter(world: World) -> None:
    await world.signatures.keep("ws_a", "call_1", DETAILS)
    assert await world.signatures.find("ws_a", ["call_1", "call_2", "call_1"]) == {"call_1": DETAILS}


async def test_another_workspace_finds_nothing(world: World) -> None:
    await world.signatures.keep("ws_a", "call_1", DETAILS)
    assert await world.signatures.find("ws_b", ["call_1"]) == {}


async def test_what_is_kept_again_is_replaced(world: World) -> None:
    await world.signatures.keep("ws_a", "call_1", DETAILS)
    await world.signatures.keep("ws_a", "call_1", [{"type": "reasoning.encrypted", "data": "x"}])
    found = await world.signatures.find("ws_a", ["call_1"])
    assert found == {"call_1": [{"type": "reasoning.encrypted", "data": "x"}]}
