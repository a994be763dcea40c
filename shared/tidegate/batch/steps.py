"""The steps that only one process at a time may do for a batch: validation and composition.

A process claims a step until a little after its deadline. If it leaves the rest to another one, or a store fails, it
gives the step back; if it dies, or fails for another reason, the claim runs out, which `deaths` in the cursor counts.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.transitions import change_batch
from tidegate.domain.batch import Batch, BatchStatus, StoredFile
from tidegate.errors import StoreUnavailable

GRACE_SECONDS = 30.0
"""The time after its deadline for which a process may still write: a claim must not run out before."""


@asynccontextmanager
async def claimed_step(
    components: BatchComponents, workspace_id: str, batch_id: str, status: BatchStatus, deadline: float
) -> AsyncGenerator[Batch | None]:
    """Claim the step of batches with that status. None if the batch has another, or another process has the step."""
    now = components.clock()

    def claim(stored: Batch) -> Batch | None:
        if stored.status != status or stored.step_lease_until > now:
            return None
        deaths = step_deaths(stored) + (stored.step_lease_until > 0.0)
        lease_until = max(deadline, now) + GRACE_SECONDS
        return replace(stored, step_lease_until=lease_until, cursor={**stored.cursor, "deaths": deaths})

    batch = await change_batch(components, workspace_id, batch_id, claim)
    try:
        yield batch
    except StoreUnavailable:
        if batch is not None:
            with suppress(StoreUnavailable):
                await change_claimed(components, batch, lambda stored: replace(stored, step_lease_until=0.0))
        raise


async def has_step(components: BatchComponents, claimed: Batch) -> bool:
    """True if the step is still this process's."""
    stored = await components.table.find_batch(claimed.workspace_id, claimed.id)
    return stored is not None and _is_same_claim(stored, claimed)


async def change_claimed(
    components: BatchComponents, claimed: Batch, change: Callable[[Batch], Batch], *files: StoredFile
) -> Batch | None:
    """Write what `change` makes of the batch, together with `files`; None if this process has the step no longer."""

    def change_if_claimed(stored: Batch) -> Batch | None:
        return change(stored) if _is_same_claim(stored, claimed) else None

    return await change_batch(components, claimed.workspace_id, claimed.id, change_if_claimed, *files)


def _is_same_claim(stored: Batch, claimed: Batch) -> bool:
    return (stored.status, stored.step_lease_until) == (claimed.status, claimed.step_lease_until)


def step_deaths(batch: Batch) -> int:
    """How many processes in a row have died in the batch's step without any progress."""
    return int(batch.cursor.get("deaths", 0))
