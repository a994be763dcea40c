"""docs/RELIABILITY.md: its example of a dry run is what the gateway says."""

import json
import re
from pathlib import Path

import httpx

from tests.native_providers import ANTHROPIC
from tests.world import world

DOCUMENT = Path(__file__).parents[2] / "docs" / "RELIABILITY.md"


async def test_the_example_is_true() -> None:
    asked, expected = (
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT.read_text("utf-8"), re.S)
    )
    changing = ("id", "deadline_seconds")
    async with world(lambda _: httpx.Response(500), **ANTHROPIC.env) as client:
        said = (await client.post(asked)).json
    assert {**said, **{name: expected[name] for name in changing}} == expected
