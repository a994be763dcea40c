"""The contract of `ReasoningSignatures`, for every implementation."""

from tests.store_worlds import World
from tidegate.json import Json
from tidegate.ports import SIGNATURE_SECONDS

OTHER_DETAILS: list[Json] = [{"type": "reasoning.encrypted", "data": "x"}]
DETAILS: list[Json] = [{"type": "reasoning.text", "text": "hm…", "signature": "abc==", "index": 0}]


async def test_what_is_kept_is_found_to_the_letter(world: World) -> None:
    await world.signatures.keep("ws_a", "turn_1", DETAILS)
    assert await world.signatures.find("ws_a", ["turn_1", "turn_2", "turn_1"]) == {"turn_1": DETAILS}


async def test_another_workspace_finds_nothing(world: World) -> None:
    await world.signatures.keep("ws_a", "turn_1", DETAILS)
    assert await world.signatures.find("ws_b", ["turn_1"]) == {}


async def test_what_is_kept_again_stays_for_another_day(world: World) -> None:
    await world.signatures.keep("ws_a", "turn_1", DETAILS)
    world.clock.now += SIGNATURE_SECONDS - 1
    await world.signatures.keep("ws_a", "turn_1", DETAILS)
    world.clock.now += SIGNATURE_SECONDS - 1
    assert await world.signatures.find("ws_a", ["turn_1"]) == {"turn_1": DETAILS}


async def test_it_is_gone_after_a_day(world: World) -> None:
    await world.signatures.keep("ws_a", "turn_1", DETAILS)
    world.clock.now += SIGNATURE_SECONDS + 1
    assert await world.signatures.find("ws_a", ["turn_1"]) == {}
    await world.signatures.keep("ws_a", "turn_1", OTHER_DETAILS)
    assert await world.signatures.find("ws_a", ["turn_1"]) == {"turn_1": OTHER_DETAILS}


async def test_a_turn_of_two_conversations_has_no_details(world: World) -> None:
    await world.signatures.keep("ws_a", "turn_1", DETAILS)
    for details in (OTHER_DETAILS, DETAILS, OTHER_DETAILS):
        await world.signatures.keep("ws_a", "turn_1", details)
        assert await world.signatures.find("ws_a", ["turn_1"]) == {}
