"""docs/RELIABILITY.md: its example of a dry run is what the gateway says."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx

from tests.native_providers import ANTHROPIC
from tests.world import world

DOCUMENT = Path(__file__).parents[2] / "docs" / "RELIABILITY.md"


def test_the_example_is_true() -> None:
    asked, expected = (
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT.read_text("utf-8"), re.S)
    )
    changing = ("id", "deadline_seconds")

    async def main() -> Any:
        async with world(lambda _: httpx.Response(500), **ANTHROPIC.env) as client:
            return (await client.post(asked)).json

    said = asyncio.run(main())
    assert {**said, **{name: expected[name] for name in changing}} == expected
