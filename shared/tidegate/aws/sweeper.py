"""The sweeper: settles the holds of calls whose process died, sends budget alerts that no call has sent, and removes
old bookings from accounts.

A hold expires a minute after its call's deadline (`SETTLE_GRACE_SECONDS`), when no process can be working on the call.
With a run every five minutes, it is settled at most six minutes after the deadline. Two sweepers at once are harmless,
and so is a process that settles late: the second write is refused.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import msgspec
from msgspec import Struct, field
from msgspec.structs import asdict

from tidegate.aws.expressions import Attr, Put, Update, UpdateExpression
from tidegate.aws.ledger import DynamoLedger, account_from_item, settlement_writes
from tidegate.aws.meter import write_settlement
from tidegate.aws.store import ConditionFailed, Item, ItemKey, Store
from tidegate.aws.table import (
    KEYS_PREFIX,
    WORKSPACES_PARTITION,
    account_item_key,
    call_item_key,
    hold_item_keys,
    key_from_item,
    workspace_from_item,
    workspace_item_key,
)
from tidegate.aws.world import AwsWorld
from tidegate.domain.account import Account, AccountScope, Hold, ScopeKind
from tidegate.domain.budget_alerts import AccountSnapshot
from tidegate.domain.limits import Amounts, is_period_forgotten
from tidegate.domain.record import plain_decimal
from tidegate.domain.settlement import lost_settlement
from tidegate.domain.shards import merge_shards, overdue_holds
from tidegate.domain.workspace import Workspace
from tidegate.errors import StoreUnavailable
from tidegate.policy.metering.alerts import LogBudgetAlerts, send_budget_alerts
from tidegate.ports import BudgetAlerts

log = logging.getLogger(__name__)

CHECKPOINT_ITEM_KEY = ItemKey("SWEEPER", "SWEEPER")
"""The progress of a run that ran out of time: `reached` is the sort key of its last workspace in `WORKSPACES`."""

RUN_SECONDS = 200.0
"""Time limit of one run, less than the five minutes between two runs; the next run continues where this one stopped."""

ACCOUNTS_PER_READ = 25
"""25 accounts are at most 10 MB."""


class SweepResult(Struct):
    """Counts of one run. `is_done` is False if its time was up before it had reached the last workspace."""

    workspaces: int = 0
    lost: int = 0
    alerts: int = 0
    pruned: int = 0
    failed: int = 0
    is_done: bool = True


class Sweeper(Struct, frozen=True):
    """Sweeps the accounts of all workspaces and of their keys. A failure in one workspace does not stop the run."""

    store: Store
    run_seconds: float = RUN_SECONDS
    monotonic: Callable[[], float] = time.monotonic
    events: BudgetAlerts = field(default_factory=LogBudgetAlerts)

    async def run(self) -> SweepResult:
        """Make one run, from where the last one stopped. Raises `StoreUnavailable` if workspaces cannot be listed."""
        stop_at = self.monotonic() + self.run_seconds
        result = SweepResult()
        checkpoint = reached = await self._read_checkpoint()
        for item in await self.store.query(WORKSPACES_PARTITION, "WS#"):
            sort_key = str(item["sk"])
            if sort_key <= checkpoint:
                continue
            if not await self._sweep_workspace(item, result, stop_at):
                result.is_done = False
                break
            reached = sort_key
        else:
            reached = ""
        if reached != checkpoint:
            await self.store.write([Put(self.store.table, {**CHECKPOINT_ITEM_KEY._asdict(), "reached": reached})])
        log.info("sweeper.ran", extra=asdict(result))
        return result

    async def _read_checkpoint(self) -> str:
        items = await self.store.read(CHECKPOINT_ITEM_KEY)
        return next((str(item.get("reached", "")) for item in items.values()), "")

    async def _sweep_workspace(self, item: Item, result: SweepResult, stop_at: float) -> bool:
        """False if the time was up before the workspace was done."""
        if self.monotonic() >= stop_at:
            return False
        result.workspaces += 1
        try:
            return await self._sweep_accounts(workspace_from_item(item), result, stop_at)
        except (StoreUnavailable, msgspec.ValidationError) as error:
            result.failed += 1
            log.error("sweeper.failed", extra={"place": item["sk"], "error": type(error).__name__})
        return True

    async def _sweep_accounts(self, workspace: Workspace, result: SweepResult, stop_at: float) -> bool:
        scopes = await self._account_scopes(workspace)
        item_keys = list(scopes)
        shard_accounts: list[Account] = []
        for begin in range(0, len(item_keys), ACCOUNTS_PER_READ):
            for item_key, item in (await self.store.read(*item_keys[begin : begin + ACCOUNTS_PER_READ])).items():
                account = account_from_item(item)
                if not await self._sweep_account(item_key, account, result, stop_at):
                    return False
                if scopes[item_key].kind == "workspace":
                    shard_accounts.append(account)
                else:
                    result.alerts += await self._send_alerts(workspace, scopes[item_key], account)
        if shard_accounts:
            workspace_scope = AccountScope("workspace", workspace.id, workspace.effective_limits)
            merged = merge_shards(shard_accounts)
            result.alerts += await self._send_alerts(workspace, workspace_scope, merged)
        return True

    async def _account_scopes(self, workspace: Workspace) -> dict[ItemKey, AccountScope]:
        keys = map(key_from_item, await self.store.query(workspace_item_key(workspace.id).pk, KEYS_PREFIX))
        workspace_scope = AccountScope("workspace", workspace.id, workspace.effective_limits)
        return {
            **{
                account_item_key("workspace", workspace.id, shard): workspace_scope for shard in range(workspace.shards)
            },
            **{account_item_key("key", key.id): AccountScope("key", key.id, key.limits) for key in keys},
        }

    async def _sweep_account(self, item_key: ItemKey, account: Account, result: SweepResult, stop_at: float) -> bool:
        for hold in overdue_holds(account, self.store.clock()):
            if self.monotonic() >= stop_at:
                return False
            result.lost += await self._settle_lost(hold)
            del account.holds[hold.call_id]
        result.pruned += await self._prune_account(item_key, account)
        return True

    async def _send_alerts(self, workspace: Workspace, scope: AccountScope, account: Account) -> int:
        now = self.store.clock()
        snapshot = AccountSnapshot(workspace.id, scope, account, now, workspace.first_day)
        return await send_budget_alerts(DynamoLedger(self.store), self.events, snapshot, now)

    async def _settle_lost(self, hold: Hold) -> bool:
        """Record a lost call with its whole hold as its usage. Return False if it had a record already."""
        if await self._write_lost(hold):
            log.warning("call.lost", extra=_log_fields(hold))
            return True
        return await self._release_stale(hold)

    async def _write_lost(self, hold: Hold, kinds: Sequence[ScopeKind] | None = None) -> bool:
        """Write the settlement, with a token of its own: a call that two sweeps settle at once is counted once."""
        settlement = lost_settlement(hold, self.store.clock())
        return await write_settlement(self.store, settlement, kinds, token=secrets.token_urlsafe(16))

    async def _release_stale(self, hold: Hold) -> bool:
        """Settle a hold that only some of its accounts still have. Return True if its call had no record until now.

        Such a hold remains if the write of a reservation was not confirmed, or if an account was created again.
        """
        record_key = call_item_key(hold.workspace_id, hold.call_id, hold.shard)
        item_keys = hold_item_keys(hold)
        items = await self.store.read(record_key, *item_keys.values())
        record = items.get(record_key)
        kinds: tuple[ScopeKind, ...] = tuple(
            kind for kind, item_key in item_keys.items() if hold.call_id in account_from_item(items.get(item_key)).holds
        )
        if not kinds:
            return False
        if record is None:
            return await self._write_lost(hold, kinds)
        # A worker that had lost a batch's part may have booked its hold again, after the part was settled.
        amounts = Amounts() if hold.is_batch else _recorded_amounts(record)
        try:
            writes = settlement_writes(self.store, hold, amounts, self.store.clock(), kinds)
            await self.store.write(writes)
        except ConditionFailed:  # settled since it was read
            return False
        log.warning("hold.released", extra=_log_fields(hold))
        return False

    async def _prune_account(self, item_key: ItemKey, account: Account) -> bool:
        """Remove bookings of periods long past. False if there were none."""
        now = self.store.clock()
        names = [name for name in account.booked if is_period_forgotten(name.partition("#")[2], now)]
        if not names:
            return False
        update = _remove_all(names)
        try:
            await self.store.update(Update(self.store.table, dict(item_key._asdict()), update, Attr("holds").exists()))
        except ConditionFailed:  # the account was closed meanwhile
            return False
        return True


def create_sweeper(world: AwsWorld) -> Sweeper:
    """Create the sweeper of a world's table. The world must stay open."""
    return Sweeper(world.store, events=world.budget_alerts())


def _remove_all(names: Iterable[str]) -> UpdateExpression:
    update = UpdateExpression()
    for name in names:
        update &= Attr(name).remove()
    return update


def _recorded_amounts(record: Item) -> Amounts:
    tokens = sum(int(str(record.get(name) or 0)) for name in ("input_tokens", "output_tokens"))
    return Amounts(tokens, int(str(record.get("words") or 0)), Decimal(str(record.get("cost_usd") or 0)))


def _log_fields(hold: Hold) -> dict[str, object]:
    return {
        "call_id": hold.call_id,
        "workspace_id": hold.workspace_id,
        "key_id": hold.key_id,
        "model": hold.model,
        "tokens": hold.amounts.tokens,
        "words": hold.amounts.words,
        "cost_usd": plain_decimal(hold.amounts.usd),
    }
