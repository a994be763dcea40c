"""Bodies that are written to be expensive: the work of a call grows with their size and no faster, up to a limit."""

from decimal import Decimal

import pytest

from tests.hostile import FAMILIES, MODELS, answer, body_of, open_world, with_dry_run, with_fallbacks
from tests.work import counted
from tests.world import Client, answers
from tidegate.domain.limits import Limits

SIZE = 12_000
ENOUGH = Limits(usd_per_month=Decimal(10**6), tokens_per_minute=10**9, words_per_day=10**9, requests_per_minute=10**6)
"""Limits that every body fits, so that its worst case is held."""

LINES_PER_KILOBYTE, DRY_LINES_PER_KILOBYTE = 10_000, 13_000
"""About 0.5 ms. Bodies that are so dense reach the limits of their messages or objects at some 200 kilobytes."""


THREADS = 10_000
"""The lines to start threads, which do the work of long bodies."""


async def work_of(client: Client, body: bytes) -> int:
    """The lines that run for one call, which is answered: with its reply, or with a defined error."""
    with counted() as work:
        reply = await client.post(body)
    assert reply.status in (200, 400, 404, 413), reply.body[:500]
    return work.lines


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dry", [False, True], ids=["call", "dry run"])
async def test_the_work_grows_with_the_size_and_no_faster(family: str, dry: bool) -> None:
    async with open_world(answer, ENOUGH) as client:
        for name in ("openai", "anthropic") if dry else MODELS:
            model = MODELS[name]
            small, large = (body_of(family, size, model) for size in (SIZE, 2 * SIZE))
            if dry:
                small, large = with_dry_run(small), with_dry_run(large)
            await client.post(small)  # loads what loads late
            few, many = await work_of(client, small), await work_of(client, large)
            grown = max(1, len(large) - len(small)) / 1000
            assert many < 2.3 * few + THREADS, (name, few, many)
            lines_per_kilobyte = DRY_LINES_PER_KILOBYTE if dry else LINES_PER_KILOBYTE
            assert many - few < lines_per_kilobyte * max(grown, 1), (name, few, many)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dry", [False, True], ids=["call", "dry run"])
async def test_fallbacks_that_all_fail_take_work_within_a_bound(family: str, dry: bool) -> None:
    missing = answers({"error": {"message": "no such model", "code": "model_not_found"}}, status=404)
    async with open_world(missing, ENOUGH) as client:
        body = body_of(family, 25_000, MODELS["openai"])
        body = with_fallbacks(body, [f"openai/m{i}" for i in range(14)], temperature=1)
        body = with_dry_run(body) if dry else body
        await client.post(body)
        assert await work_of(client, body) < 1_500_000


async def test_headers_that_are_long_or_many_take_little_work(client: Client) -> None:
    body = body_of("prose", 100, MODELS["openai"])
    await client.post(body)
    headers = {f"x-header-{i}": "a" * 50 for i in range(500)} | {"x-session-id": "s" * 60_000, "x-app-id": "a" * 60_000}
    with counted() as work:
        reply = await client.post(body, headers=headers)
    assert reply.status in (200, 400)
    assert work.lines < 20_000
