"""What bodies that are written to be expensive cost: processor time for each megabyte, by family.

Each call goes through the whole gateway in memory, in this process; the provider answers at once. A body is as long as
`SIZE`, or as long as the limits of a request let it be; one that is shorter than a megabyte counts as a megabyte.
"""

import asyncio
import gc
import logging
import time
from decimal import Decimal

from tests import hostile
from tests.world import Client, answers
from tidegate.domain.limits import Limits

SIZE = 1_000_000
LIMIT_MS = 50

_ENOUGH = Limits(usd_per_month=Decimal(10**6), tokens_per_minute=10**9, words_per_day=10**9)
"""Limits that every call fits, so that its worst case is held."""

_FAILED = {"error": {"message": "no such model", "code": "model_not_found"}}


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return milliseconds for each megabyte, by the kind of the call and the family, with the slowest model."""
    logging.disable(logging.CRITICAL)
    try:
        return asyncio.run(_measure(rounds))
    finally:
        logging.disable(logging.NOTSET)


async def _measure(rounds: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {"call": {}, "dry run": {}, "fallbacks that fail": {}}
    async with (
        hostile.open_world(hostile.answer, _ENOUGH) as client,
        hostile.open_world(answers(_FAILED, status=404), _ENOUGH) as failing,
    ):
        gc.collect()
        gc.freeze()  # what the tests have loaded is several times what the data plane has
        for family in hostile.FAMILIES:
            bodies = [hostile.body_of(family, SIZE, model) for model in hostile.MODELS.values()]
            dry = [hostile.with_dry_run(body) for body in bodies]
            several = [_with_fallbacks(body) for body in bodies]
            found["call"][family] = await _slowest(client, bodies, rounds)
            found["dry run"][family] = await _slowest(client, dry, rounds)
            found["fallbacks that fail"][family] = await _slowest(failing, several, rounds)
    return found


def _with_fallbacks(body: bytes) -> bytes:
    return hostile.with_fallbacks(body, [f"openai/m{i}" for i in range(3)], temperature=1)


async def _slowest(client: Client, bodies: list[bytes], rounds: int) -> float:
    return max([await _ms_per_megabyte(client, body, rounds) for body in bodies])


async def _ms_per_megabyte(client: Client, body: bytes, rounds: int) -> float:
    """Return the best of several rounds: what else the machine does only makes a call slower."""
    times: list[float] = []
    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        await client.post(body)
        times.append(time.process_time() - began)
        client.requests.clear()
        client.recorder.outcomes.clear()
    return min(times) * 1000 / max(1.0, len(body) / 1_000_000)
