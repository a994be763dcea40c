"""Ends the pause of a batch when its reason is gone: a budget has room again, or the workspace or the key is valid."""

from collections.abc import Iterator

from msgspec.structs import replace

from tidegate.batch.components import BatchComponents
from tidegate.batch.transitions import change_batch
from tidegate.domain.account import AccountScope, Hold
from tidegate.domain.batch import Batch
from tidegate.domain.limit_error import exceeded_limit
from tidegate.domain.limits import Amounts
from tidegate.domain.workspace import Principal, Workspace
from tidegate.errors import InvalidKey, WorkspaceForbidden


async def resume_if_possible(components: BatchComponents, batch: Batch) -> None:
    """Let the batch go on if the reason of its pause is gone."""
    if batch.pause is None or batch.is_terminal:
        return
    try:
        principal, workspace = await components.callers.find_caller(batch.workspace_id, batch.key_id)
    except (InvalidKey, WorkspaceForbidden):
        return
    if batch.pause == "budget" and not await _has_room(components, batch, principal, workspace):
        return

    def resume(stored: Batch) -> Batch | None:
        if (stored.pause, stored.paused_at) != (batch.pause, batch.paused_at):
            return None
        return replace(stored, pause=None, paused_at=None, paused_needs=None)

    resumed = await change_batch(components, batch.workspace_id, batch.id, resume)
    if resumed is not None:
        await components.events.emit("BatchProgress", resumed)


async def _has_room(components: BatchComponents, batch: Batch, principal: Principal, workspace: Workspace) -> bool:
    """True if the budgets allow what they had refused."""
    now = components.clock()
    needs = Hold(
        call_id=batch.id,
        workspace_id=workspace.id,
        key_id=principal.key_id,
        model=batch.model or "",
        amounts=batch.paused_needs or Amounts(),
        input_tokens=0,
        at=now,
        expires_at=now,
        first_day=workspace.first_day,
        is_batch=True,
    )
    for scope in _budgets(principal, workspace):
        account = await components.gateway.ledger.account(scope, workspace.first_day)
        if exceeded_limit(account, scope.unsharded, needs) is not None:
            return False
    return True


def _budgets(principal: Principal, workspace: Workspace) -> Iterator[AccountScope]:
    """The accounts that have a budget."""
    limits = workspace.effective_limits
    if any(limits.budgets()):
        yield AccountScope("workspace", workspace.id, limits, shards=workspace.shards)
    if any(principal.limits.budgets()):
        yield AccountScope("key", principal.key_id, principal.limits)
