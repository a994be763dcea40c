"""Settling that nothing may interrupt."""

import asyncio

import anyio
import pytest

from tidegate.pipeline import shield
from tidegate.pipeline.shield import run_shielded


async def test_a_scope_that_is_cancelled_waits_for_the_settling() -> None:
    done = False

    async def settle() -> None:
        nonlocal done
        await asyncio.sleep(0.01)
        done = True

    with anyio.CancelScope() as scope:
        scope.cancel()
        await run_shielded(settle())
    assert done


async def test_a_task_that_is_cancelled_again_and_again_waits_too_and_then_ends() -> None:
    gate, done = asyncio.Event(), False

    async def settle() -> None:
        nonlocal done
        await gate.wait()
        done = True

    task = asyncio.create_task(run_shielded(settle()))
    for _ in range(5):
        await asyncio.sleep(0)
        task.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done


async def test_a_settling_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shield, "SETTLE_SECONDS", 0.01)
    await asyncio.wait_for(run_shielded(_forever()), 5)


async def _forever() -> None:
    await asyncio.Event().wait()


async def test_the_failure_of_the_settling_is_raised() -> None:
    async def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await run_shielded(broken())
