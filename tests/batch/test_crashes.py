"""Workers that die: at each access to a store or a provider in turn, before it and after it."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.batch.parts import PLENTY, Mortal, PartWorld, part_world
from tests.batch.world import Provider
from tests.world import KEY
from tidegate.batch import part_answers
from tidegate.domain.batch_options import BatchOptions
from tidegate.domain.limits import Limits

LIMITED_KEY = replace(KEY, limits=Limits(tokens_per_month=1_000_000))
MOST_ACCESSES = 200

jumping = pytest.mark.jumping_clock
moments = pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])


async def crash_everywhere(is_done: bool, first_death: int | None = None, **fields: Any) -> list[PartWorld]:
    """Kill the worker at its n-th access, for each n until it ends without; return the worlds in which one has died.

    With `first_death`, another worker has died before at that access.
    """
    found: list[PartWorld] = []
    for number in range(1, MOST_ACCESSES):
        async with part_world(**fields) as parts:
            if first_death is not None:
                assert (await parts.deliver(kill=(first_death, True))).is_dead
                parts.world.clock.move(200)
            worker = await parts.deliver(kill=(number, is_done))
            await parts.finish()
            await parts.check()
            if not worker.is_dead:
                return found
            found.append(parts)
    raise AssertionError("The worker never ends.")


@jumping
@moments
async def test_a_worker_may_die_at_any_access(is_done: bool) -> None:
    worlds = await crash_everywhere(is_done)
    asked_again = {len(parts.world.provider.prompts) - parts.lines for parts in worlds}
    lost = {(await parts.batch()).usage.lost for parts in worlds}
    # At most the three in flight, and two answers that were not on record yet.
    assert (len(worlds) > 20, max(asked_again), max(lost)) == (True, 5, 5)


@jumping
@moments
async def test_a_worker_may_die_at_any_access_where_large_answers_are_read_again(
    is_done: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_answers, "HELD_BYTES", 0)
    assert len(await crash_everywhere(is_done)) > 20


@moments
async def test_a_worker_may_die_at_any_access_with_two_accounts_and_over_sqlite(
    is_done: bool, sqlite_endpoint: str
) -> None:
    quick = BatchOptions(parallel_calls=3, flush_seconds=0.01)
    provider = Provider(seconds=0.004)
    worlds = await crash_everywhere(is_done, provider=provider, key=LIMITED_KEY, options=quick, sqlite=sqlite_endpoint)
    assert len(worlds) > 20


@jumping
@moments
async def test_a_worker_may_die_in_a_workspace_without_limits(is_done: bool) -> None:
    assert len(await crash_everywhere(is_done, limits=None)) > 15


@jumping
@moments
@pytest.mark.parametrize("first_death", [8, 14, 20, 23])
async def test_a_second_worker_may_die_at_any_access(is_done: bool, first_death: int) -> None:
    assert len(await crash_everywhere(is_done, first_death)) > 5


@jumping
@moments
@pytest.mark.parametrize("death", [None, 12, 18])
async def test_a_worker_that_was_taken_for_dead_changes_nothing(is_done: bool, death: int | None) -> None:
    """It is suspended at any access, and goes on when another worker has ended the part, or has died with it."""
    for number in range(1, MOST_ACCESSES):
        async with part_world() as parts:
            frozen = Mortal(parts.deaths, (number, is_done), freezes=True)
            run = asyncio.create_task(parts.run(frozen, 0))
            freezing = asyncio.create_task(frozen.is_frozen.wait())
            await asyncio.wait({run, freezing}, return_when=asyncio.FIRST_COMPLETED)
            freezing.cancel()
            if death is None:
                await parts.finish()
            else:
                parts.world.clock.move(200)
                await parts.deliver(kill=(death, True))
            before = await parts.part()
            frozen.thawed.set()
            await run
            assert await parts.part() == before
            await parts.finish()
            await parts.check()
            if not frozen.is_frozen.is_set():
                return


@jumping
@moments
@pytest.mark.parametrize("limits", [None, PLENTY], ids=["unlimited", "limited"])
async def test_any_access_may_fail_once(is_done: bool, limits: Limits | None) -> None:
    """A store that does not answer may have made the write. Few of these failures end the worker."""
    ended = 0
    for number in range(1, MOST_ACCESSES):
        async with part_world(limits=limits) as parts:
            worker = Mortal(parts.deaths, (number, is_done), fails=True)
            await parts.run(worker, 0)
            ended += (await parts.part()).status != "done"
            await parts.finish()
            await parts.check(asked=sorted(set(parts.world.provider.prompts)))
            if not worker.has_failed:
                break
    assert ended <= 12
